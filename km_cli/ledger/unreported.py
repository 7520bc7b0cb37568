"""Rejects that no run has reported, because the run that wrote them was cut off.

The cursor stands behind those rows, so the next run does not read them again. It reports them by this table.
"""

from __future__ import annotations

import sqlite3

from km_cli.ledger.damage import decoding, expect


class UnreportedTable:
    """How many rows of each rejects file are not reported yet. `earlier` counts those of earlier runs."""

    def __init__(self, database: sqlite3.Connection, schemas: tuple[str, ...]) -> None:
        self._database = database
        self.earlier: dict[str, int] = {}
        """Rows by the name of the file."""
        query = "SELECT path, rows FROM {}.unreported_rejects ORDER BY path"
        with decoding(database, "unreported_rejects"):
            for name in schemas:
                for row in database.execute(query.format(name)):
                    expect(row, str, int)
                    self.earlier[row[0]] = row[1]
        self._new: tuple[str, int] | None = None

    def keep(self, path: str, rows: int) -> None:
        """Remember how many rows this run wrote to a file; the next `write` makes it durable."""
        self._new = (path, rows + self.earlier.get(path, 0))

    def write(self) -> None:
        """Write the new number; the caller's transaction makes it durable."""
        if self._new:
            self._database.execute("INSERT OR REPLACE INTO main.unreported_rejects VALUES (?, ?)", self._new)
            self._new = None

    @property
    def is_empty(self) -> bool:
        """Whether all rejects are reported."""
        return not self._database.execute("SELECT 1 FROM main.unreported_rejects LIMIT 1").fetchone()

    def clear(self) -> None:
        """Mark all rejects as reported; the caller's transaction makes it durable."""
        self._database.execute("DELETE FROM main.unreported_rejects")
