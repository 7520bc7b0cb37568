"""The values of properties that a persona's `set` follows: each that was sent, and the rows that have it.

Rows come in any order, and again in later files. With the moments of the first and the last row that have a
value, planning can tell a change from a row that it has seen, and from an older row that must not overwrite a
newer value. There is one row of the table for each value that was sent, so it grows with the changes, not
with the log.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from itertools import takewhile

from km_cli.ledger.damage import decoding, expect, expect_size
from km_cli.ledger.sums import check_sum, expect_sum
from km_cli.model import NANOSECONDS, KnownValue

_MOST_CACHED = 100_000
_LAST_PLACE = 0xFFFF_FFFF
_NO_MOMENT = 0x7FFF_FFFF_FFFF_FFFF
"""Later than every moment that a log can have."""

_QUERY = (
    "SELECT moment, place, first, last, taken, value, sum FROM {}.property_values "
    "WHERE property = ? AND (moment, place) {} (?, ?) ORDER BY moment {}, place {} LIMIT 1"
)

Place = tuple[int, int]
"""The moment of a value and its place among the values of that moment."""


class ValueTable:
    """Changed in memory while a batch is planned, written when it commits.

    `schemas` are searched in this order; writes go to the first. Nothing is forgotten under an overlay.
    """

    def __init__(self, database: sqlite3.Connection, schemas: tuple[str, ...]) -> None:
        self._database = database
        self._schema = schemas[-1]
        self._earlier = [_QUERY.format(name, "<", "DESC", "DESC") for name in schemas]
        self._later = [_QUERY.format(name, ">", "ASC", "ASC") for name in schemas]
        self._has_any_on_disk = any(
            database.execute(f"SELECT 1 FROM {name}.property_values LIMIT 1").fetchone() for name in schemas
        )
        self._latest: dict[bytes, KnownValue | None] = {}
        """The latest value of each property: in a log that is in order of time, no other one is asked for."""
        self._dirty: defaultdict[bytes, dict[Place, KnownValue | None]] = defaultdict(dict)
        """The changes that are not written yet; None for a value that was forgotten."""

    @property
    def is_empty(self) -> bool:
        """Whether no value was ever sent because it changed."""
        return not (self._has_any_on_disk or self._dirty)

    def until(self, key: bytes, moment: int) -> Iterator[KnownValue]:
        """Yield the values that were sent from rows of this moment or of earlier ones, the latest first."""
        value = self._latest_of(key)
        if value is not None and value.moment > moment:
            value = self._nearest(key, (moment, _LAST_PLACE), is_later=False)
        while value is not None:
            yield value
            value = self._nearest(key, value[:2], is_later=False)

    def after(self, key: bytes, moment: int) -> KnownValue | None:
        """Return the earliest value that was sent from a row of a later moment."""
        latest = self._latest_of(key)
        if latest is None or latest.moment <= moment:
            return None
        return self._nearest(key, (moment, _LAST_PLACE), is_later=True)

    def all(self) -> Iterator[tuple[bytes, KnownValue]]:
        """Yield all values on disk, each with its key."""
        query = f"SELECT * FROM {self._schema}.property_values"
        with decoding(self._database, "property_values"):
            for key, *values, found in self._database.execute(query):
                expect((key, *values, found), bytes, int, int, int, int, int, bytes, int)
                expect_sum(found, key, *values)
                yield key, KnownValue(*values)

    def put(self, key: bytes, value: KnownValue) -> None:
        """Keep a value, for now in memory."""
        latest = self._latest_of(key)
        self._dirty[key][value[:2]] = value
        if latest is None or value[:2] >= latest[:2]:
            self._latest[key] = value

    def forget(self, key: bytes, second: int, taken: int, value: bytes) -> None:
        """Forget the value of a refused call: `second` is that of its row, and it was sent with `taken`.

        `value` are the first 4 bytes of its digest. Only values of that second are read: a property may have
        as many values as a log has rows, and each of them may be refused.
        """
        begin = second * NANOSECONDS
        of_second = takewhile(lambda one: one.moment >= begin, self.until(key, begin + NANOSECONDS - 1))
        for one in list(of_second):
            if one.taken == taken and one.value[:4] == value:
                self._dirty[key][one[:2]] = None
                self._latest.pop(key, None)

    def _latest_of(self, key: bytes) -> KnownValue | None:
        if key not in self._latest:
            self._latest[key] = self._nearest(key, (_NO_MOMENT, 0), is_later=False)
        return self._latest[key]

    def _nearest(self, key: bytes, place: Place, *, is_later: bool) -> KnownValue | None:
        """Return the value that stands next to a place, after it or before it."""
        dirty = self._dirty.get(key, {})
        found = [
            value
            for at, value in dirty.items()
            if value is not None and (at > place if is_later else at < place)
        ]
        if self._has_any_on_disk:
            for query in self._later if is_later else self._earlier:
                found += self._stored(query, key, place, dirty)
        # Of two with one place the first is returned, which is the newer one.
        choose = min if is_later else max
        return choose(found, key=lambda value: value[:2]) if found else None

    def _stored(
        self, query: str, key: bytes, place: Place, dirty: dict[Place, KnownValue | None]
    ) -> Iterator[KnownValue]:
        """Yield the nearest value on disk that is not changed in memory, if there is one."""
        with decoding(self._database, "property_values"):
            while row := self._database.execute(query, (key, *place)).fetchone():
                expect(row, int, int, int, int, int, bytes, int)
                expect_sum(row[-1], key, *row[:-1])
                expect_size(row[5], 4, 8)
                value = KnownValue._make(row[:-1])
                if value[:2] not in dirty:
                    yield value
                    return
                place = value[:2]

    def write(self) -> None:
        """Write the changes; the caller's transaction makes them durable."""
        if self._dirty:
            self._write_changes()
        # Not `Remembered`, which might forget a change before it is written: this is emptied only here.
        if len(self._latest) > _MOST_CACHED:
            self._latest.clear()

    def _write_changes(self) -> None:
        changes = [(key, at, value) for key in sorted(self._dirty) for at, value in self._dirty[key].items()]
        self._database.executemany(
            "INSERT OR REPLACE INTO main.property_values VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(key, *value, check_sum(key, *value)) for key, _, value in changes if value is not None],
        )
        self._database.executemany(
            "DELETE FROM main.property_values WHERE property = ? AND moment = ? AND place = ?",
            [(key, *at) for key, at, value in changes if value is None],
        )
        self._dirty.clear()
        self._has_any_on_disk = True

    @property
    def is_ahead(self) -> bool:
        """Whether changes are in memory alone."""
        return bool(self._dirty)

    def discard(self) -> None:
        """Forget the changes that were not written."""
        self._dirty.clear()
        self._latest.clear()
