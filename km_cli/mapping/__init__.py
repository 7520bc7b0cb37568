"""Row → Event: columns, identities, times, properties. What can't be sent becomes a Reject."""

from __future__ import annotations

from km_cli.mapping.columns import Columns, Wanted, property_columns, recognise
from km_cli.mapping.mapper import Mapper
from km_cli.mapping.mapping import Mapping
from km_cli.mapping.part import EventsSeen, LeftOut, Part, make_part
from km_cli.mapping.times import Clocking

__all__ = [
    "Clocking",
    "Columns",
    "EventsSeen",
    "LeftOut",
    "Mapper",
    "Mapping",
    "Part",
    "Wanted",
    "make_part",
    "property_columns",
    "recognise",
]
