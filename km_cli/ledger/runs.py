"""The runs that wrote to the ledger: when each began and ended, how it ended, and what it counted.

A run is written with its first transaction, its counts with each one, and its end with the last. So a run
that was killed has no end. The next run finds that out, because it has the lock.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, NamedTuple

from km_cli.ledger.damage import decoding, expect
from km_cli.protocols import Clock

MOST_RUNS = 10_000
"""How many runs are kept, the latest ones: with a run each minute, those of a week."""

NO_RUN = 0
"""The number that stands for all runs that are not kept, and for a km-cli that did not note its runs."""

Counts = Mapping[str, Mapping[str, Any]]
"""Numbers of rows and calls by outcome, as the JSON summary has them under `rows` and `calls`.

Under `rejects` are the rows that were written to each rejects file, by its absolute path. Runs without
rejects, and those of older versions, do not have it. Under `plan` is how far the run got in its import plan,
as `run.plan_guard` has it, if it was given one.
"""


class RunRecord(NamedTuple):
    """One run. Times are in seconds since 1970.

    `exit` is the exit code. Without `ended`, the run is at work, or was killed: then it `is_killed`. So is a
    run that found no room on the disk to write its end. The counts of a killed run lag a batch behind.
    """

    number: int
    command: str
    began: float
    ended: float | None
    exit: int | None
    is_killed: bool
    counts: Counts


class RunTable:
    """The runs of a ledger. `number` is that of the run that writes to it, NO_RUN if none has begun."""

    def __init__(self, database: sqlite3.Connection, schemas: tuple[str, ...]) -> None:
        self._database = database
        self._schema = schemas[-1]
        self._run: RunRecord | None = None
        self._clock: Clock | None = None
        self._counts: Callable[[], Counts] = dict
        self._written: tuple[object, ...] = ()

    @property
    def number(self) -> int:
        """The number of the run that writes to the ledger."""
        return self._run.number if self._run else NO_RUN

    def begin(self, command: str, clock: Clock, counts: Callable[[], Counts]) -> None:
        """Begin a run. `counts` returns its numbers so far, for each transaction."""
        with decoding(self._database, "runs"):
            (last,) = self._database.execute("SELECT coalesce(max(run), 0) FROM main.runs").fetchone()
            expect((last,), int)
        self._run = RunRecord(last + 1, command, clock.now(), None, None, False, {})
        self._clock, self._counts = clock, counts

    def end(self, code: int) -> None:
        """Note how the run ended; closing the ledger makes it durable."""
        if self._run and self._clock:
            self._run = self._run._replace(ended=self._clock.now(), exit=code)

    def write(self) -> None:
        """Write the run as it is now; the caller's transaction makes it durable."""
        if self._run is None:
            return
        values = (*self._run[:-1], json.dumps(self._counts()))
        if values == self._written:
            return
        if not self._written:
            self._database.execute("UPDATE main.runs SET is_killed = 1 WHERE ended IS NULL")
        self._written = values
        self._database.execute("INSERT OR REPLACE INTO main.runs VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def forget_until(self, number: int) -> int:
        """Forget the runs up to this number; the caller's transaction makes it durable. Return how many."""
        return self._database.execute("DELETE FROM main.runs WHERE run <= ?", (number,)).rowcount

    def last_before(self, second: int) -> int:
        """Return the number of the last run that began before a second, NO_RUN if there is none."""
        query = f"SELECT coalesce(max(run), ?) FROM {self._schema}.runs WHERE began < ?"
        with decoding(self._database, "runs"):
            (number,) = self._database.execute(query, (NO_RUN, second)).fetchone()
            expect((number,), int)
            return int(number)

    def latest(self, most: int) -> list[RunRecord]:
        """Return the latest runs, the last one first."""
        query = f"SELECT * FROM {self._schema}.runs ORDER BY run DESC LIMIT ?"
        with decoding(self._database, "runs"):
            return [run_from_row(row) for row in self._database.execute(query, (most,))]

    def by_number(self, number: int) -> RunRecord | None:
        """Return the run with this number, None if it is not kept or there is none."""
        query = f"SELECT * FROM {self._schema}.runs WHERE run = ?"
        with decoding(self._database, "runs"):
            row = self._database.execute(query, (number,)).fetchone()
            return run_from_row(row) if row else None


def run_from_row(row: tuple[Any, ...]) -> RunRecord:
    """Return the run of a row of the table. Raises TypeError, ValueError if it is damaged."""
    expect(row, int, str, float, (float, NoneType), (int, NoneType), int, str)
    counts = json.loads(row[6])
    expect((counts, *counts.values()), dict, *[dict] * len(counts))
    return RunRecord._make((*row[:5], bool(row[5]), counts))
