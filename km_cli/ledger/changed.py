"""Calls that were taken for a known one whose properties changed, kept as long as their reading may grow.

They are kept because of what may still come: if the known call itself turns up later in the same
reading, then this one was another call after all, and is sent.
"""

from __future__ import annotations

import json
import sqlite3

from km_cli.ledger.damage import decoding, expect
from km_cli.model import KnownCall, Origin, PlannedCall, Record, Row

Key = tuple[int, bytes, int, bytes, bytes]


MOST_READINGS = 8
"""How many readings' changed calls are kept, the latest: a nightly export must not fill the disk."""


class ChangedTable:
    """Kept in memory while a batch is planned, written when it commits."""

    def __init__(self, database: sqlite3.Connection, schemas: tuple[str, ...]) -> None:
        self._database = database
        self._fresh: dict[Key, PlannedCall | None] = {}
        self._queries = [
            "SELECT source, line, raw, call "
            f"FROM {name}.changed JOIN {name}.changed_rows USING (reading, source, line) "
            "WHERE reading = ? AND person = ? AND second = ? AND deed = ? AND alike = ?"
            for name in schemas
        ]
        self._some = any(
            database.execute(f"SELECT 1 FROM {name}.changed LIMIT 1").fetchone() for name in schemas
        )

    def keep(self, reading: int, known_call: KnownCall, changed: PlannedCall) -> None:
        """Keep `changed`, which this reading took for `filed`."""
        self._fresh[_key(reading, known_call)] = changed
        self._some = True

    def take(self, reading: int, known_call: KnownCall) -> PlannedCall | None:
        """Return and forget what this reading took for `filed`."""
        if not self._some:
            return None
        key = _key(reading, known_call)
        if key in self._fresh:
            found = self._fresh[key]
        else:
            with decoding(self._database, "changed"):
                rows = (self._database.execute(query, key).fetchone() for query in self._queries)
                row = next(filter(None, rows), None)
                found = _decode(row, known_call) if row else None
        if found is not None:
            self._fresh[key] = None
        return found

    def write(self) -> None:
        """Write what changed; the caller's transaction makes it durable."""
        if not self._fresh:
            return
        kept = [(key, planned) for key, planned in self._fresh.items() if planned]
        self._database.executemany(
            "INSERT OR REPLACE INTO main.changed VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(*key, planned.row.source, planned.row.line, _encode(planned)) for key, planned in kept],
        )
        self._database.executemany(
            "INSERT OR IGNORE INTO main.changed_rows VALUES (?, ?, ?, ?)",
            [(key[0], planned.row.source, planned.row.line, planned.row.raw) for key, planned in kept],
        )
        self._database.executemany(
            "DELETE FROM main.changed "
            "WHERE reading = ? AND person = ? AND second = ? AND deed = ? AND alike = ?",
            [key for key, planned in self._fresh.items() if planned is None],
        )
        self._fresh.clear()

    def forget_old(self) -> None:
        """Drop those of all but the latest readings that have any."""
        if not self._some:
            return
        found = self._database.execute(
            "SELECT DISTINCT reading FROM main.changed ORDER BY reading DESC LIMIT 1 OFFSET ?",
            (MOST_READINGS - 1,),
        ).fetchone()
        if found:
            self._database.execute("DELETE FROM main.changed WHERE reading < ?", found)
            self._database.execute("DELETE FROM main.changed_rows WHERE reading < ?", found)

    @property
    def is_ahead(self) -> bool:
        """Whether something was not written."""
        return bool(self._fresh)

    def discard(self) -> None:
        """Forget what was not written."""
        self._fresh.clear()


def _key(reading: int, known_call: KnownCall) -> Key:
    return reading, known_call.person, known_call.second, known_call.deed, known_call.total


def _encode(planned: PlannedCall) -> str:
    """Return a call as text: with where its row comes from, and what that row is known by."""
    return json.dumps([planned.call, planned.row.origin, planned.known.total.hex(), planned.known.row])


def _decode(row: tuple[str, int, bytes, str], known_call: KnownCall) -> PlannedCall:
    expect(row, str, int, bytes, str)
    source, line, raw, text = row
    fields, origin, *known = json.loads(text)
    fields[6] = tuple((name, value) for name, value in fields[6])
    total, number = known or (b"".hex(), 0)  # those of format 2 say nothing of their rows
    as_read = known_call._replace(total=bytes.fromhex(total), row=number)
    return PlannedCall(Row(source, line, raw, None, decode_origin(origin)), Record(*fields), as_read)


def decode_origin(fields: list[object] | None) -> Origin | None:
    """Return the origin that was written as a JSON list. Raises TypeError, ValueError."""
    if fields is None:
        return None
    expect(fields, str, list, list, str)
    reading, owed, columns, delimiter = fields
    if not isinstance(owed, list) or not isinstance(columns, list):
        raise TypeError("no lists")
    expect(owed, *[str] * len(owed))
    expect(columns, *[str] * len(columns))
    return Origin(str(reading), tuple(owed), tuple(columns), str(delimiter))
