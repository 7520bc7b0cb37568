"""When each actor first did each event, noted as rows are taken: a funnel is proposed by these times.

They stay in memory as long as they are few: a table of them costs several times as much as noting them.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, groupby
from operator import itemgetter

_NO_ACTOR = -1
_MOST_IN_MEMORY = 500_000

_BITS = tuple(1 << event for event in range(64))
"""A bit for each of the first events of a log. The last one is for all rows without an event (-1)."""

_MARKED = len(_BITS) - 1
"""How many events have a bit of their own. Events are numbered as they turn up: frequent ones have one."""

_TABLE = """CREATE TABLE first_times (
    actor INTEGER, event INTEGER, second INTEGER, PRIMARY KEY (actor, event)) WITHOUT ROWID"""
_ADD = """INSERT INTO first_times VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET second = min(second, excluded.second)"""
_CANDIDATES = "CREATE TEMP TABLE candidates (event INTEGER PRIMARY KEY, place INTEGER)"
_BY_ACTOR = """SELECT actor, second, place FROM first_times CROSS JOIN candidates USING (event)
ORDER BY actor, second, place"""


class FirstTimes:
    """The first second of each event of each actor: in memory, or in a table of the database for many."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._actors = array("q")
        self._marks = array("Q")  # for each group a bit for each event that was noted
        self._seconds: defaultdict[int, dict[int, int]] = defaultdict(dict)
        self._in_memory = 0
        self._latest = 0
        self._has_table = False

    def add_group(self, actor: int | None) -> None:
        """Note the actor of the next group, by its number; None if the group has none."""
        self._actors.append(_NO_ACTOR if actor is None else actor)
        self._marks.append(0)

    def note(self, groups: Sequence[int], seconds: Sequence[int], events: Sequence[int]) -> None:
        """Note events by the number of each one's group, its second, and its own number, -1 for none.

        This runs for every row of a log. In a log in order of time only the first of each kind is looked at.
        """
        rows: Iterable[tuple[int, int, int]] = zip(groups, seconds, events, strict=True)
        if seconds[0] >= self._latest and sorted(seconds) == seconds:
            marks = self._marks
            rows = [row for row in rows if row[2] >= _MARKED or not marks[row[0]] & _BITS[row[2]]]
        self._note_all(rows)
        self._latest = max(self._latest, max(seconds))
        if self._in_memory > _MOST_IN_MEMORY:
            self._write()

    def _note_all(self, rows: Iterable[tuple[int, int, int]]) -> None:
        actors, marks, firsts = self._actors, self._marks, self._seconds
        for group, second, event in rows:
            if event < _MARKED:
                marks[group] |= _BITS[event]
            actor = actors[group]
            if actor < 0 or event < 0:
                continue
            known = firsts[event].get(actor)
            if known is None:
                self._in_memory += 1
            if known is None or second < known:
                firsts[event][actor] = second

    def _write(self) -> None:
        """Move the times from memory into the table."""
        if not self._has_table:
            self._database.execute(_TABLE)
            self._has_table = True
        rows = [
            (actor, event, second)
            for event, times in self._seconds.items()
            for actor, second in times.items()
        ]
        self._database.executemany(_ADD, sorted(rows))
        self._seconds.clear()
        self._in_memory = 0

    def numbers(self) -> dict[int, int]:
        """Return how many actors did each event. Nothing may be noted after this."""
        if not self._has_table:
            return {event: len(times) for event, times in self._seconds.items()}
        self._write()
        return dict(self._database.execute("SELECT event, count(*) FROM first_times GROUP BY event"))

    def by_actor(self, events: Sequence[int]) -> Iterator[list[tuple[int, int]]]:
        """Yield, for each actor that did any of these events, when it did which for the first time.

        They are pairs of a second and the place of the event in `events`, sorted. Ask for the numbers first.
        """
        return self._from_table(events) if self._has_table else self._from_memory(events)

    def _from_table(self, events: Sequence[int]) -> Iterator[list[tuple[int, int]]]:
        self._database.execute(_CANDIDATES)
        self._database.executemany("INSERT INTO candidates VALUES (?, ?)", zip(events, count()))
        for _, rows in groupby(self._database.execute(_BY_ACTOR), key=itemgetter(0)):
            yield [(second, place) for _, second, place in rows]

    def _from_memory(self, events: Sequence[int]) -> Iterator[list[tuple[int, int]]]:
        found: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        for place, event in enumerate(events):
            for actor, second in self._seconds[event].items():
                found[actor].append((second, place))
        for times in found.values():
            times.sort()
            yield times
