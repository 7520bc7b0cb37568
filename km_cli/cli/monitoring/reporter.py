"""Reports an unattended run to a journal, a monitor and metrics, without keys and property values."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from km_cli.cli.conclusion import MOST_PROBLEMS_SHOWN, problems
from km_cli.cli.monitoring.journal import Journal
from km_cli.cli.monitoring.metrics import Measured, check_metrics, write_metrics
from km_cli.cli.monitoring.ping import Ping, check_ping
from km_cli.cli.terminal.asking import ImportObserver
from km_cli.cli.terminal.described import described
from km_cli.cli.terminal.question import Question
from km_cli.config.backfill import BackfillSource
from km_cli.config.environment import Environment
from km_cli.config.files import expanded
from km_cli.config.settings import Settings
from km_cli.errors import KmError, LedgerBusy, UsageError
from km_cli.ledger import Reading
from km_cli.mapping import Columns
from km_cli.model import Trouble
from km_cli.protocols import Clock
from km_cli.run.backfill import BackfillSummary
from km_cli.run.tally import Tally

_PROGRESS_INTERVAL = 60.0
"""Seconds between two lines of the journal that show the progress of a long run."""


class BackfillResult(NamedTuple):
    """The result of a backfill, for its reports. `pending` is None if the ledger was not opened."""

    code: int
    tally: Tally
    summary: BackfillSummary
    pending: int | None


class Reporter:
    """Reports one run to a journal, a monitor and metrics.

    `pending` is the number of calls that were pending before the run; None until the ledger is open.
    """

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
        self._last_progress = 0.0
        self.pending: int | None = None
        self._has_ended = False

    @classmethod
    def from_flags(cls, flags: dict[str, Any], clock: Clock) -> Reporter:
        """Return the reporter that --log, --ping and --metrics ask for.

        Raises UsageError if a file cannot be written. The monitor gets a ping about that, which may be the
        only report that works.
        """
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
    def paths(self) -> list[Path]:
        """The files of --log and --metrics, as far as they are given."""
        return [path for path in (self._log, self._metrics) if path]

    @property
    def seconds(self) -> float:
        """The time since the run began."""
        return self._clock.monotonic() - self._began

    def start(self, sources: Sequence[BackfillSource]) -> None:
        """Report that the run begins."""
        self.journal.write("start", sources=[source.name for source in sources])
        self._ping.start()

    def progress(self, tally: Tally) -> None:
        """Write the progress to the journal, at most once a minute.

        The first run of a long log takes hours, and a run that waits for a tracker must not look dead.
        """
        if self.seconds - self._last_progress >= _PROGRESS_INTERVAL:
            self._last_progress = self.seconds
            self.journal.write(
                "progress",
                seconds=round(self.seconds, 3),
                rows=tally.rows.counted,
                calls=asdict(tally.calls),
            )

    def end(self, ending: BackfillResult, error: BaseException | None = None) -> None:
        """Report how the run ended; a second call does nothing.

        A run that finds the ledger locked does not notify the monitor and leaves the metrics alone: another
        run is at work, and its own end is what counts. A ping of this one would mark that run as failed.
        """
        if self._has_ended:
            return
        self._has_ended = True
        self.journal.write("end", exit=ending.code, seconds=round(self.seconds, 3), **_counts(ending))
        if not isinstance(error, LedgerBusy):
            if self._metrics:
                write_metrics(self._metrics, self._measured(ending))
            # The ping comes last, because a monitor may take long to answer.
            self._ping.end(ending.code, self._ping_text(ending, error))
        self.journal.close()

    def problem(self, error: KmError) -> None:
        """Write a problem to the journal."""
        self.journal.write("problem", **_problem(error))

    def _ping_text(self, ending: BackfillResult, error: BaseException | None) -> str:
        ended = problems(ending.tally, error if isinstance(error, KmError) else None)
        errors = [*ending.summary.problems[:MOST_PROBLEMS_SHOWN], *ended]
        rows = ", ".join(f"{count:,} {outcome}" for outcome, count in ending.tally.rows.counted.items())
        return "\n".join(
            [f"km-cli backfill: exit {ending.code}; rows: {rows}", *(one.plain for one in errors)]
        )

    def _measured(self, ending: BackfillResult) -> Measured:
        tally = ending.tally
        return Measured(
            exit_code=ending.code,
            started=self._started,
            seconds=self.seconds,
            rows=tally.rows.counted,
            calls=asdict(tally.calls),
            findings=tally.findings,
            files=ending.summary.files,
            pending=ending.pending,
        )


class BackfillObserver(ImportObserver):
    """Observes a backfill: counts the files by the columns described for them, and keeps the journal."""

    def __init__(
        self,
        settings: Settings,
        environment: Environment,
        reporter: Reporter,
        *,
        quiet: bool,
        question: Question | None = None,
        sizes: Mapping[str, int] | None = None,
        names_outages: bool = False,
    ) -> None:
        super().__init__(
            settings,
            environment,
            quiet=quiet,
            question=question,
            sizes=sizes,
            names_outages=names_outages,
        )
        self._reporter = reporter
        self._members = settings.members.personas if settings.members else frozenset()
        self.columns: dict[str, int] = {}

    def opened(self, source: str, columns: Columns, reading: Reading) -> None:
        """Keep the described columns, and write the input to the journal."""
        super().opened(source, columns, reading)
        description = described(columns, self._members, shows_values=False)
        self.columns[description] = self.columns.get(description, 0) + 1
        self._reporter.journal.write("input", file=source, columns=description, behind=reading.length)

    def tick(self, tally: Tally, trouble: Trouble | None) -> None:
        """Show the progress on the terminal and in the journal."""
        super().tick(tally, trouble)
        self._reporter.progress(tally)

    def looked(self, source: str, file: str, state: str, problem: KmError | None = None) -> None:
        """Write the state of a file to the journal, and the problem that it has."""
        self._reporter.journal.write("file", source=source, file=file, state=state)
        if problem is not None:
            self._reporter.problem(problem)


def _counts(ending: BackfillResult) -> dict[str, Any]:
    """Return the counts of a run, for the journal."""
    return {
        "rows": ending.tally.rows.counted,
        "calls": asdict(ending.tally.calls),
        "files": ending.summary.files,
        "reasons": dict(ending.tally.reasons),
        "pending": ending.pending,
    }


def backfill_json(ending: BackfillResult, observer: BackfillObserver) -> dict[str, Any]:
    """Return the keys that the JSON summary of a backfill has in addition to that of an import."""
    examples = ending.tally.examples
    return {
        "exit": ending.code,
        "files": ending.summary.files,
        "columns": observer.columns,
        "places": {code: {"file": one.source, "line": one.line} for code, one in examples.items()},
        "problems": [_problem(error) for error in ending.summary.problems],
    }


def _problem(error: KmError) -> dict[str, Any]:
    return {"exit": int(error.exit), "message": error.plain, "next": error.plain_hint}


def _path(flag: str, text: str | None) -> Path | None:
    return expanded(text, flag) if text else None
