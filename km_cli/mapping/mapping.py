"""What a mapping is, apart from any input: the columns as used, and how their times are read."""

from __future__ import annotations

import json
from typing import NamedTuple

from km_cli.mapping.columns import Columns, Wanted, override
from km_cli.mapping.times import Clocking


class Mapping(NamedTuple):
    """All that decides which event a row is. The ledger keeps it with a reading."""

    columns: Columns
    clocking: Clocking

    def under(self, wanted: Wanted, clocking: Clocking, found: tuple[str, ...], source: str) -> Mapping:
        """Return this mapping with what the flags ask for in place of it; what they leave open stays.

        Raises InputError if a column that was asked for is not among those `found` in `source`.
        """
        return Mapping(
            override(self.columns, wanted, found, source),
            Clocking(*(asked or known for asked, known in zip(clocking, self.clocking, strict=True))),
        )

    def to_json(self) -> str:
        """Return it as text for the ledger."""
        return json.dumps(self)

    @classmethod
    def from_json(cls, text: str) -> Mapping:
        """Return what `to_json` was called on."""
        columns, clocking = json.loads(text)
        personas, event, timestamp, event_id, properties, exclude, flatten, *event_name = columns
        return cls(
            Columns(
                tuple(personas),
                event,
                timestamp,
                event_id,
                None if properties is None else tuple(properties),
                tuple(exclude),
                flatten,
                *event_name,
            ),
            Clocking(*clocking),
        )
