"""The calls of rows that were taken for a known call with changed values.

That is a guess (see `planning.matching`). If a later row of the same reading is exactly the known call, the
first row was another event, and its call is sent after all. So such calls are kept as long as their reading
may grow.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from km_cli.ledger.damage import decoding, expect
from km_cli.model import ChangedCall, KnownCall, Origin, Properties, Record, Row, Set

Key = tuple[int, bytes, int, bytes, bytes]
"""The reading, and person, second, deed and total of the known call."""

MOST_CHANGED_READINGS = 8
"""How many readings keep their changed calls, the latest ones: a nightly export must not fill the disk."""


class ChangedTable:
    """Kept in memory while a batch is planned, written when it commits."""

    def __init__(self, database: sqlite3.Connection, schemas: tuple[str, ...]) -> None:
        self._database = database
        self._new: dict[Key, ChangedCall | None] = {}
        """The changes that are not written yet; None for a call that was taken."""
        self._taken: set[Key] | None = set() if len(schemas) > 1 else None
        """Under an overlay, the calls that were taken. The ledger below still has them, and is only read."""
        self._queries = [
            "SELECT source, line, raw, call "
            f"FROM {name}.changed_calls JOIN {name}.changed_rows USING (reading, source, line) "
            "WHERE reading = ? AND person = ? AND second = ? AND deed = ? AND total = ?"
            for name in schemas
        ]
        self._has_any = any(
            database.execute(f"SELECT 1 FROM {name}.changed_calls LIMIT 1").fetchone() for name in schemas
        )

    @property
    def has_any(self) -> bool:
        """Whether any call is kept, or was when this run began."""
        return self._has_any

    def keep(self, reading: int, known_call: KnownCall, changed: ChangedCall) -> None:
        """Keep the call of a row that this reading took for `known_call`."""
        self._new[_key(reading, known_call)] = changed
        self._has_any = True

    def take(self, reading: int, known_call: KnownCall) -> ChangedCall | None:
        """Return and forget the call that was kept for this reading and `known_call`."""
        if not self._has_any:
            return None
        key = _key(reading, known_call)
        kept = self._new[key] if key in self._new else self._load(key)
        if kept is not None:
            self._new[key] = None
        return kept

    def _load(self, key: Key) -> ChangedCall | None:
        if self._taken and key in self._taken:
            return None
        with decoding(self._database, "changed_calls"):
            rows = (self._database.execute(query, key).fetchone() for query in self._queries)
            row = next(filter(None, rows), None)
            return _decode(row) if row else None

    def write(self) -> None:
        """Write the changes; the caller's transaction makes them durable."""
        if not self._new:
            return
        kept = [(key, changed) for key, changed in self._new.items() if changed]
        taken = [key for key, changed in self._new.items() if changed is None]
        self._database.executemany(
            "INSERT OR REPLACE INTO main.changed_calls VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(*key, changed.row.source, changed.row.line, _encode(changed)) for key, changed in kept],
        )
        self._database.executemany(
            "INSERT OR IGNORE INTO main.changed_rows VALUES (?, ?, ?, ?)",
            [(key[0], changed.row.source, changed.row.line, changed.row.raw) for key, changed in kept],
        )
        self._database.executemany(
            "DELETE FROM main.changed_calls "
            "WHERE reading = ? AND person = ? AND second = ? AND deed = ? AND total = ?",
            taken,
        )
        if self._taken is not None:
            self._taken.update(taken)
            self._taken.difference_update([key for key, _ in kept])
        self._new.clear()

    def forget_old(self) -> None:
        """Drop the calls of all but the latest readings that have any."""
        if not self._has_any:
            return
        oldest_kept = self._database.execute(
            "SELECT DISTINCT reading FROM main.changed_calls ORDER BY reading DESC LIMIT 1 OFFSET ?",
            (MOST_CHANGED_READINGS - 1,),
        ).fetchone()
        if oldest_kept:
            self._database.execute("DELETE FROM main.changed_calls WHERE reading < ?", oldest_kept)
            self._database.execute("DELETE FROM main.changed_rows WHERE reading < ?", oldest_kept)

    @property
    def is_ahead(self) -> bool:
        """Whether changes are not written yet."""
        return bool(self._new)

    def discard(self) -> None:
        """Forget the changes that were not written."""
        self._new.clear()


def _key(reading: int, known_call: KnownCall) -> Key:
    return reading, known_call.person, known_call.second, known_call.deed, known_call.total


def _encode(changed: ChangedCall) -> str:
    """Return a call as JSON, with origin, fingerprint and number of its row, and its properties."""
    fields: list[object] = [changed.call, changed.row.origin, changed.total.hex(), changed.number]
    return json.dumps([*fields, changed.sets] if changed.sets else fields)


def _decode(values: tuple[str, int, bytes, str]) -> ChangedCall:
    expect(values, str, int, bytes, str)
    source, line, raw, text = values
    fields, origin, *known = json.loads(text)
    fields[6] = _properties(fields[6])
    total, number, *kept = known or (b"".hex(), 0)  # Format 2 kept neither fingerprint nor number of the row.
    row = Row(source, line, raw, None, decode_origin(origin))
    sets = tuple(_set(*one) for one in kept[0]) if kept else ()
    return ChangedCall(row, Record(*fields), bytes.fromhex(total), number, sets)


def _properties(pairs: list[list[str]]) -> Properties:
    return tuple((name, value) for name, value in pairs)


def _set(*fields: Any) -> Set:
    return Set(*fields)._replace(properties=_properties(fields[5]))


def decode_origin(fields: list[object] | None) -> Origin | None:
    """Return the origin that was written as a JSON list. Raises TypeError, ValueError."""
    if fields is None:
        return None
    expect(fields, str, list, list, str)
    reading, owed, columns, delimiter = fields
    if not isinstance(owed, list) or not isinstance(columns, list):
        raise TypeError("not lists")
    expect(owed, *[str] * len(owed))
    expect(columns, *[str] * len(columns))
    return Origin(str(reading), tuple(owed), tuple(columns), str(delimiter))
