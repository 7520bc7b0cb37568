"""A mapping as a value: the columns as used, and how their times are read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from km_cli.mapping.columns import ColumnOptions, Columns, Condition, PersonaColumns
from km_cli.mapping.overriding import override_columns
from km_cli.mapping.times import TimeOptions
from km_cli.model import Persona


class Mapping(NamedTuple):
    """All settings that decide which event a row becomes. The ledger keeps them with a reading.

    `people` is a digest of the personas. `source` names the [[backfill]] whose own columns these are, "" for
    those of km.toml.
    """

    columns: Columns
    time_options: TimeOptions
    people: str = ""
    source: str = ""

    def overridden(
        self,
        column_options: ColumnOptions,
        personas: Sequence[Persona],
        time_options: TimeOptions,
        found: tuple[str, ...],
        source: str,
    ) -> Mapping:
        """Return this mapping, overridden by the columns and time options that are asked for now.

        Raises InputError if a column that is asked for is not among those `found` in `source`.
        """
        return Mapping(
            override_columns(self.columns, column_options, personas, found, source),
            TimeOptions(
                *(asked or known for asked, known in zip(time_options, self.time_options, strict=True))
            ),
            self.people,
            self.source,
        )

    def to_json(self) -> str:
        """Return the mapping as text, for the ledger."""
        last = [self.people, self.source] if self.source else [self.people]
        return json.dumps([self.columns.plain, self.time_options, *last])

    @classmethod
    def from_json(cls, text: str) -> Mapping:
        """Return the mapping that `to_json` wrote."""
        columns, time_options, *last = json.loads(text)
        personas, event, timestamp, event_id, properties, exclude, flatten, event_name, *newer = columns
        # A ledger of format 2 has no list of ignored columns; no ledger has the fields that are not used.
        newer += _UNUSED[len(newer) :]
        ignore, rename, constant, where, *plain = newer
        plain[_LISTS] = map(tuple, plain[_LISTS])
        return cls(
            Columns(
                tuple(_persona_columns(*one) for one in personas),
                event,
                timestamp,
                event_id,
                None if properties is None else tuple(properties),
                tuple(exclude),
                flatten,
                event_name,
                tuple(ignore),
                tuple((column, name) for column, name in rename),
                tuple((name, value) for name, value in constant),
                tuple(Condition(column, is_in, tuple(values)) for column, is_in, values in where),
                *plain,
            ),
            TimeOptions(*time_options),
            *last,
        )


_UNUSED: list[Any] = [(), (), (), (), False, "", False, "", "", "", (), (), (), ""]
"""The fields of Columns that the text of a mapping may lack, as they are when unused."""


_LISTS = slice(-4, -1)
"""The place of `times`, `hash` and `drop`, from the end: in JSON these are lists."""


def _persona_columns(
    persona: str,
    identity: str,
    alias: str,
    properties: list[str] | None,
    sets: list[str],
    others: Sequence[str] = (),
    nobody: Sequence[str] = (),
) -> PersonaColumns:
    return PersonaColumns(
        persona,
        identity,
        alias,
        None if properties is None else tuple(properties),
        tuple(sets),
        tuple(others),
        tuple(nobody),
    )
