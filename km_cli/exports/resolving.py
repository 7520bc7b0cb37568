"""The columns of one input that is an export: of each list in the table, the columns that the input has."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from km_cli.exports.recognition import value_in
from km_cli.exports.tables import ExportTable
from km_cli.mapping import USUAL
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
    account: str
    alias: str
    properties: tuple[str, ...] | None
    rename: tuple[tuple[str, str], ...] = ()


def columns_of(table: ExportTable, records: Records, header: Sequence[str] | None = None) -> ExportColumns:
    """Return the columns that an input has, of those that its table names.

    A tabular input has the columns of its `header`. Without one, later records may have keys that none of the
    first `records` has.
    """
    columns = table.columns
    return ExportColumns(
        _or_none(columns.event, header) if columns.without_event else columns.event,
        _first(columns.timestamp, records),
        _or_none(_first(columns.id, records), header),
        tuple(name for name in columns.user if header is None or root(name, header)) or columns.user[:1],
        next(_accounts(table, records), ""),
        _or_none(columns.alias, header),
        *_properties(columns.properties, records),
    )


def _or_none(name: str, header: Sequence[str] | None) -> str:
    return name if header is None or not name or root(name, header) else ""


def _first(names: Sequence[str], records: Records) -> str:
    """Return the first column that some record has, else the first one that is named, "" for no names."""
    found = (name for name in names if any(value_in(record, name) is not ABSENT for record in records))
    return next(found, names[0] if names else "")


def _properties(
    named: tuple[str, ...] | None, records: Records
) -> tuple[tuple[str, ...] | None, tuple[tuple[str, str], ...]]:
    """Return the columns of properties, and the properties that they are sent as if that is another name.

    `Prop:*` stands for all columns that begin with `Prop:`, which is no part of the property's name.
    """
    if named is None or not any(_is_prefix(name) for name in named):
        return named, ()
    found = dict.fromkeys(key for record in records for key in record)
    prefixes = [name.removesuffix("*") for name in named if _is_prefix(name)]
    pairs = [
        (key, key.removeprefix(prefix)) for prefix in prefixes for key in found if key.startswith(prefix)
    ]
    return tuple(key for key, _ in pairs), tuple(pairs)


def _is_prefix(name: str) -> bool:
    return name.endswith("*") and not name.endswith(MEMBERS)


def _accounts(table: ExportTable, records: Records) -> Iterator[str]:
    """Yield the columns that may name the account, the likeliest first."""
    for name in table.columns.account:
        if name.endswith(MEMBERS):
            inside = name.removesuffix(MEMBERS)
            found = _members(inside, records)
            usual = sorted(filter(_is_usual, found), key=_rank)
            yield from (f"{inside}.{one}" for one in (*usual, *found))
        elif any(value_in(record, name) not in _BLANK for record in records):
            yield name
    for inside in table.columns.account_in:
        found = _members(inside, records)
        yield from (f"{inside}.{one}" for one in sorted(filter(_is_usual, found), key=_rank))


_BLANK: tuple[Any, ...] = (ABSENT, None, "", [])


def _members(path: str, records: Records) -> list[str]:
    """Return the members of an object that are not blank, those that most records have first."""
    counts: Counter[str] = Counter()
    for record in records:
        value = value_in(record, path)
        with suppress(BadRow):  # the row is rejected when its turn comes
            inside = members(value, path, ()) if value is not ABSENT else ()
            counts.update({_ITEM.sub("", name[len(path) + 1 :]) for name, one in inside if one not in _BLANK})
    return [name for name, _ in counts.most_common() if name]


def _is_usual(name: str) -> bool:
    return normal_name(name) in _ACCOUNT_NAMES


def _rank(name: str) -> int:
    return _ACCOUNT_NAMES.index(normal_name(name))
