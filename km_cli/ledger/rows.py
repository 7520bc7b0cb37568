"""The rows that calls were planned from: where each stands, and a digest of each of its columns.

A row's sum tells whether another is alike in every column. These digests are read only when one log has a
column that the other has not, and when rows differ: to say in which columns. So they are packed by batch.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from struct import Struct

from km_cli.ledger.damage import decoding, expect
from km_cli.model import KnownRow

_ROW = Struct(">IQI")
_LEVEL = 1
_MOST_BATCHES = 8


class RowTable:
    """The rows of a ledger, kept in memory while a batch is planned, written when it commits.

    `schemas` are searched for a row; writes go to the first. Numbers begin with 1 and grow.
    """

    def __init__(self, database: sqlite3.Connection, schemas: tuple[str, ...]) -> None:
        self._database = database
        self._fresh: list[KnownRow] = []
        self._batches: dict[int, list[KnownRow]] = {}
        self._queries = [
            f"SELECT first, body FROM {name}.rows WHERE first <= ? ORDER BY first DESC LIMIT 1"
            for name in schemas
        ]
        # A dry run's own rows follow those of the ledger, so that no number is given twice.
        self._next: int = 1 + max(
            database.execute(f"SELECT coalesce(max(first + count - 1), 0) FROM {name}.rows").fetchone()[0]
            for name in schemas
        )

    def keep(self, row: KnownRow) -> int:
        """Keep a row; return its number."""
        self._fresh.append(row)
        return self._next + len(self._fresh) - 1

    def row(self, number: int) -> KnownRow | None:
        """Return the row with this number, if there is one."""
        if number >= self._next:
            at = number - self._next
            return self._fresh[at] if at < len(self._fresh) else None
        with decoding(self._database, "rows"):
            for query in self._queries:
                found = self._database.execute(query, (number,)).fetchone()
                if found is not None:
                    expect(found, int, bytes)
                    rows = self._unpacked(*found)
                    behind: int = number - found[0]
                    if behind < len(rows):
                        return rows[behind]
        return None

    def _unpacked(self, first: int, body: bytes) -> list[KnownRow]:
        known = self._batches.get(first)
        if known is None:
            if len(self._batches) >= _MOST_BATCHES:
                self._batches.clear()
            known = self._batches[first] = list(unpack_rows(body))
        return known

    def write(self) -> None:
        """Write what is new; the caller's transaction makes it durable."""
        if not self._fresh:
            return
        row = (self._next, len(self._fresh), pack_rows(self._fresh))
        self._database.execute("INSERT INTO main.rows (first, count, body) VALUES (?, ?, ?)", row)
        self._next += len(self._fresh)
        self._fresh = []

    @property
    def is_ahead(self) -> bool:
        """Whether something was not written."""
        return bool(self._fresh)

    def discard(self) -> None:
        """Forget what was not written."""
        self._fresh = []


def pack_rows(rows: list[KnownRow]) -> bytes:
    """Return rows as bytes, compressed: the digests of names are the same in every row."""
    return zlib.compress(
        b"".join([_ROW.pack(reading, line, len(columns) // 8) + columns for reading, line, columns in rows]),
        _LEVEL,
    )


def unpack_rows(body: bytes) -> Iterator[KnownRow]:
    """Yield what `pack_rows` was given."""
    data, at = zlib.decompress(body), 0
    while at < len(data):
        reading, line, count = _ROW.unpack_from(data, at)
        at += _ROW.size
        yield KnownRow(reading, line, data[at : at + 8 * count])
        at += 8 * count
