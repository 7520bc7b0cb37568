"""What a mapping is, apart from any input: the columns as used, and how their times are read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from km_cli.mapping.columns import ColumnOptions, Columns, PersonaColumns
from km_cli.mapping.recognition import override_columns
from km_cli.mapping.times import TimeOptions
from km_cli.model import Persona


class Mapping(NamedTuple):
    """All that decides which event a row is. The ledger keeps it with a reading.

    `people` is a digest of the personas who do what comes of it.
    """

    columns: Columns
    time_options: TimeOptions
    people: str = ""

    def under(
        self,
        column_options: ColumnOptions,
        personas: Sequence[Persona],
        time_options: TimeOptions,
        found: tuple[str, ...],
        source: str,
    ) -> Mapping:
        """Return this mapping with what is asked for in place of it; what is left open stays.

        Raises InputError if a column that was asked for is not among those `found` in `source`.
        """
        return Mapping(
            override_columns(self.columns, column_options, personas, found, source),
            TimeOptions(
                *(asked or known for asked, known in zip(time_options, self.time_options, strict=True))
            ),
            self.people,
        )

    def to_json(self) -> str:
        """Return it as text for the ledger."""
        return json.dumps(self)

    @classmethod
    def from_json(cls, text: str) -> Mapping:
        """Return what `to_json` was called on."""
        columns, time_options, people = json.loads(text)
        personas, event, timestamp, event_id, properties, exclude, flatten, event_name, *ignore = columns
        return cls(
            Columns(
                tuple(_who(*who) for who in personas),
                event,
                timestamp,
                event_id,
                None if properties is None else tuple(properties),
                tuple(exclude),
                flatten,
                event_name,
                tuple(ignore[0]) if ignore else (),  # a ledger of format 2 knows none
            ),
            TimeOptions(*time_options),
            people,
        )


def _who(
    persona: str, identity: str, alias: str, properties: list[str] | None, sets: list[str]
) -> PersonaColumns:
    return PersonaColumns(
        persona, identity, alias, None if properties is None else tuple(properties), tuple(sets)
    )
