"""The rows of a log as a table: who did which step in which second, and which actor goes with which account.

The table is a temporary SQLite database that SQLite itself keeps on disk and removes, so that memory does not
grow with the log. Rows are only appended; sorting and joining wait until all are there.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from km_cli.memory import Remembered

_MOST_IDENTITIES = 1_000_000
_MOST_PAIRS = 500_000
_MOST_FIRSTS = 500_000
_MOST_WAITING = 20_000
"""Rows that wait in memory before they are written together."""

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = FILE;
PRAGMA cache_size = -65536;
CREATE TABLE names (identity INTEGER PRIMARY KEY, persona INTEGER, name TEXT);
CREATE TABLE moments (identity INTEGER, second INTEGER, event INTEGER);
CREATE TABLE firsts (identity INTEGER, second INTEGER, value TEXT);
CREATE TABLE pairs (actor INTEGER, other INTEGER);
CREATE TABLE belongs (other INTEGER, actor INTEGER, PRIMARY KEY (other, actor)) WITHOUT ROWID;
CREATE TABLE walked (identity INTEGER PRIMARY KEY, steps INTEGER, second INTEGER);
CREATE TABLE times (place INTEGER, seconds INTEGER);
"""


class Table:
    """The rows of a log. `personas` are the names of the personas, the actor first.

    An identity is a number from which its persona can be told: identity modulo the number of personas is the
    place of the persona.
    """

    def __init__(self, personas: Sequence[str]) -> None:
        self.personas = tuple(personas)
        self.database = sqlite3.connect("", isolation_level=None)
        self.database.executescript(_TABLES)
        self.database.execute("BEGIN")  # one transaction for all: nothing of it has to last
        self._known: list[dict[str, int]] = [{} for _ in personas]
        self._next = list(range(len(self.personas)))
        self._is_forgetful = False
        self._names: list[tuple[int, int, str]] = []
        self._moments: list[tuple[int, int, int]] = []
        self._values: list[tuple[int, int, str]] = []
        self._pairs: list[tuple[int, int]] = []
        self._seen: Remembered[tuple[int, int], bool] = Remembered(_MOST_PAIRS)
        self._firsts: Remembered[int, int] = Remembered(_MOST_FIRSTS)

    def close(self) -> None:
        """Remove the table."""
        self.database.close()

    def identity(self, place: int, name: str) -> int:
        """Return the number of an identity of the persona at this place."""
        found = self._known[place].get(name)
        return self._new_identity(place, name) if found is None else found

    def _new_identity(self, place: int, name: str) -> int:
        found = self._stored(place, name) if self._is_forgetful else None
        if found is None:
            found = self._next[place]
            self._next[place] += len(self.personas)
            self._names.append((found, place, name))
            if len(self._names) >= _MOST_WAITING:
                self._write_names()
        if sum(map(len, self._known)) >= _MOST_IDENTITIES:
            self._forget()
        self._known[place][name] = found
        return found

    def _forget(self) -> None:
        """Forget the identities. From now on they are looked up, so that each keeps its number."""
        self._write_names()
        self.database.execute("CREATE UNIQUE INDEX IF NOT EXISTS by_name ON names (persona, name)")
        self._is_forgetful = True
        for known in self._known:
            known.clear()

    def _stored(self, place: int, name: str) -> int | None:
        if self._names:
            self._write_names()
        row = self.database.execute(
            "SELECT identity FROM names WHERE persona = ? AND name = ?", (place, name)
        ).fetchone()
        return None if row is None else int(row[0])

    def add(self, identity: int, second: int, event: int) -> None:
        """Add an event of an identity."""
        self._moments.append((identity, second, event))
        if len(self._moments) >= _MOST_WAITING:
            self._write_moments()

    def add_first(self, identity: int, second: int, value: str | None) -> None:
        """Add step one of an identity, with the value that it is grouped by. Only the first time counts."""
        known = self._firsts.get(identity)
        if known is not None and (second > known or (second == known and value is None)):
            return
        self._firsts.remember(identity, second)
        if value is not None:
            self._values.append((identity, second, value))
        self.add(identity, second, 0)

    def pair(self, actor: int, other: int) -> None:
        """Note that an actor goes with an identity of another persona."""
        pair = (actor, other)
        if pair in self._seen:
            return
        self._seen.remember(pair, True)
        self._pairs.append(pair)
        if len(self._pairs) >= _MOST_WAITING:
            self._write_pairs()

    def _write_names(self) -> None:
        self._many("INSERT INTO names VALUES (?, ?, ?)", self._names)

    def _write_moments(self) -> None:
        self._many("INSERT INTO moments VALUES (?, ?, ?)", self._moments)
        self._many("INSERT INTO firsts VALUES (?, ?, ?)", self._values)

    def _write_pairs(self) -> None:
        self._many("INSERT INTO pairs VALUES (?, ?)", self._pairs)

    def _many(self, statement: str, rows: list[Any]) -> None:
        self.database.executemany(statement, rows)
        rows.clear()

    def finish(self) -> None:
        """Write all rows that wait. Pairs are kept once."""
        self._write_names()
        self._write_moments()
        self._write_pairs()
        self.database.execute("INSERT INTO belongs SELECT DISTINCT other, actor FROM pairs ORDER BY 1, 2")
        self.database.execute("DELETE FROM pairs")

    def identities(self, place: int) -> int:
        """Return how many identities a persona has."""
        return self._next[place] // len(self.personas)

    def rows(self, places: Sequence[int]) -> Iterator[tuple[int, int, int]]:
        """Yield (identity, second, place of the step), sorted. `places` has the step of each event or -1."""
        self.database.execute("CREATE TEMP TABLE steps (event INTEGER PRIMARY KEY, place INTEGER)")
        wanted = [(event, place) for event, place in enumerate(places) if place >= 0]
        self.database.executemany("INSERT INTO steps VALUES (?, ?)", wanted)
        try:
            yield from self.database.execute(
                "SELECT identity, second, place FROM moments CROSS JOIN steps USING (event) ORDER BY 1, 2, 3"
            )
        finally:
            self.database.execute("DROP TABLE steps")

    def keep_last(self, most: int) -> Counter[int]:
        """Keep the last instances of each event of an identity; return how many were dropped by persona (D7).

        Two events of one identity in one second are one (D1).
        """
        crowded = self.database.execute(
            "SELECT identity, event, count(DISTINCT second) FROM moments GROUP BY identity, event"
            " HAVING count(*) > ?1 AND count(DISTINCT second) > ?1",
            (most,),
        ).fetchall()
        if crowded:
            self.database.execute("CREATE INDEX by_event ON moments (identity, event, second)")
        for identity, event, _ in crowded:
            (oldest,) = self.database.execute(
                "SELECT DISTINCT second FROM moments WHERE identity = ? AND event = ?"
                " ORDER BY second DESC LIMIT 1 OFFSET ?",
                (identity, event, most - 1),
            ).fetchone()
            self.database.execute(
                "DELETE FROM moments WHERE identity = ? AND event = ? AND second < ?",
                (identity, event, oldest),
            )
        dropped: Counter[int] = Counter()
        for identity, _, number in crowded:
            dropped[identity % len(self.personas)] += number - most
        return dropped
