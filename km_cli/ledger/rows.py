"""The rows that calls were planned from: the place of each, and a digest of each of its columns.

The totals of two rows show whether they are alike in every column, and the totals are kept with the calls.
The digests of columns are needed only if one log has a column that the other has not, or to name the columns
in which two rows differ. They are many bytes that are seldom read, so the rows of a batch are compressed
together.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from struct import Struct

from km_cli.ledger.damage import decoding, expect
from km_cli.memory import Remembered
from km_cli.model import KnownRow

_ROW = Struct(">IQI")
_LEVEL = 1
_MOST_BATCHES = 8


class RowTable:
    """The rows of a ledger: kept in memory while a batch is planned, written when it commits.

    `schemas` are searched for a row; writes go to the first. Numbers begin with 1 and grow.
    """

    def __init__(self, database: sqlite3.Connection, schemas: tuple[str, ...]) -> None:
        self._database = database
        self._new: list[KnownRow] = []
        self._batches: Remembered[int, list[KnownRow]] = Remembered(_MOST_BATCHES)
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
        self._new.append(row)
        return self._next + len(self._new) - 1

    def row(self, number: int) -> KnownRow | None:
        """Return the row with this number, if there is one."""
        if number >= self._next:
            new_at = number - self._next
            return self._new[new_at] if new_at < len(self._new) else None
        with decoding(self._database, "rows"):
            for query in self._queries:
                batch = self._database.execute(query, (number,)).fetchone()
                if batch is not None:
                    expect(batch, int, bytes)
                    rows = self._unpack(*batch)
                    at: int = number - batch[0]
                    if at < len(rows):
                        return rows[at]
        return None

    def _unpack(self, first: int, body: bytes) -> list[KnownRow]:
        known = self._batches.get(first)
        return self._batches.remember(first, list(unpack_rows(body))) if known is None else known

    def write(self) -> None:
        """Write the new rows; the caller's transaction makes them durable."""
        if not self._new:
            return
        row = (self._next, len(self._new), pack_rows(self._new))
        self._database.execute("INSERT INTO main.rows (first, count, body) VALUES (?, ?, ?)", row)
        self._next += len(self._new)
        self._new = []

    @property
    def is_ahead(self) -> bool:
        """Whether rows are not written yet."""
        return bool(self._new)

    def discard(self) -> None:
        """Forget the rows that were not written."""
        self._new = []


def pack_rows(rows: list[KnownRow]) -> bytes:
    """Return rows as bytes, compressed: the digests of names are the same in every row."""
    return zlib.compress(
        b"".join([_ROW.pack(reading, line, len(columns) // 8) + columns for reading, line, columns in rows]),
        _LEVEL,
    )


def unpack_rows(body: bytes) -> Iterator[KnownRow]:
    """Yield the rows that `pack_rows` packed."""
    data, at = zlib.decompress(body), 0
    while at < len(data):
        reading, line, count = _ROW.unpack_from(data, at)
        at += _ROW.size
        yield KnownRow(reading, line, data[at : at + 8 * count])
        at += 8 * count
