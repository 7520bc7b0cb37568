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
from km_cli.model import Properties, split_pairs

_MOST_REMEMBERED = 50_000
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


class Column(dict[str, tuple[bytes, int]]):
    """The digests of a column's values: 8 bytes of name and value, and a number to add up."""

    __slots__ = ("_beginning", "_columns", "_mark", "_new", "_since")

    def __init__(self, name: str, columns: ColumnDigests) -> None:
        self._columns = columns
        self._mark = column_fingerprint(name)
        self._beginning = blake2b(f"{fold_name(name)}\0".encode(), digest_size=8)
        self._since = columns.rows
        self._new = 0

    def __missing__(self, value: str) -> tuple[bytes, int]:
        both = self._beginning.copy()
        both.update(value.encode())
        whole = both.digest()
        found = (self._mark + whole[:4], int.from_bytes(whole))
        self._new += 1
        if self._new > _FEWEST_JUDGED and self._new * 2 > self._columns.rows - self._since:
            self.clear()  # Fewer than half of its values had come before.
        elif len(value) <= _LONGEST_REMEMBERED:
            self[value] = found
            self._columns.remembered += 1
        return found


class ColumnDigests(dict[str, Column]):
    """The digests of the columns of one reading. `rows` is how many rows it had so far.

    All are forgotten when there are too many, as in a `Remembered`. `remembered` is at least their number.
    """

    __slots__ = ("remembered", "rows")

    def __init__(self) -> None:
        self.rows = 0
        self.remembered = 0

    def __missing__(self, name: str) -> Column:
        self.remembered += 1
        column = self[name] = Column(name, self)
        return column

    def digest(self, pairs: Properties) -> tuple[bytes, int]:
        """Return the 8 bytes of each pair of name and value, and the sum of their numbers."""
        if self.remembered > _MOST_REMEMBERED:
            self.clear()
            self.remembered = 0
        parts, total = [], 0
        for name, value in pairs:
            part, number = self[name][value]
            parts.append(part)
            total += number
        return b"".join(parts), total


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


def pairs_of_common_names(pairs: bytes, others: bytes) -> tuple[bytes, bytes]:
    """Return the digests of the properties of two calls, for the names that both have."""
    own, known = dict(split_pairs(pairs)), dict(split_pairs(others))
    names = sorted(own.keys() & known.keys())
    return b"".join([name + own[name] for name in names]), b"".join([name + known[name] for name in names])
