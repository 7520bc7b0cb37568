"""Recognising an export by the shape of its first records."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from km_cli.exports.tables import ExportTable, Kind, Signs
from km_cli.mapping.nested import ABSENT, BadRow, value_at

Records = Sequence[Mapping[str, Any]]

RECORDS = 200
"""Records that are looked at to find the columns of an export."""

_COMPARED = 50
"""How many of them are compared with the signs of a table."""

_ODD = 20
"""Of so many records, one may lack the signs: logs have odd records."""

_HALF = 2
"""A log in which one of so many records lacks the signs may be an export, if a person says so."""

_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")


def recognise_export(records: Sequence[Mapping[str, Any]], tables: Mapping[str, ExportTable]) -> str:
    """Return the name of the export that these records come from, "" if they come from none.

    The records of a tabular input are its cells by column. Nearly every record has to have the signs of a
    table: a plain log with usual names must be read as it always was.
    """
    return _recognised(records[:_COMPARED], tables, _ODD)


def likely_export(records: Sequence[Mapping[str, Any]], tables: Mapping[str, ExportTable]) -> str:
    """Return the name of the export that at least half of these records look like, "" for none."""
    return _recognised(records[:_COMPARED], tables, _HALF)


def _recognised(records: Records, tables: Mapping[str, ExportTable], one_in: int) -> str:
    found = (name for name, table in tables.items() if records and _has_signs(records, table, one_in))
    return next(found, "")


def _has_signs(records: Records, table: ExportTable, one_in: int) -> bool:
    """Tell whether the records have the signs of a table; one of `one_in` records may lack them."""
    signs = table.recognise
    if signs.any_case:
        records = [_in_small_letters(record) for record in records]
        signs = Signs(_small(signs.every), _small(signs.some), tuple(map(_small, signs.either)))
    odd = sum(not _is_one(record, signs) for record in records)
    if odd > len(records) // one_in:
        return False
    some = signs.some
    return not some or any(_is(record, key, kind) for record in records for key, kind in some.items())


def _is_one(record: Mapping[str, Any], signs: Signs) -> bool:
    """Tell whether a record has the keys that every record must have."""
    return all(_is(record, key, kind) for key, kind in signs.every.items()) and all(
        any(_is(record, key, kind) for key, kind in one.items()) for one in signs.either
    )


def _in_small_letters(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key.casefold(): value for key, value in record.items()}


def _small(signs: Mapping[str, Kind]) -> dict[str, Kind]:
    return {key.casefold(): kind for key, kind in signs.items()}


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
