"""What a person sees while the pipeline runs: the columns chosen, the first sequences, progress."""

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
from km_cli.cli.terminal.sequences import lines
from km_cli.config.environment import Environment
from km_cli.config.settings import Settings
from km_cli.ledger import Reading
from km_cli.mapping import Columns
from km_cli.model import Identify, RowPlan, Sequence
from km_cli.run.observer import Observer
from km_cli.run.tally import Tally

_FIRST = 3
_MOST_INPUTS = 10


class RunObserver(Observer):
    """Keeps the columns of each input and the first planned rows."""

    def __init__(self, settings: Settings, keep: int = _FIRST) -> None:
        self._settings = settings
        self._keep = keep
        self.inputs: list[tuple[str, Columns, Reading]] = []
        self.opened_inputs = 0
        self.first: list[tuple[Sequence, RowPlan]] = []
        self.pending: dict[str, int] = {}
        self._toggles = False

    def opened(self, source: str, columns: Columns, reading: Reading) -> None:
        """Keep what was chosen."""
        self.opened_inputs += 1
        if len(self.inputs) < _MOST_INPUTS:
            self.inputs.append((source, columns, reading))

    def planned(self, sequence: Sequence, plan: RowPlan) -> None:
        """Keep the first ones that send something, and the first that toggles if none of them does."""
        if not plan.planned or (self._toggles and len(self.first) >= self._keep):
            return
        toggles = sum(isinstance(call, Identify) for call in sequence.calls) > 1
        if len(self.first) < self._keep or (toggles and self._keep):
            self.first.append((sequence, plan))
        self._toggles = self._toggles or toggles

    def print_inputs(self, *, to_stderr: bool = False) -> None:
        """Show which column was taken for what."""
        say = partial(show.say, to_stderr=to_stderr)
        members = self._settings.members.personas if self._settings.members else ()
        before = ""
        for source, columns, reading in self.inputs:
            said = described(columns, members)
            say(f"{source}: {'likewise' if said == before else said}")
            before = said
            if reading.length:
                say(
                    f"  goes on at line {reading.line + 1:,}: {show.counted(reading.rows, 'row')} read before"
                )
        if self.opened_inputs > len(self.inputs):
            say(f"… and {self.opened_inputs - len(self.inputs):,} more")

    def print_first(self, *, to_stderr: bool = False) -> None:
        """Show the first rows as the calls that they become."""
        for sequence, plan in self.first:
            for line in lines(sequence, plan):
                show.say(line, to_stderr=to_stderr)


def terminal(environment: Environment) -> TextIO | None:
    """Return where a person answers: standard input, else the terminal we were started from, if any."""
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
    """Have questions answered there, even if standard input is the log."""
    before = sys.stdin
    sys.stdin = source or before
    try:
        yield
    finally:
        sys.stdin = before


class ImportObserver(RunObserver):
    """Watches an import: asks once if it should, shows progress on a terminal."""

    def __init__(
        self, settings: Settings, environment: Environment, *, asks: bool, quiet: bool, keep: int = _FIRST
    ) -> None:
        super().__init__(settings, keep)
        self._stdin = environment.stdin
        self._terminal = terminal(environment) if asks else None
        self._asks = self._terminal is not None
        shows = environment.shows_progress and not quiet
        total = partial(
            total_bytes, settings.files, encoding=settings.format_options.encoding, limit=settings.limit
        )
        self._bar = ProgressBar(total()) if shows else None
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
        """Keep what was chosen; what was read before it lies behind."""
        super().opened(source, columns, reading)
        self._behind += self._at
        self._at = reading.length

    def shipping(self) -> None:
        """Ask before the first batch that sends something."""
        if self._asks and self.first:
            self._asks = False
            self._ask()

    def _ask(self) -> None:
        """Show what is about to be sent and ask; standard output is left to the summary."""
        self.print_inputs(to_stderr=True)
        self.print_first(to_stderr=True)
        sites = " and ".join(repr(site.name) for site in self._settings.people.sites)
        question = f"\nSend to Kissmetrics, site {sites}? It can't be taken back"
        # While nothing is in flight Ctrl-C means no.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with reading_from(self._terminal):
                if not click.confirm(question, err=True):
                    raise click.Abort
        except click.Abort:
            show.complain("nothing new was sent", "try it first: dry-run, --to local, or --limit 10")
            raise
        finally:
            signal.signal(signal.SIGINT, before)

    def shipped(self, tally: Tally, reading: Reading) -> None:
        """Show how far it is."""
        self._at = reading.length
        self.tick(tally)

    def tick(self, tally: Tally) -> None:
        """Show what has come in meanwhile."""
        if self._bar is not None:
            self._bar.update(tally, self._behind + self._at)
