"""Queries: how far each was read when the last batch was committed.

The table is made when the first query is read, so that no other ledger changes: an older km-cli, which reads
no queries, can go on with it. A query that has no place here is read from its beginning; its calls are known
by their ids.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from typing import Any, NamedTuple

from km_cli.ledger.damage import decoding, expect
from km_cli.ledger.sums import check_sum, expect_sum

TABLE = "queries"
_MAKE = (
    "CREATE TABLE IF NOT EXISTS main.queries (query BLOB PRIMARY KEY, name TEXT NOT NULL, "
    "reading INTEGER NOT NULL, value TEXT NOT NULL, ids BLOB NOT NULL, sum INTEGER NOT NULL) WITHOUT ROWID"
)
_DIGEST = 16


class QueryPlace(NamedTuple):
    """How far a query was read. `query` is a digest of its text and settings, `name` that of its reading.

    `reading` is the number of the last reading. `value` is that of the order column in the last row, as JSON
    text, and `ids` are digests of the ids that were read with this value.
    """

    query: bytes
    name: str
    reading: int
    value: str
    ids: frozenset[bytes]


class QueryTable:
    """The queries of a ledger."""

    def __init__(self, database: sqlite3.Connection, schemas: tuple[str, ...]) -> None:
        self._database = database
        self._schemas = schemas
        self._new: dict[bytes, QueryPlace] = {}

    def place(self, query: bytes) -> QueryPlace | None:
        """Return how far a query was read; None if it was not."""
        for schema in self._schemas:
            if not has_queries(self._database, schema):
                continue
            with decoding(self._database, TABLE):
                row = self._database.execute(
                    f"SELECT * FROM {schema}.queries WHERE query = ?", (query,)
                ).fetchone()
                if row:
                    return query_place_from_row(row)
        return None

    def keep(self, place: QueryPlace) -> None:
        """Keep how far a query was read; the next batch that is committed makes it durable."""
        self._new[place.query] = place

    def write(self) -> None:
        """Write the places that were kept; the transaction of the caller makes them durable."""
        if not self._new:
            return
        self._database.execute(_MAKE)
        rows = [(*place[:4], b"".join(sorted(place.ids))) for place in self._new.values()]
        self._database.executemany(
            "INSERT OR REPLACE INTO main.queries VALUES (?, ?, ?, ?, ?, ?)",
            [(*row, check_sum(*row)) for row in rows],
        )
        self._new.clear()

    def discard(self) -> None:
        """Forget what was kept and not written."""
        self._new.clear()


def has_queries(database: sqlite3.Connection, schema: str) -> bool:
    """Tell whether a query was ever read."""
    found = f"SELECT 1 FROM {schema}.sqlite_master WHERE type = 'table' AND name = 'queries'"
    return database.execute(found).fetchone() is not None


def forget_queries(database: sqlite3.Connection, readings: Collection[int]) -> None:
    """Forget how far the queries of these readings were read; the caller's transaction makes it durable."""
    if has_queries(database, "main"):
        database.executemany("DELETE FROM main.queries WHERE reading = ?", [(number,) for number in readings])


def query_place_from_row(row: tuple[Any, ...]) -> QueryPlace:
    """Return the query that a row of the table describes. Raises ValueError if the row is damaged."""
    expect(row, bytes, str, int, str, bytes, int)
    expect_sum(row[-1], *row[:-1])
    query, name, reading, value, ids, _ = row
    if len(ids) % _DIGEST:
        raise ValueError("its ids are cut")
    parts = frozenset(ids[at : at + _DIGEST] for at in range(0, len(ids), _DIGEST))
    return QueryPlace(query, name, reading, value, parts)
