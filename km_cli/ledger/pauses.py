"""What a tracker that could not take calls leaves to the next run: until when to leave it alone."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from km_cli.ledger.damage import decoding, expect
from km_cli.ledger.schema import that_have

_LATEST = 1e11
"""Seconds since 1970, some thousand years from now."""


class Pause(NamedTuple):
    """Until when (seconds since 1970) a tracker is to be left alone, and why.

    `failures` counts runs in a row that ended since it did not answer; 0: it answered, and asked for time.
    """

    until: float
    failures: int
    reason: str


class PauseTable:
    """The pauses of a ledger, by tracker."""

    def __init__(self, database: sqlite3.Connection, schemas: tuple[str, ...]) -> None:
        self._database = database
        self._schema = that_have(database, schemas, "pauses")[-1]

    def of(self, tracker: str) -> Pause | None:
        """Return the tracker's pause, also one that is over."""
        with decoding(self._database, "pauses"):
            found = self._database.execute(
                f"SELECT until, failures, reason FROM {self._schema}.pauses WHERE tracker = ?", (tracker,)
            ).fetchone()
            if not found:
                return None
            expect(found, float, int, str)
            if not 0 <= found[0] < _LATEST:
                raise ValueError(f"a pause until {found[0]}")
            return Pause(*found)

    def put(self, tracker: str, pause: Pause | None) -> None:
        """Replace it; the caller's transaction makes it durable."""
        if pause is None:
            self._database.execute("DELETE FROM main.pauses WHERE tracker = ?", (tracker,))
        else:
            row = (tracker, *pause)
            self._database.execute("INSERT OR REPLACE INTO main.pauses VALUES (?, ?, ?, ?)", row)
