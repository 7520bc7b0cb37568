"""The columns of one input that is an export: of each list in the table, the columns that the input has."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

from msgspec.structs import replace

from km_cli.exports.recognition import value_in
from km_cli.exports.tables import ColumnsOfExport, ExportTable
from km_cli.mapping import USUAL, Condition, make_condition
from km_cli.mapping.found_columns import normal_name
from km_cli.mapping.nested import ABSENT, MEMBERS, BadRow, members, root

Records = Sequence[Mapping[str, Any]]

_ITEM = re.compile(r"\.\d+$")
"""The number of an item of a list, at the end of a path."""

_ACCOUNT_NAMES = tuple(name for word in USUAL["account"] for name in (word, f"{word}_id"))


class ExportColumns(NamedTuple):
    """The columns of one input, as km.toml would name them; "" and () where the input has none."""

    event: str
    timestamp: str
    id: str
    user: tuple[str, ...]
    account: tuple[str, ...]
    alias: str
    ignore: tuple[str, ...]
    properties: tuple[str, ...] | None
    rename: tuple[tuple[str, str], ...] = ()
    times: tuple[str, ...] = ()


def columns_of(table: ExportTable, records: Records, header: Sequence[str] | None = None) -> ExportColumns:
    """Return the columns that an input has, of those that its table names.

    A tabular input has the columns of its `header`. Without one, later records may have keys that none of the
    first `records` has.
    """
    columns = table.columns
    if table.recognise.any_case and header:
        columns = _as_spelled(columns, header)
    timestamp, *times = _times(columns, records)
    return ExportColumns(
        _or_none(columns.event, header) if columns.without_event else columns.event,
        timestamp,
        _or_none(_first(columns.id, records), header),
        tuple(name for name in columns.user if header is None or root(name, header)) or columns.user[:1],
        tuple(islice(_accounts(columns, _taken(columns, records)), 1))
        or tuple(_likely_accounts(columns, header)),
        _or_none(columns.alias, header),
        tuple(name for name in columns.ignore if name != timestamp and (header is None or name in header)),
        *_properties(columns.properties, records),
        tuple(name for name in times if header is None or root(name, header)),
    )


def _as_spelled(columns: ColumnsOfExport, header: Sequence[str]) -> ColumnsOfExport:
    """Return the columns in the capital letters of a header that has them in others."""
    by_name = {name.casefold(): name for name in reversed(header)}

    def spelled(name: str) -> str:
        return by_name.get(name.casefold(), name)

    return replace(
        columns,
        event=spelled(columns.event),
        timestamp=tuple(map(spelled, columns.timestamp)),
        user=tuple(map(spelled, columns.user)),
        alias=spelled(columns.alias),
    )


def _taken(columns: ColumnsOfExport, records: Records) -> Records:
    """Return the records that the conditions of a table take: others may have other columns."""
    conditions = tuple(map(make_condition, columns.where))
    return [record for record in records if all(_meets(record, one) for one in conditions)]


def _meets(record: Mapping[str, Any], condition: Condition) -> bool:
    return (value_in(record, condition.column) in condition.values) is condition.is_in


def _times(columns: ColumnsOfExport, records: Records) -> tuple[str, ...]:
    """Return the columns of the time, in their order. Times of arrival are for records without any other."""
    others = tuple(name for name in columns.timestamp if name not in columns.ignore)
    if any(value_in(record, name) not in _BLANK for record in records for name in others):
        return others
    return (_first(columns.timestamp, records, _BLANK),)


def _or_none(name: str, header: Sequence[str] | None) -> str:
    return name if header is None or not name or root(name, header) else ""


def _first(names: Sequence[str], records: Records, none: tuple[Any, ...] = (ABSENT,)) -> str:
    """Return the first column that some record has, else the first one that is named, "" for no names.

    `none` are the values that count as none.
    """
    found = (name for name in names if any(value_in(record, name) not in none for record in records))
    return next(found, names[0] if names else "")


def _properties(
    named: tuple[str, ...] | None, records: Records
) -> tuple[tuple[str, ...] | None, tuple[tuple[str, str], ...]]:
    """Return the columns of properties, and the properties that they are sent as if that is another name.

    `Prop:*` stands for all columns without another role. `Prop:` is no part of a property's name.
    """
    if named is None or not any(_is_prefix(name) for name in named):
        return named, ()
    found = dict.fromkeys(key for record in records for key in record)
    prefixes = [name.removesuffix("*") for name in named if _is_prefix(name)]
    pairs = [
        (key, key[len(prefix) :])
        for prefix in prefixes
        for key in found
        if key.casefold().startswith(prefix.casefold())
    ]
    return None, tuple(pairs)


def _is_prefix(name: str) -> bool:
    return name.endswith("*") and not name.endswith(MEMBERS)


def _accounts(columns: ColumnsOfExport, records: Records) -> Iterator[str]:
    """Yield the columns that may name the account, the likeliest first."""
    for name in columns.account:
        if name.endswith(MEMBERS):
            inside = name.removesuffix(MEMBERS)
            found = _members(inside, records)
            usual = sorted(filter(_is_usual, found), key=_rank)
            yield from (f"{inside}.{one}" for one in (*usual, *found))
        elif any(value_in(record, name) not in _BLANK for record in records):
            yield name
    for inside in columns.account_in:
        found = _members(inside, records)
        yield from (f"{inside}.{one}" for one in sorted(filter(_is_usual, found), key=_rank))


def _likely_accounts(columns: ColumnsOfExport, header: Sequence[str] | None) -> Iterator[str]:
    """Yield the columns that later records may have the account in, although the first ones name none.

    In an object of properties, a usual name may be a property like any other, so none is taken from there.
    """
    properties = columns.properties or ()
    objects = (f"{name}{MEMBERS}" for name in columns.account_in)
    for name in (*columns.account, *(name for name in objects if name not in properties)):
        inside = name.removesuffix(MEMBERS)
        if header is None or root(inside, header):
            usual = [f"{inside}.{one}" for one in USUAL["account"]]
            yield from usual if name.endswith(MEMBERS) else (name,)


_BLANK: tuple[Any, ...] = (ABSENT, None, "", [])


def _members(path: str, records: Records) -> list[str]:
    """Return the members of an object that are not blank, the most frequent first, and then by name."""
    counts: Counter[str] = Counter()
    for record in records:
        value = value_in(record, path)
        with suppress(BadRow):  # the row is rejected when its turn comes
            inside = members(value, path, ()) if value is not ABSENT else ()
            counts.update({_ITEM.sub("", name[len(path) + 1 :]) for name, one in inside if one not in _BLANK})
    return sorted(filter(None, counts), key=lambda name: (-counts[name], name))


def _is_usual(name: str) -> bool:
    return normal_name(name) in _ACCOUNT_NAMES


def _rank(name: str) -> int:
    return _ACCOUNT_NAMES.index(normal_name(name))
