"""Row → Event: columns, identities, times, properties. What can't be sent becomes a Reject."""

from __future__ import annotations

from km_cli.mapping.columns import (
    USUAL,
    ColumnOptions,
    Columns,
    PersonaColumns,
    find,
    property_columns,
    recognise,
)
from km_cli.mapping.dates import EitherOrder
from km_cli.mapping.mapper import Mapper
from km_cli.mapping.mapping import Mapping
from km_cli.mapping.members import Members, Membership
from km_cli.mapping.properties import Bad, Cell, cells, whole
from km_cli.mapping.selection import (
    Bound,
    EventsSeen,
    LeftOut,
    Selection,
    check_order,
    make_bound,
    make_selection,
)
from km_cli.mapping.times import BadTime, Clocking, Times, Unclear

__all__ = [
    "USUAL",
    "Bad",
    "BadTime",
    "Bound",
    "Cell",
    "Clocking",
    "ColumnOptions",
    "Columns",
    "EitherOrder",
    "EventsSeen",
    "LeftOut",
    "Mapper",
    "Mapping",
    "Members",
    "Membership",
    "PersonaColumns",
    "Selection",
    "Times",
    "Unclear",
    "cells",
    "check_order",
    "find",
    "make_bound",
    "make_selection",
    "property_columns",
    "recognise",
    "whole",
]
