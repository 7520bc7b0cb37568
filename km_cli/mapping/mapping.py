"""What a mapping is, apart from any input: the columns as used, and how their times are read."""

from __future__ import annotations

import json
from typing import NamedTuple

from km_cli.mapping.columns import Columns
from km_cli.mapping.times import Clocking


class Mapping(NamedTuple):
    """All that decides which event a row is. The ledger keeps it with a reading."""

    columns: Columns
    clocking: Clocking

    def to_json(self) -> str:
        """Return it as text for the ledger."""
        return json.dumps(self)

    @classmethod
    def from_json(cls, text: str) -> Mapping:
        """Return what `to_json` was called on."""
        columns, clocking = json.loads(text)
        personas, event, timestamp, event_id, properties, exclude, flatten = columns
        return cls(
            Columns(
                tuple(personas),
                event,
                timestamp,
                event_id,
                None if properties is None else tuple(properties),
                tuple(exclude),
                flatten,
            ),
            Clocking(*clocking),
        )
