"""Calls that were taken for a known one whose properties changed, until their reading has been read.

They are kept because of what may still come: if the known call itself turns up later in the same
reading, then this one was another call after all, and is sent.
"""

from __future__ import annotations

import json
import sqlite3

from km_cli.model import Filed, Origin, Placed, Record, Row

Key = tuple[int, bytes, int, bytes, bytes]


class ChangedTable:
    """Kept in memory while a batch is planned, written when it commits."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._fresh: dict[Key, Placed | None] = {}
        self._some = database.execute("SELECT 1 FROM main.changed LIMIT 1").fetchone() is not None

    def keep(self, reading: int, filed: Filed, changed: Placed) -> None:
        """Keep `changed`, which this reading took for `filed`."""
        self._fresh[_key(reading, filed)] = changed
        self._some = True

    def take(self, reading: int, filed: Filed) -> Placed | None:
        """Return and forget what this reading took for `filed`."""
        if not self._some:
            return None
        key = _key(reading, filed)
        if key in self._fresh:
            found = self._fresh[key]
        else:
            row = self._database.execute(
                "SELECT source, line, raw, call FROM main.changed "
                "WHERE reading = ? AND person = ? AND second = ? AND deed = ? AND alike = ?",
                key,
            ).fetchone()
            found = _decode(row, filed) if row else None
        if found is not None:
            self._fresh[key] = None
        return found

    def write(self) -> None:
        """Write what changed; the caller's transaction makes it durable."""
        kept = [(*key, *_encode(placed)) for key, placed in self._fresh.items() if placed]
        taken = [key for key, placed in self._fresh.items() if placed is None]
        self._database.executemany("INSERT OR REPLACE INTO main.changed VALUES (?,?,?,?,?,?,?,?,?)", kept)
        self._database.executemany(
            "DELETE FROM main.changed "
            "WHERE reading = ? AND person = ? AND second = ? AND deed = ? AND alike = ?",
            taken,
        )
        self._fresh.clear()

    def forget(self, reading: int) -> None:
        """Drop all of a reading that has been read to its end."""
        if self._some:
            self._database.execute("DELETE FROM main.changed WHERE reading = ?", (reading,))

    def discard(self) -> None:
        """Forget what was not written."""
        self._fresh.clear()


def _key(reading: int, filed: Filed) -> Key:
    return reading, filed.person, filed.second, filed.deed, filed.alike


def _encode(placed: Placed) -> tuple[str, int, bytes, str]:
    row, call = placed.row, placed.call
    return row.source, row.line, row.raw, json.dumps([call, row.origin])


def _decode(row: tuple[str, int, bytes, str], filed: Filed) -> Placed:
    source, line, raw, text = row
    fields, origin = json.loads(text)
    fields[6] = tuple((name, value) for name, value in fields[6])
    return Placed(Row(source, line, raw, None, decode_origin(origin)), Record(*fields), filed)


def decode_origin(fields: list[object] | None) -> Origin | None:
    """Return the origin that was written as a JSON list."""
    if fields is None:
        return None
    reading, owed, columns, delimiter = fields
    assert isinstance(owed, list)
    assert isinstance(columns, list)
    return Origin(str(reading), tuple(owed), tuple(columns), str(delimiter))
