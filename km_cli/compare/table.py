"""The rows of a log as a table: who did which step in which second, and which actor goes with which account.

The table is a temporary SQLite database that SQLite itself keeps on disk and removes, so that memory does not
grow with the log. Rows are only appended; sorting and joining wait until all are there.

A row of a log names a *group*: an identity of each persona, or of some. What the group does is kept once, and
is an event of each of its identities (the view `moments`). Most rows name a group that was met before.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, compress
from typing import Any

from km_cli.compare.first_times import FirstTimes
from km_cli.memory import Remembered
from km_cli.model import NANOSECONDS

_MOST_IDENTITIES = 1_000_000
_MOST_GROUPS = 500_000
EVENT_BITS = 17
"""Bits for the number of an event, which is below 100,000 (`event_names`). Its rule is in the bits above."""

MOST_WAITING = 20_000
"""Rows that wait in memory before they are written together."""

_IN_ONE_STATEMENT = 300
"""Events that one statement writes, in less than half the time of 300 statements.

A statement has at most 999 values before SQLite 3.32.
"""

_VALUES = 3 * _IN_ONE_STATEMENT
_INSERT_DONE = "INSERT INTO done VALUES " + ", ".join(["(?, ?, ?)"] * _IN_ONE_STATEMENT)

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = FILE;
PRAGMA cache_size = -65536;
CREATE TABLE names (identity INTEGER PRIMARY KEY, persona INTEGER, name TEXT);
CREATE TABLE groups (party INTEGER, identity INTEGER, PRIMARY KEY (party, identity)) WITHOUT ROWID;
CREATE TABLE done (party INTEGER, second INTEGER, event INTEGER);
CREATE TABLE valued (party INTEGER, second INTEGER, value TEXT);
CREATE VIEW moments AS SELECT identity, second, event FROM done CROSS JOIN groups USING (party);
CREATE TABLE pairs (actor INTEGER, other INTEGER);
CREATE TABLE belongs (other INTEGER, actor INTEGER, PRIMARY KEY (other, actor)) WITHOUT ROWID;
CREATE TABLE walked (identity INTEGER PRIMARY KEY, steps INTEGER, second INTEGER);
CREATE TABLE times (place INTEGER, seconds INTEGER);
"""


def coded(event: int, rule: int) -> int:
    """Return an event in the table: its number, and that of the rule that says which personas may do it."""
    return rule << EVENT_BITS | event


def rule_of(event: int) -> int:
    """Return the number of the rule of an event in the table."""
    return event >> EVENT_BITS


class Table:
    """The rows of a log. `personas` are the names of the personas, the actor first.

    With `keeps_firsts` the first times of events are kept as well, by which a funnel is proposed.

    An identity is a number from which its persona can be told: identity modulo the number of personas is the
    place of the persona.
    """

    def __init__(self, personas: Sequence[str], *, keeps_firsts: bool = False) -> None:
        self.personas = tuple(personas)
        self.database = sqlite3.connect("", isolation_level=None)
        self.database.executescript(_TABLES)
        self.database.execute("BEGIN")  # one transaction for all: nothing of it has to last
        self._groups: Remembered[tuple[str, ...], int] = Remembered(_MOST_GROUPS)
        self._known: list[dict[str, int]] = [{} for _ in personas]
        self._next = list(range(len(self.personas)))
        self._is_forgetful = False
        self._names: list[tuple[int, int, str]] = []
        self._members: list[tuple[int, int]] = []
        self._next_group = 0
        self._done: list[int] = []
        self._values: list[tuple[int, int, str]] = []
        self._pairs: list[tuple[int, int]] = []
        self.firsts = FirstTimes(self.database) if keeps_firsts else None

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
            if len(self._names) >= MOST_WAITING:
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

    def group(self, names: tuple[str, ...]) -> int:
        """Return the number of a group: the name of each persona, "" for none."""
        found = self._groups.get(names)
        return self._new_group(names) if found is None else found

    def _new_group(self, names: tuple[str, ...]) -> int:
        """Return the number of a group that is not known, and note who goes with the actor."""
        found = [self.identity(place, name) for place, name in enumerate(names) if name]
        number = self._next_group
        self._next_group += 1
        self._members += [(number, identity) for identity in found]
        if self.firsts is not None:
            self.firsts.add_group(found[0] if names[0] else None)
        if names[0]:
            self._pairs += [(found[0], other) for other in found[1:]]
        if len(self._members) >= MOST_WAITING:
            self._write_groups()
        return self._groups.remember(names, number)

    def take(
        self,
        groups: Sequence[tuple[str, ...]],
        moments: Sequence[int],
        events: Sequence[int],
        rule: int = 0,
    ) -> None:
        """Write events: the names of each group, the moment in ns, and the number of the event, -1 for none.

        `rule` is the number of the rule that says which personas may do these events.

        This runs for every row of a log, so it takes many rows at once and leaves the loops to C.
        """
        numbers: list[Any] = list(map(self._groups.get, groups))
        if None in numbers:
            numbers = list(map(self.group, groups))
        seconds = [moment // NANOSECONDS for moment in moments]
        if self.firsts is not None and seconds:
            self.firsts.note(numbers, seconds, events)
        if rule:
            events = [coded(event, rule) if event >= 0 else event for event in events]
        rows = zip(numbers, seconds, events, strict=True)
        self._done += chain.from_iterable(compress(rows, [event >= 0 for event in events]))
        self._write_done()

    def _write_done(self) -> None:
        """Write the events that wait, but for those that do not fill a statement."""
        done = self._done
        whole = len(done) - len(done) % _VALUES
        for at in range(0, whole, _VALUES):
            self.database.execute(_INSERT_DONE, done[at : at + _VALUES])
        del done[:whole]

    def take_value(self, names: tuple[str, ...], moment: int, value: str) -> None:
        """Keep the value that a group has at a moment, in ns, of the property that is counted by."""
        self._values.append((self.group(names), moment // NANOSECONDS, value))
        if len(self._values) >= MOST_WAITING:
            self._write_values()

    def _write_values(self) -> None:
        self._many("INSERT INTO valued VALUES (?, ?, ?)", self._values)

    def _write_names(self) -> None:
        self._many("INSERT INTO names VALUES (?, ?, ?)", self._names)

    def _write_groups(self) -> None:
        self._many("INSERT INTO groups VALUES (?, ?)", self._members)
        self._many("INSERT INTO pairs VALUES (?, ?)", self._pairs)

    def _many(self, statement: str, rows: list[Any]) -> None:
        self.database.executemany(statement, rows)
        rows.clear()

    def finish(self) -> None:
        """Write all rows that wait. Pairs are kept once."""
        self._write_names()
        self._write_groups()
        self._write_values()
        values = iter(self._done)
        self.database.executemany(
            "INSERT INTO done VALUES (?, ?, ?)", zip(values, values, values, strict=True)
        )
        self._done.clear()
        self.database.execute("INSERT INTO belongs SELECT DISTINCT other, actor FROM pairs ORDER BY 1, 2")
        self.database.execute("DELETE FROM pairs")

    def identities(self, place: int) -> int:
        """Return how many identities a persona has."""
        return self._next[place] // len(self.personas)

    def rows(self, places: Mapping[int, int]) -> Iterator[tuple[int, int, int]]:
        """Yield (identity, second, place of the step), sorted. `places` has the step of each coded event."""
        self.database.execute("CREATE TEMP TABLE steps (event INTEGER PRIMARY KEY, place INTEGER)")
        self.database.executemany("INSERT INTO steps VALUES (?, ?)", places.items())
        try:
            yield from self.database.execute(
                "SELECT identity, second, place FROM done CROSS JOIN steps USING (event)"
                " CROSS JOIN groups USING (party) ORDER BY 1, 2, 3"
            )
        finally:
            self.database.execute("DROP TABLE steps")

    def keep_last(self, most: int) -> Counter[int]:
        """Keep the last instances of each event of an identity; return how many were dropped by persona (D7).

        Two events of one identity in one second are one (D1). Every group has one identity only.
        """
        crowded = self.database.execute(
            "SELECT identity, event, count(DISTINCT second) FROM moments GROUP BY identity, event"
            " HAVING count(*) > ?1 AND count(DISTINCT second) > ?1",
            (most,),
        ).fetchall()
        if crowded:
            self.database.execute("CREATE INDEX by_event ON done (party, event, second)")
            self.database.execute("CREATE INDEX by_identity ON groups (identity)")
        parties = "party IN (SELECT party FROM groups WHERE identity = ?)"
        for identity, event, _ in crowded:
            (oldest,) = self.database.execute(
                f"SELECT DISTINCT second FROM done WHERE {parties} AND event = ?"
                " ORDER BY second DESC LIMIT 1 OFFSET ?",
                (identity, event, most - 1),
            ).fetchone()
            self.database.execute(
                f"DELETE FROM done WHERE {parties} AND event = ? AND second < ?", (identity, event, oldest)
            )
        dropped: Counter[int] = Counter()
        for identity, _, number in crowded:
            dropped[identity % len(self.personas)] += number - most
        return dropped
