"""The horizon: the second before which the ledger has forgotten its calls (`ledger prune`).

The ledger cannot tell any more whether a row older than that was sent. Such a row is skipped and counted, and
never sent again, unless `--as-new` says that it is meant. The horizon only moves forward.
"""

from __future__ import annotations

import sqlite3

from km_cli.ledger.damage import decoding, expect

NO_HORIZON = -(1 << 62)
"""Earlier than every second that a log can have: nothing was pruned."""


class HorizonTable:
    """The horizons of a ledger, one for each time that it was pruned. An overlay has those of its ledger."""

    def __init__(self, database: sqlite3.Connection, schemas: tuple[str, ...]) -> None:
        self._database = database
        self.second = NO_HORIZON
        """The latest horizon, in seconds since 1970."""
        with decoding(database, "horizons"):
            (found,) = database.execute(f"SELECT max(second) FROM {schemas[-1]}.horizons").fetchone()
            if found is not None:
                expect((found,), int)
                self.second = found

    @property
    def is_set(self) -> bool:
        """Whether the ledger was pruned."""
        return self.second != NO_HORIZON

    def note(self, second: int, now: float, calls: int) -> None:
        """Note that `calls` older than this second are forgotten; the caller's transaction makes it durable.

        A second that is the horizon already keeps its first note, and its calls are added.
        """
        self._database.execute(
            "INSERT INTO main.horizons VALUES (?, ?, ?) "
            "ON CONFLICT (second) DO UPDATE SET calls = calls + excluded.calls",
            (second, now, calls),
        )
        self.second = second
