"""A temporary file with both sides of the comparison, so that neither need fit into memory."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from typing import Any

from km_cli.errors import Exhausted
from km_cli.verify.export.seconds import HeldRecord, HeldSecond

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -32768;
PRAGMA temp_store = FILE;
CREATE TABLE held (second INTEGER, person BLOB, event BLOB, pairs BLOB, loose BLOB, file INTEGER,
    line INTEGER);
CREATE TABLE people (person BLOB PRIMARY KEY, identity TEXT, is_ours INTEGER) WITHOUT ROWID;
CREATE TABLE aliases (one BLOB, other BLOB, is_ours INTEGER, PRIMARY KEY (one, other)) WITHOUT ROWID;
CREATE TABLE pending (second INTEGER, person BLOB, event BLOB, pairs BLOB,
    PRIMARY KEY (second, person, event, pairs)) WITHOUT ROWID;
CREATE TABLE moved (second INTEGER, person BLOB, event BLOB, pairs BLOB, reading INTEGER, line INTEGER,
    PRIMARY KEY (second, person, event, pairs)) WITHOUT ROWID;
CREATE TABLE kinds (persona TEXT, event BLOB, day INTEGER, is_ours INTEGER, is_others INTEGER,
    began REAL, ended REAL, PRIMARY KEY (persona, event, day)) WITHOUT ROWID;
CREATE TABLE absent (second INTEGER, event BLOB, person BLOB, pairs BLOB, persona TEXT, reading INTEGER,
    line INTEGER, place INTEGER PRIMARY KEY, other BLOB, record INTEGER, by_alias INTEGER);
CREATE TABLE unknown (second INTEGER, event BLOB, person BLOB, pairs BLOB, loose BLOB, file INTEGER,
    line INTEGER, place INTEGER PRIMARY KEY, is_taken INTEGER DEFAULT 0);
CREATE TABLE days (day INTEGER, event BLOB, outcome TEXT, calls INTEGER,
    PRIMARY KEY (day, event, outcome)) WITHOUT ROWID;
BEGIN;
"""

_CHUNK = 10_000
"""Rows of a table that are inserted at a time."""


class Workspace:
    """The temporary tables. `execute` is that of SQLite, for queries of one table."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(_TABLES)
        self._waiting: dict[str, list[tuple[Any, ...]]] = {}
        self.execute = self._database.execute

    def close(self) -> None:
        """Remove the tables."""
        self._database.close()

    def add(self, statement: str, row: tuple[Any, ...]) -> None:
        """Insert a row later, with many others. `flush` must be called before it is looked for."""
        rows = self._waiting.setdefault(statement, [])
        rows.append(row)
        if len(rows) >= _CHUNK:
            self._insert(statement, rows)

    def flush(self) -> None:
        """Insert the rows that wait."""
        for statement, rows in self._waiting.items():
            self._insert(statement, rows)

    def _insert(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        self._database.executemany(statement, rows)
        rows.clear()

    def held(self) -> Iterator[HeldSecond]:
        """Yield the records of the export by second and person, in order."""
        rows = self.execute("SELECT * FROM held ORDER BY second, person")
        for (second, person), group in groupby(rows, itemgetter(0, 1)):
            yield HeldSecond(second, person, tuple([HeldRecord(*row[2:]) for row in group]))

    def has_held(self, second: int, person: bytes, event: bytes) -> bool:
        """Tell whether the export has a record of this person, second and event."""
        self.execute("CREATE INDEX IF NOT EXISTS held_places ON held (second, person, event)")
        query = "SELECT 1 FROM held WHERE second = ? AND person = ? AND event = ?"
        return self.execute(query, (second, person, event)).fetchone() is not None

    def first(self, query: str, values: Sequence[Any]) -> tuple[Any, ...] | None:
        """Return the first row of a query, None if there is none."""
        found: tuple[Any, ...] | None = self.execute(query, values).fetchone()
        return found

    def update(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Execute a statement for each of the rows."""
        self._database.executemany(statement, rows)


@contextmanager
def room_for_workspace() -> Iterator[None]:
    """Turn an error of the temporary file into one that says what to do. Raises Exhausted."""
    try:
        yield
    except sqlite3.Error as error:
        raise Exhausted(
            f"the temporary file of the comparison cannot be written: {error}",
            f"make room in {tempfile.gettempdir()}, or name a folder that has room: TMPDIR=FOLDER",
        ) from None
