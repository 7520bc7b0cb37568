"""When each actor first did each event, noted as rows are taken: a funnel is proposed by these times.

To find them in the table of all events, SQLite would have to sort it: that took a tenth of a comparison.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterable

_EVENT_BITS = 17
"""Events have numbers below 100,000 (`gathering`)."""

_EVENT = (1 << _EVENT_BITS) - 1
_NEVER = 1 << 62
_MOST_IN_MEMORY = 500_000

_TABLE = """CREATE TABLE first_times (
    identity INTEGER, event INTEGER, second INTEGER, PRIMARY KEY (identity, event)) WITHOUT ROWID"""
_ADD = """INSERT INTO first_times VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET second = min(second, excluded.second)"""


class FirstTimes:
    """The first second of each event of each actor, in the table `first_times` of a database once written."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._database.execute(_TABLE)
        self._actors = array("q")
        self._seconds: dict[int, int] = {}

    def add_group(self, actor: int | None) -> None:
        """Note the actor of the next group, by its number; None if the group has none."""
        self._actors.append(-1 if actor is None else actor)

    def note(self, done: Iterable[tuple[int, int, int]]) -> None:
        """Note events, each with the number of its group, its second, and its own number."""
        actors, seconds = self._actors, self._seconds
        for group, second, event in done:
            key = actors[group] << _EVENT_BITS | event
            if second < seconds.get(key, _NEVER):
                seconds[key] = second
        if len(seconds) > _MOST_IN_MEMORY:
            self.write()

    def write(self) -> None:
        """Write what is in memory. Keys of groups without an actor are negative."""
        self._database.executemany(
            _ADD,
            (
                (key >> _EVENT_BITS, key & _EVENT, second)
                for key, second in sorted(self._seconds.items())
                if key >= 0
            ),
        )
        self._seconds.clear()
