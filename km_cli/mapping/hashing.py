"""Values that stay home: those of personal columns are sent and kept as HMAC-SHA256, under a secret key.

Whoever has the digests alone cannot guess the values, as would be possible for bare digests of e-mail
addresses (RFC 2104). The same value has the same digest in each column, row and run, so that identities still
meet.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from km_cli.errors import InputError
from km_cli.mapping.cells import json_in, text_of
from km_cli.mapping.columns import Columns, PersonaColumns
from km_cli.mapping.nested import ABSENT, BadRow, opened, value_at
from km_cli.memory import Remembered
from km_cli.model import Persona, Row

SHORTEST_KEY = 32
"""Bytes: as many as a digest has. A shorter key would be easier to guess than the digest."""

_PREFIX = "h_"
"""Before each digest, so that Kissmetrics reads none as a number (D5), and people see what it is."""

_HASHED = re.compile(_PREFIX + "[0-9a-f]{64}")
_MOST_REMEMBERED = 10_000

Hash = Callable[[str], str]

Change = Callable[[str, Any], Any]
"""Gives the value that takes the place of another at a path, None if there is none."""


class Hasher:
    """Hashes texts under one key. `fingerprint` tells keys apart and says nothing about them."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: Remembered[str, str] = Remembered(_MOST_REMEMBERED)
        self.fingerprint = self._digest("km-cli: the key of `hash`")[:16]

    def __repr__(self) -> str:
        return f"Hasher({self.fingerprint})"

    def __reduce__(self) -> tuple[type[Hasher], tuple[bytes]]:
        """Leave the values at home that were hashed so far: a task of Spark needs the key alone."""
        return Hasher, (self._key,)

    def hash(self, text: str) -> str:
        """Return the digest of a text without the blanks around it; "" of a blank one."""
        text = text.strip()
        if not text:
            return ""
        return self._known.get(text) or self._known.remember(text, _PREFIX + self._digest(text))

    def hash_once(self, text: str) -> str:
        """Return the digest of a text, or the text if it is a digest: a row may come back as it was kept."""
        return text if _HASHED.fullmatch(text) else self.hash(text)

    def _digest(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), "sha256").hexdigest()


class HashedColumns:
    """Puts digests in the place of the values of `hash` and `drop`, in the rows of one input.

    Values that are dropped are not sent, but rows are compared by them (promise 5), so they are hashed too.
    Where one lies inside a column that is sent, `sent` takes it out.
    """

    def __init__(
        self,
        columns: Columns,
        found: tuple[str, ...],
        personas: Iterable[Persona],
        hasher: Hasher,
        *,
        tabular: bool,
    ) -> None:
        self._hasher = hasher
        self._names = tuple(dict.fromkeys((*columns.hash, *columns.drop)))
        self._dropped_inside = tuple(name for name in columns.drop if "." in name)
        self._place = {name: index for index, name in enumerate(found)} if tabular else None
        self._prefixes = tuple(
            len(persona.prefix) if _is_hashed(used, columns.hash) else None
            for used, persona in zip(columns.personas, personas, strict=True)
        )

    def row(self, row: Row) -> Row:
        """Return a row with its values hashed; its `raw` is as before. Raises BadRow."""
        to_hash = self._hash_of(row)
        return self._changed(row, self._names, lambda path, value: _hashed(path, value, to_hash))

    def sent(self, row: Row) -> Row:
        """Return a hashed row without the values that are dropped inside a column which is sent."""
        return self._changed(row, self._dropped_inside, _removed) if self._dropped_inside else row

    def _changed(self, row: Row, paths: Iterable[str], change: Change) -> Row:
        """Return a row with its values at these paths changed. Raises BadRow."""
        values = row.values
        if self._place is not None:
            cells = list(values)
            for path in paths:
                _in_cells(cells, path, self._place, change)
            return row._replace(values=cells)
        for path in paths:
            values = _in_object(values, path, change)
        return row._replace(values=values)

    def identities(self, row: Row, identities: list[str]) -> list[str]:
        """Return the identities of a row, hashed behind their prefix where their column is."""
        to_hash = self._hash_of(row)
        return [
            identity if length is None or not identity else identity[:length] + to_hash(identity[length:])
            for identity, length in zip(identities, self._prefixes, strict=True)
        ]

    def _hash_of(self, row: Row) -> Hash:
        """Return the function for a row. Only a corrected reject can have digests among its values."""
        return self._hasher.hash if row.origin is None else self._hasher.hash_once


def hashed_columns(
    columns: Columns,
    found: tuple[str, ...],
    personas: Iterable[Persona],
    hasher: Hasher | None,
    *,
    tabular: bool,
) -> HashedColumns | None:
    """Return what hashes the rows of an input, None if nothing in it is hashed.

    Raises InputError if that takes another key than `hasher` has: people would become other people.
    """
    if not columns.hash and not columns.drop:
        return None
    if hasher is None or hasher.fingerprint != columns.hash_key:
        here = "there is none" if hasher is None else "there is another one now"
        raise InputError(
            f"columns of this log were hashed under a key, and {here} (km.toml, columns.hash_key_file)",
            "name the file of the key that the log was imported with: under another key all people would be "
            "other people",
        )
    return HashedColumns(columns, found, personas, hasher, tabular=tabular)


def _is_hashed(used: PersonaColumns, names: tuple[str, ...]) -> bool:
    return any(name in names for name in used.identities)


def _in_cells(cells: list[str], path: str, place: dict[str, int], change: Change) -> None:
    """Change the cell of this name, and the values in cells that hold JSON. Raises BadRow."""
    if path in place:
        at = place[path]
        cells[at] = change(path, cells[at]) or ""
    for column, at in _outer_columns(path, place):
        value = json_in(cells[at], column)
        if value is ABSENT:
            continue
        values = {column: value}
        made = _in_object(values, path, change)
        if made is not values:
            cells[at] = json.dumps(made[column], ensure_ascii=False)


def _outer_columns(path: str, place: dict[str, int]) -> Iterator[tuple[str, int]]:
    """Yield the columns in which a path may lie, with their places."""
    for column, _ in _splits(path):
        if column in place:
            yield column, place[column]


def _splits(path: str) -> Iterator[tuple[str, str]]:
    """Yield each way to read a path as a key and the rest of the path: names may have dots of their own."""
    at = path.find(".")
    while at >= 0:
        yield path[:at], path[at + 1 :]
        at = path.find(".", at + 1)


def _in_object(values: dict[str, Any], path: str, change: Change) -> dict[str, Any]:
    """Return an object with the values at a path changed, wherever the path leads; the same one if to none.

    The mapping would read the first of them, and the others would leave in clear. Raises BadRow for a list
    and for a text that holds one: their items may have the value.
    """
    made = values
    if values.get(path) is not None:
        made = {name: value for name, value in values.items() if name != path}
        if (changed := change(path, values[path])) is not None:
            made = {**values, path: changed}
    for key, rest in _splits(path):
        inner = made.get(key)
        if isinstance(inner, dict):
            changed_inner = _in_object(inner, rest, change)
            if changed_inner is not inner:
                made = {**made, key: changed_inner}
        elif _may_have(inner, rest):
            raise BadRow(
                "nested",
                f"{path[:60]!r} lies in a list or a text, where it cannot be hashed: name the whole column "
                "in columns.hash",
            )
    return made


def _may_have(inner: Any, rest: str) -> bool:
    """Tell whether a value may have another in it at a path: in a list, or in a text that holds JSON."""
    if isinstance(inner, str):
        inner = opened(inner, "")
        if isinstance(inner, dict):
            return value_at(inner, rest) is not ABSENT
    return isinstance(inner, list) and bool(inner)


def _hashed(path: str, value: Any, to_hash: Hash) -> str:
    """Return the digest of a value: of an object or a list, that of its JSON."""
    return to_hash(json.dumps(value) if isinstance(value, dict | list) else text_of(path, value))


def _removed(_path: str, _value: Any) -> None:
    """Change a value to none."""
