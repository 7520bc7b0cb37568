"""How those are told who are not there: a journal, a monitor, metrics, one JSON object.

Neither keys nor property values go to any of them.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from km_cli.cli.ending import problems
from km_cli.cli.monitoring.journal import Journal
from km_cli.cli.monitoring.metrics import Measured, check_metrics, write_metrics
from km_cli.cli.monitoring.ping import Ping, check_ping
from km_cli.cli.terminal.described import described
from km_cli.cli.terminal.observer import ImportObserver
from km_cli.config.backfill import BackfillSource
from km_cli.config.environment import Environment
from km_cli.config.files import expanded
from km_cli.config.settings import Settings
from km_cli.errors import KmError, LedgerBusy, UsageError
from km_cli.ledger import Reading
from km_cli.mapping import Columns
from km_cli.protocols import Clock
from km_cli.run.backfill import BackfillSummary
from km_cli.run.tally import Tally

MOST_TOLD = 10
"""Problems that are told one by one."""

_PROGRESS = 60.0
"""Seconds from one line that tells how far a long run is to the next."""


class Ending(NamedTuple):
    """What a backfill came to, before anybody is told. `pending` is None if the ledger was not asked."""

    code: int
    tally: Tally
    met: BackfillSummary
    pending: int | None


class Reporter:
    """Tells a journal, a monitor and metrics of one run. `pending` calls are known before it sends."""

    def __init__(
        self, journal: Journal, ping: Ping, metrics: Path | None, clock: Clock, log: Path | None = None
    ) -> None:
        self.journal = journal
        self._log = log
        self._ping = ping
        self._metrics = metrics
        self._clock = clock
        self._started = clock.now()
        self._began = clock.monotonic()
        self._told_at = 0.0
        self.pending: int | None = None
        self._has_ended = False

    @classmethod
    def of(cls, flags: dict[str, Any], clock: Clock) -> Reporter:
        """Return what the flags ask for. Raises UsageError if it can't be told there, which the ping says."""
        check_ping(flags["ping"])
        run = str(uuid.uuid4())
        ping = Ping(flags["ping"], run)
        try:
            log, metrics = _path("--log", flags["log"]), _path("--metrics", flags["metrics"])
            if metrics:
                check_metrics(metrics)
            return cls(Journal.open(log, clock.now, run), ping, metrics, clock, log)
        except UsageError as error:
            ping.end(error.exit, error.plain)
            raise

    @property
    def places(self) -> list[Path]:
        """The files that it writes."""
        return [place for place in (self._log, self._metrics) if place]

    @property
    def seconds(self) -> float:
        """How long the run takes so far."""
        return self._clock.monotonic() - self._began

    def start(self, sources: Sequence[BackfillSource]) -> None:
        """Tell that a run begins."""
        self.journal.write("start", sources=[source.name for source in sources])
        self._ping.start()

    def progress(self, tally: Tally) -> None:
        """Tell the journal once a minute how far it is.

        A tracker may be waited for, and the first run of a long log takes hours.
        """
        if self.seconds - self._told_at >= _PROGRESS:
            self._told_at = self.seconds
            self.journal.write(
                "progress",
                seconds=round(self.seconds, 3),
                rows=tally.rows.counted,
                calls=asdict(tally.calls),
            )

    def end(self, ending: Ending, error: BaseException | None = None) -> None:
        """Tell how it ended, once.

        One that could not even begin, since another holds the ledger, leaves monitor and metrics to that.
        """
        if self._has_ended:
            return
        self._has_ended = True
        self.journal.write("end", exit=ending.code, seconds=round(self.seconds, 3), **summary(ending))
        if not isinstance(error, LedgerBusy):
            if self._metrics:
                write_metrics(self._metrics, self._measured(ending))
            self._ping.end(ending.code, self._said(ending, error))  # last: a monitor may take its time
        self.journal.close()

    def problem(self, error: KmError) -> None:
        """Write a problem into the journal."""
        self.journal.write("problem", **_problem(error))

    def _said(self, ending: Ending, error: BaseException | None) -> str:
        ended = problems(ending.tally, error if isinstance(error, KmError) else None)
        errors = [*ending.met.problems[:MOST_TOLD], *ended]
        rows = ", ".join(f"{count:,} {what}" for what, count in ending.tally.rows.counted.items())
        return "\n".join(
            [f"km-cli backfill: exit {ending.code}; rows: {rows}", *(one.plain for one in errors)]
        )

    def _measured(self, ending: Ending) -> Measured:
        tally = ending.tally
        return Measured(
            exit_code=ending.code,
            started=self._started,
            seconds=self.seconds,
            rows=tally.rows.counted,
            calls=asdict(tally.calls),
            findings=tally.findings,
            files=ending.met.files,
            pending=ending.pending,
        )


class BackfillObserver(ImportObserver):
    """Watches a backfill: which columns were chosen for how many files, and what became of each."""

    def __init__(
        self, settings: Settings, environment: Environment, reporter: Reporter, *, asks: bool, quiet: bool
    ) -> None:
        super().__init__(settings, environment, asks=asks, quiet=quiet)
        self._reporter = reporter
        self._members = settings.members.personas if settings.members else frozenset()
        self.columns: dict[str, int] = {}

    def opened(self, source: str, columns: Columns, reading: Reading) -> None:
        """Keep what was chosen, and tell the journal."""
        super().opened(source, columns, reading)
        said = described(columns, self._members)
        self.columns[said] = self.columns.get(said, 0) + 1
        self._reporter.journal.write("input", file=source, columns=said, behind=reading.length)

    def tick(self, tally: Tally) -> None:
        """Show how far it is, and tell the journal now and then."""
        super().tick(tally)
        self._reporter.progress(tally)

    def looked(self, source: str, file: str, state: str, problem: KmError | None = None) -> None:
        """Tell the journal what became of a file."""
        self._reporter.journal.write("file", source=source, file=file, state=state)
        if problem is not None:
            self._reporter.problem(problem)


def summary(ending: Ending) -> dict[str, Any]:
    """Return what a run counted, for the journal."""
    return {
        "rows": ending.tally.rows.counted,
        "calls": asdict(ending.tally.calls),
        "files": ending.met.files,
        "reasons": dict(ending.tally.reasons),
        "pending": ending.pending,
    }


def more(ending: Ending, observer: BackfillObserver) -> dict[str, Any]:
    """Return what a backfill's summary has beside an import's."""
    examples = ending.tally.examples
    return {
        "exit": ending.code,
        "files": ending.met.files,
        "columns": observer.columns,
        "places": {code: {"file": one.source, "line": one.line} for code, one in examples.items()},
        "problems": [_problem(error) for error in ending.met.problems],
    }


def _problem(error: KmError) -> dict[str, Any]:
    return {"exit": int(error.exit), "message": error.plain, "next": error.plain_hint}


def _path(flag: str, text: str | None) -> Path | None:
    return expanded(text, flag) if text else None
