"""Observers that show a run to a person: the described columns, the first sequences, the progress."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import TextIO

import click

from km_cli.cli.terminal import show
from km_cli.cli.terminal.described import described
from km_cli.cli.terminal.progress import ProgressBar, total_bytes
from km_cli.cli.terminal.sequences import sequence_lines
from km_cli.config.environment import Environment
from km_cli.config.settings import Settings
from km_cli.errors import Exit
from km_cli.ledger import Reading
from km_cli.mapping import Columns
from km_cli.model import Finding, RowPlan, Sequence
from km_cli.run.observer import Observer
from km_cli.run.tally import Tally

_ROWS_SHOWN = 3
_INPUTS_SHOWN = 10


class RunObserver(Observer):
    """Keeps the columns of each input and the first planned rows."""

    def __init__(self, settings: Settings, keep: int = _ROWS_SHOWN) -> None:
        self._settings = settings
        self._keep = keep
        self.inputs: list[tuple[str, Columns, Reading]] = []
        self.opened_inputs = 0
        self.first: list[tuple[Sequence, RowPlan]] = []
        self.pending: dict[str, int] = {}
        self._doubts: list[Finding] = []
        self._toggles = False

    def opened(self, source: str, columns: Columns, reading: Reading) -> None:
        """Keep the described columns of the first inputs."""
        self.opened_inputs += 1
        if len(self.inputs) < _INPUTS_SHOWN:
            self.inputs.append((source, columns, reading))

    def warned(self, message: str, hint: str) -> None:
        """Print the warning."""
        show.complain(message, hint)

    def doubted(self, finding: Finding) -> None:
        """Keep the finding, to be shown before anything is sent."""
        if len(self._doubts) < _INPUTS_SHOWN:
            self._doubts.append(finding)

    def planned(self, sequence: Sequence, plan: RowPlan) -> None:
        """Keep the first rows that send something, and the first row that toggles if none of them does."""
        if not plan.planned or (self._toggles and len(self.first) >= self._keep):
            return
        toggles = sequence.is_toggled
        if len(self.first) < self._keep or (toggles and self._keep):
            self.first.append((sequence, plan))
        self._toggles = self._toggles or toggles

    def print_inputs(self, *, to_stderr: bool = False) -> None:
        """Print which column has which role."""
        say = partial(show.say, to_stderr=to_stderr)
        members = self._settings.members.personas if self._settings.members else ()
        before = ""
        for source, columns, reading in self.inputs:
            description = described(columns, members)
            say(f"{source}: {'likewise' if description == before else description}")
            before = description
            if reading.length:
                rows = show.counted(reading.rows, "row")
                say(f"  continues at line {reading.line + 1:,}: {rows} read before")
        if self.opened_inputs > len(self.inputs):
            say(f"… and {self.opened_inputs - len(self.inputs):,} more")

    def print_doubts(self) -> None:
        """Print the doubts about the columns, on standard error."""
        for finding in self._doubts:
            show.complain(f"{finding.source}: {finding.message}")

    def print_first(self, *, to_stderr: bool = False) -> None:
        """Print the calls of the first rows."""
        for sequence, plan in self.first:
            for line in sequence_lines(sequence, plan):
                show.say(line, to_stderr=to_stderr)


def terminal(environment: Environment) -> TextIO | None:
    """Return where a person can answer: standard input, else the terminal of this process, if any."""
    if environment.stdin.isatty():
        return environment.stdin
    if not environment.shows_progress:
        return None
    try:
        return open("/dev/tty", encoding="utf-8")
    except OSError:
        return None


@contextmanager
def reading_from(source: TextIO | None) -> Iterator[None]:
    """Read the answers to questions from `source`, since standard input may be the log."""
    before = sys.stdin
    sys.stdin = source or before
    try:
        yield
    finally:
        sys.stdin = before


class Declined(click.Abort):
    """The answer to the question was no, or Ctrl-C. `exit` is the code that the ledger notes for the run."""

    exit = Exit.INTERRUPTED


class ImportObserver(RunObserver):
    """Observes an import: asks for confirmation if it should, and shows the progress on a terminal.

    It asks once a run, before the first batch that sends something. By then the columns are known, so that
    the question can show what would be sent; a wrong column would be wrong in every later batch as well.
    """

    def __init__(
        self,
        settings: Settings,
        environment: Environment,
        *,
        asks: bool,
        quiet: bool,
        keep: int = _ROWS_SHOWN,
    ) -> None:
        super().__init__(settings, keep)
        self._stdin = environment.stdin
        self._terminal = terminal(environment) if asks else None
        self._asks = self._terminal is not None
        shows = environment.shows_progress and not quiet
        total = partial(
            total_bytes, settings.files, encoding=settings.format_options.encoding, limit=settings.limit
        )
        self._bar = ProgressBar(total(), environment.clock) if shows else None
        self._behind = 0
        self._at = 0

    def __enter__(self) -> ImportObserver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if self._terminal is not None and self._terminal is not self._stdin:
            self._terminal.close()

    def opened(self, source: str, columns: Columns, reading: Reading) -> None:
        """Keep the described columns, and add the input before this one to the progress."""
        super().opened(source, columns, reading)
        self._behind += self._at
        self._at = reading.length

    def shipping(self) -> None:
        """Ask before the first batch that sends something."""
        if self._asks and self.first:
            self._asks = False
            self._ask()

    def _ask(self) -> None:
        """Show the first calls on standard error, where the summary is not, and ask for confirmation."""
        self.print_inputs(to_stderr=True)
        self.print_first(to_stderr=True)
        self.print_doubts()
        sites = " and ".join(repr(site.name) for site in self._settings.people.sites)
        question = f"\nSend to Kissmetrics, site {sites}? This cannot be undone"
        # Nothing is in flight yet, so Ctrl-C means no. Afterwards it means: finish what is in flight.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with reading_from(self._terminal):
                if not click.confirm(question, err=True):
                    raise click.Abort
        except click.Abort:
            show.complain("nothing new was sent", "try it first with dry-run, --to local or --limit 10")
            raise Declined from None
        finally:
            signal.signal(signal.SIGINT, before)

    def shipped(self, tally: Tally, reading: Reading) -> None:
        """Show the progress."""
        self._at = reading.length
        self.tick(tally)

    def tick(self, tally: Tally) -> None:
        """Show the receipts since the last tick."""
        if self._bar is not None:
            self._bar.update(tally, self._behind + self._at)
