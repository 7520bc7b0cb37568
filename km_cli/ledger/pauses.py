"""Pauses: the times until which runs send no calls to a tracker that did not take them."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from km_cli.ledger.damage import decoding, expect

_LATEST = 1e11
"""Seconds since 1970, some thousand years from now."""


class Pause(NamedTuple):
    """The time until which a tracker gets no calls, in seconds since 1970, and the reason.

    `failures` counts the runs in a row that ended because the tracker did not answer. It is 0 if the tracker
    answered, and asked for time.
    """

    until: float
    failures: int
    reason: str


class PauseTable:
    """The pauses of a ledger, by tracker."""

    def __init__(self, database: sqlite3.Connection, schemas: tuple[str, ...]) -> None:
        self._database = database
        self._schema = schemas[-1]

    def by_tracker(self, tracker: str) -> Pause | None:
        """Return the tracker's pause, even if it is over."""
        with decoding(self._database, "pauses"):
            row = self._database.execute(
                f"SELECT until, failures, reason FROM {self._schema}.pauses WHERE tracker = ?", (tracker,)
            ).fetchone()
            if not row:
                return None
            expect(row, float, int, str)
            if not 0 <= row[0] < _LATEST:
                raise ValueError(f"a pause until {row[0]}")
            return Pause(*row)

    def all(self) -> dict[str, Pause]:
        """Return the pauses of all trackers, by tracker, even those that are over."""
        query = f"SELECT tracker FROM {self._schema}.pauses ORDER BY tracker"
        with decoding(self._database, "pauses"):
            trackers = [row[0] for row in self._database.execute(query)]
            expect(trackers, *[str] * len(trackers))
        return {tracker: pause for tracker in trackers if (pause := self.by_tracker(tracker))}

    def put(self, tracker: str, pause: Pause | None) -> None:
        """Replace the tracker's pause, None to end it; the caller's transaction makes that durable."""
        if pause is None:
            self._database.execute("DELETE FROM main.pauses WHERE tracker = ?", (tracker,))
        else:
            values = (tracker, *pause)
            self._database.execute("INSERT OR REPLACE INTO main.pauses VALUES (?, ?, ?, ?)", values)
