"""The digests of columns and of their values, remembered by column.

The digests of a row and those of its calls are made of the same pairs of name and value, and most values come
again. A column whose values hardly do, such as a time or an id, is not remembered: it would fill the memory.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from hashlib import blake2b
from struct import Struct

from km_cli.kissmetrics import fold_name
from km_cli.model import Properties

_MOST_REMEMBERED = 100_000
_LONGEST_REMEMBERED = 200
"""Characters of a value whose digest is remembered: longer ones seldom repeat, and fill the memory."""

_FEWEST_JUDGED = 1000
"""How many new values a column must have before it is judged by them."""


def digest(size: int, *parts: str) -> bytes:
    """Return a digest of `size` bytes."""
    return blake2b("\0".join(parts).encode(), digest_size=size).digest()


@lru_cache(maxsize=65536)
def column_fingerprint(name: str) -> bytes:
    """Return the 4 bytes by which a fingerprint names a column."""
    return digest(4, fold_name(name))


class _Column(dict[str, tuple[bytes, int]]):
    """The digests of a column's values: 8 bytes of name and value, and a number to add up.

    `new` counts the values that were not remembered. `since` is the number of rows before it.
    """

    __slots__ = ("beginning", "mark", "new", "since")

    def __init__(self, name: str, since: int) -> None:
        self.mark = column_fingerprint(name)
        self.beginning = blake2b(f"{fold_name(name)}\0".encode(), digest_size=8)
        self.since = since
        self.new = 0

    def is_mostly_new(self, rows: int) -> bool:
        """Tell whether fewer than half of its values had come before, up to this number of rows."""
        return self.new > _FEWEST_JUDGED and self.new * 2 > rows - self.since


class ColumnDigests:
    """The digests of the columns of one reading. `rows` is how many rows it had so far."""

    def __init__(self) -> None:
        self.rows = 0
        self._columns: dict[str, _Column] = {}
        self._remembered = 0

    def digest(self, pairs: Properties) -> tuple[bytes, int]:
        """Return the 8 bytes of each pair of name and value, and the sum of their numbers."""
        columns, parts, total = self._columns, [], 0
        for name, value in pairs:
            try:
                part, number = columns[name][value]
            except KeyError:
                part, number = self._digest_new(name, value)
            parts.append(part)
            total += number
        return b"".join(parts), total

    def number(self, name: str, value: str) -> int:
        """Return the number of one pair of name and value."""
        return self.digest(((name, value),))[1]

    def _digest_new(self, name: str, value: str) -> tuple[bytes, int]:
        column = self._column(name)
        both = column.beginning.copy()
        both.update(value.encode())
        whole = both.digest()
        found = (column.mark + whole[:4], int.from_bytes(whole))
        column.new += 1
        if column.is_mostly_new(self.rows):
            self._remembered -= len(column)
            column.clear()
        elif len(value) <= _LONGEST_REMEMBERED:
            self._remembered += 1
            column[value] = found
        return found

    def _column(self, name: str) -> _Column:
        """Return a column; forget all of them if they are full."""
        if self._remembered >= _MOST_REMEMBERED:
            self._columns.clear()
            self._remembered = 0
        known = self._columns.get(name)
        if known is None:
            self._remembered += 1
            known = self._columns[name] = _Column(name, self.rows)
        return known


def different_names(pairs: bytes) -> bytes:
    """Return the digests of the different names in the digests of pairs: Kissmetrics folds some to one."""
    marks = _marks_of(len(pairs) // 8)(pairs)
    return _joined(marks)


@cache
def _marks_of(count: int) -> Callable[[bytes], tuple[bytes, ...]]:
    """Return a function that takes the digests of names out of those of pairs."""
    return Struct("4s4x" * count).unpack


@lru_cache(maxsize=1024)
def _joined(marks: tuple[bytes, ...]) -> bytes:
    return b"".join(dict.fromkeys(marks))
