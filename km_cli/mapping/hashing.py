"""Values that stay home: those of personal columns are sent and kept as HMAC-SHA256, under a secret key.

Whoever has the digests alone cannot guess the values, as would be possible for bare digests of e-mail
addresses (RFC 2104). The same value has the same digest in each column, row and run, so that identities still
meet.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from km_cli.errors import InputError
from km_cli.mapping.cells import json_in, text_of
from km_cli.mapping.columns import Columns, PersonaColumns
from km_cli.mapping.nested import ABSENT, BadRow, root, value_at
from km_cli.memory import Remembered
from km_cli.model import Persona, Row

SHORTEST_KEY = 32
"""Bytes: as many as a digest has. A shorter key would be easier to guess than the digest."""

_PREFIX = "h_"
"""Before each digest, so that Kissmetrics reads none as a number (D5), and people see what it is."""

_HASHED = re.compile(_PREFIX + "[0-9a-f]{64}")
_MOST_REMEMBERED = 10_000

Hash = Callable[[str], str]


class Hasher:
    """Hashes texts under one key. `fingerprint` tells keys apart and says nothing about them."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: Remembered[str, str] = Remembered(_MOST_REMEMBERED)
        self.fingerprint = self._digest("km-cli: the key of `hash`")[:16]

    def __repr__(self) -> str:
        return f"Hasher({self.fingerprint})"

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
        self._place = {name: index for index, name in enumerate(found)} if tabular else None
        self._prefixes = tuple(
            len(persona.prefix) if _is_hashed(used, columns.hash) else None
            for used, persona in zip(columns.personas, personas, strict=True)
        )

    def row(self, row: Row) -> Row:
        """Return a row with its values hashed; its `raw` is as before. Raises BadRow."""
        to_hash = self._hash_of(row)
        if self._place is not None:
            cells = list(row.values)
            for name in self._names:
                _in_cells(cells, name, self._place, to_hash)
            return row._replace(values=cells)
        values = row.values
        for name in self._names:
            values = _in_object(values, name, to_hash)
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


def _in_cells(cells: list[str], name: str, place: dict[str, int], to_hash: Hash) -> None:
    """Hash one cell, or a value inside a cell that holds JSON."""
    column = name if name in place else root(name, place)
    if not column:
        return
    at = place[column]
    if column == name:
        cells[at] = to_hash(cells[at])
        return
    value = json_in(cells[at], column)
    if value is not ABSENT:
        made = _in_object({column: value}, name, to_hash)
        cells[at] = json.dumps(made[column], ensure_ascii=False)


def _in_object(values: dict[str, Any], path: str, to_hash: Hash) -> dict[str, Any]:
    """Return an object with one value hashed. Raises BadRow for a value in a list, which cannot be."""
    value, made = value_at(values, path), None
    if value is None or (value is ABSENT and not _meets_list(values, path)):
        return values
    if value is not ABSENT:
        made = _replaced(values, path, _hashed(path, value, to_hash))
    if made is None:
        raise BadRow(
            "nested",
            f"{path[:60]!r} lies in a list or a text, where it cannot be hashed: name the whole column in "
            "columns.hash",
        )
    return made


def _meets_list(values: dict[str, Any], path: str) -> bool:
    """Tell whether a path meets a list, whose elements may have what is to be hashed."""
    key, _, rest = path.partition(".")
    inner = values.get(key)
    return bool(inner) if isinstance(inner, list) else isinstance(inner, dict) and _meets_list(inner, rest)


def _hashed(path: str, value: Any, to_hash: Hash) -> str:
    """Return the digest of a value: of an object or a list, that of its JSON."""
    return to_hash(json.dumps(value) if isinstance(value, dict | list) else text_of(path, value))


def _replaced(values: dict[str, Any], path: str, text: str) -> dict[str, Any] | None:
    """Return an object with another value at a path of objects, None if the path leads through others."""
    if path in values:
        return {**values, path: text}
    key, dot, rest = path.partition(".")
    inner = values.get(key)
    if not dot or not isinstance(inner, dict):
        return None
    made = _replaced(inner, rest, text)
    return None if made is None else {**values, key: made}
