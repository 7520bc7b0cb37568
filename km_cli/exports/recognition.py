"""Recognising an export by the shape of its first records."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from km_cli.exports.tables import ExportTable, Kind
from km_cli.mapping.nested import ABSENT, BadRow, value_at

RECORDS = 50
"""Records that are compared with the tables."""

_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")


def recognise_export(records: Sequence[Mapping[str, Any]], tables: Mapping[str, ExportTable]) -> str:
    """Return the name of the export that these records come from, "" if they come from none.

    The records of a tabular input are its cells by column. Every record has to have the signs of a table: a
    plain log with usual names must be read as it always was.
    """
    for name, table in tables.items():
        if records and _has_signs(records, table):
            return name
    return ""


def _has_signs(records: Sequence[Mapping[str, Any]], table: ExportTable) -> bool:
    every, some = table.recognise.every, table.recognise.some
    if not all(_is(record, key, kind) for record in records for key, kind in every.items()):
        return False
    return not some or any(_is(record, key, kind) for record in records for key, kind in some.items())


def value_in(record: Mapping[str, Any], path: str) -> Any:
    """Return the value of a record at a dotted path, ABSENT if it has none or cannot be opened."""
    try:
        return value_at(record, path)
    except BadRow:
        return ABSENT


def _is(record: Mapping[str, Any], key: str, kind: Kind) -> bool:
    if key.endswith("*"):
        return any(name.startswith(key[:-1]) and _fits(value, kind) for name, value in record.items())
    return _fits(value_in(record, key), kind)


def _fits(value: Any, kind: Kind) -> bool:
    """Tell whether a value has a shape. Numbers are texts, as they were written; JSON in a text counts."""
    if not isinstance(kind, str):
        return value in kind
    if kind in _BEGINNINGS:
        begins = isinstance(value, str) and value.startswith(_BEGINNINGS[kind])
        return begins or isinstance(value, _TYPES[kind])
    if not isinstance(value, str) or (not value and kind != "cell"):
        return False
    return kind != "number" or _NUMBER.fullmatch(value) is not None


_TYPES = {"object": dict, "list": list}
_BEGINNINGS = {"object": "{", "list": "["}
