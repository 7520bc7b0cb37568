"""Observers that show a run to a person: the described columns, the first sequences, the progress."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Self

from km_cli.cli.terminal import show
from km_cli.cli.terminal.extent import Extent, sizes_of
from km_cli.cli.terminal.inputs import Inputs
from km_cli.cli.terminal.outages import OutageLines
from km_cli.cli.terminal.progress import ProgressBar
from km_cli.cli.terminal.sequences import sequence_lines
from km_cli.config.environment import Environment
from km_cli.config.settings import Settings
from km_cli.inputs import Opened
from km_cli.ledger import Reading
from km_cli.mapping import Columns
from km_cli.model import Finding, Forecast, RowPlan, Sequence, Trouble
from km_cli.run.batch import Batch
from km_cli.run.observer import Observer
from km_cli.run.tally import Tally

_ROWS_SHOWN = 3
_DOUBTS_SHOWN = 10


class RunObserver(Observer):
    """Keeps the columns of each input and the first planned rows."""

    def __init__(self, settings: Settings, keep: int = _ROWS_SHOWN) -> None:
        self._keep = keep
        self._inputs = Inputs(settings)
        self.first: list[tuple[Sequence, RowPlan]] = []
        self.pending: dict[str, int] = {}
        self._doubts: list[Finding] = []
        self._toggles = False

    def opened(self, source: str, columns: Columns, reading: Reading) -> None:
        """Keep the described columns of the first inputs."""
        self._inputs.add(source, columns, reading)

    def warned(self, message: str, hint: str) -> None:
        """Print the warning."""
        show.complain(message, hint)

    def doubted(self, finding: Finding) -> None:
        """Keep the finding, to be shown before anything is sent."""
        if len(self._doubts) < _DOUBTS_SHOWN:
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
        self._inputs.print(to_stderr=to_stderr)

    def print_doubts(self) -> None:
        """Print the doubts about the columns, on standard error."""
        for finding in self._doubts:
            show.complain(f"{finding.source}: {finding.message}")

    def print_first(self, *, to_stderr: bool = False) -> None:
        """Print the calls of the first rows."""
        for sequence, plan in self.first:
            for line in sequence_lines(sequence, plan):
                show.say(line, to_stderr=to_stderr)

    def print_beginning(self) -> None:
        """Print the columns and the first calls on standard error, where the summary is not."""
        self.print_inputs(to_stderr=True)
        self.print_first(to_stderr=True)
        self.print_doubts()


class ProgressObserver(RunObserver):
    """Shows the progress on a terminal.

    `sends` is false for a dry run. `sizes` are the bytes of each file, by default those of the settings'
    files. `note` stands at the end of the line. With `names_outages`, outages are named on standard error
    where there is no progress.
    """

    def __init__(
        self,
        settings: Settings,
        environment: Environment,
        *,
        quiet: bool,
        keep: int = _ROWS_SHOWN,
        sends: bool = True,
        sizes: Mapping[str, int] | None = None,
        note: str = "",
        names_outages: bool = False,
    ) -> None:
        super().__init__(settings, keep)
        self._bar: ProgressBar | None = None
        self._outages: OutageLines | None = None
        self._tally = Tally()
        self.take: Callable[[Iterable[RowPlan]], None] | None = None
        """Takes the rows of each batch before it is shipped."""
        if not environment.shows_progress or quiet:
            self._outages = OutageLines(environment.clock) if names_outages else None
            return
        if sizes is None and settings.limit is None:
            sizes = sizes_of(settings.files)
        # With --limit a run ends early: no percentage is shown rather than a wrong one.
        self._extent = Extent(sizes if settings.limit is None else None)
        self._bar = ProgressBar(self._extent, environment.clock, sends=sends, note=note)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Remove the progress from the screen. It comes back with the next update."""
        if self._bar is not None:
            self._bar.stop()

    def began(self, opened: Opened) -> None:
        """Begin to follow an input."""
        if self._bar is not None:
            self._extent.begin(opened)

    def opened(self, source: str, columns: Columns, reading: Reading) -> None:
        """Keep the described columns. The rows that earlier runs have read are done."""
        super().opened(source, columns, reading)
        if self._bar is not None:
            self._extent.move(reading.length, known=True)

    def passed(self, file: str) -> None:
        """Show that a backfill is done with a file."""
        if self._bar is not None:
            self._extent.passed(file)
            self._bar.update(self._tally)

    def shipping(self, batch: Batch, _forecast: Callable[[], Forecast]) -> None:
        """Hand on the rows of the batch."""
        if self.take is not None:
            self.take(batch.plans)

    def shipped(self, tally: Tally, reading: Reading) -> None:
        """Show the progress."""
        self._tally = tally
        if self._bar is not None:
            self._extent.move(reading.length)
            self._bar.update(tally)

    def tick(self, tally: Tally, trouble: Trouble | None) -> None:
        """Show the receipts since the last tick, and what is wrong at the moment."""
        self._tally = tally
        if self._bar is not None:
            self._bar.update(tally, trouble)
        elif self._outages is not None:
            self._outages.update(tally, trouble)
