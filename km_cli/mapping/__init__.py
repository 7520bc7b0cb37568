"""Row → Event: columns, identities, times, properties. A row that can't be sent becomes a Reject."""

from __future__ import annotations

from km_cli.mapping.cells import ReadCell, cell_readers, cells_reader, time_reader
from km_cli.mapping.columns import ColumnOptions, Columns, Condition, PersonaColumns, property_columns
from km_cli.mapping.conditions import ConditionsSeen, condition_text, make_condition
from km_cli.mapping.dates import EitherOrder
from km_cli.mapping.found_columns import USUAL, NamedAt
from km_cli.mapping.hashing import SHORTEST_KEY, Hasher
from km_cli.mapping.mapper import Mapper
from km_cli.mapping.mapping import Mapping
from km_cli.mapping.members import Members, Membership
from km_cli.mapping.nested import ABSENT, MEMBERS, BadRow, root
from km_cli.mapping.recognition import members_columns, recognise_columns
from km_cli.mapping.seen_columns import ColumnsSeen
from km_cli.mapping.selection import (
    ANONYMOUS,
    WITHHELD,
    Bound,
    EventsSeen,
    LeftOut,
    Selection,
    check_order,
    make_bound,
    make_selection,
)
from km_cli.mapping.swapped import are_swapped
from km_cli.mapping.times import LOCAL_EPOCH, AmbiguousTime, BadTime, TimeOptions, Times

__all__ = [
    "ABSENT",
    "ANONYMOUS",
    "LOCAL_EPOCH",
    "MEMBERS",
    "SHORTEST_KEY",
    "USUAL",
    "WITHHELD",
    "AmbiguousTime",
    "BadRow",
    "BadTime",
    "Bound",
    "ColumnOptions",
    "Columns",
    "ColumnsSeen",
    "Condition",
    "ConditionsSeen",
    "EitherOrder",
    "EventsSeen",
    "Hasher",
    "LeftOut",
    "Mapper",
    "Mapping",
    "Members",
    "Membership",
    "NamedAt",
    "PersonaColumns",
    "ReadCell",
    "Selection",
    "TimeOptions",
    "Times",
    "are_swapped",
    "cell_readers",
    "cells_reader",
    "check_order",
    "condition_text",
    "make_bound",
    "make_condition",
    "make_selection",
    "members_columns",
    "property_columns",
    "recognise_columns",
    "root",
    "time_reader",
]
