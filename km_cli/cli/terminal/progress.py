"""Progress on a terminal: rows, calls, rate, retries, and the time left if it can be estimated."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from km_cli.inputs.compression import is_packed
from km_cli.inputs.formats import holds_rejects
from km_cli.protocols import Clock
from km_cli.run.tally import Tally

if TYPE_CHECKING:
    from rich.progress import Progress

_HEAD = 1 << 13
_INTERVAL = 0.2
"""Seconds between two updates."""


def total_bytes(files: Iterable[str], *, encoding: str = "", limit: int | None = None) -> int | None:
    """Return the bytes of content to read; None if they cannot be known before.

    Progress counts content that is unpacked and in UTF-8, and does not count rejects files. If the size of a
    file differs from that, or a limit ends the run early, no percentage is shown rather than a wrong one.
    """
    if encoding or limit is not None:
        return None
    total = 0
    for name in files:
        size = _content_bytes(Path(name))
        if size is None:
            return None
        total += size
    return total


def _content_bytes(path: Path) -> int | None:
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            head = file.read(_HEAD)
        return None if is_packed(head) or holds_rejects(head) else path.stat().st_size
    except OSError:
        return None  # The reader reports what is wrong with the file.


class ProgressBar:
    """A line at the bottom of standard error, which disappears when the run is over."""

    def __init__(self, total: int | None, clock: Clock) -> None:
        self._total = total
        self._clock = clock
        self._progress: Progress | None = None
        self._began = 0.0
        self._next = 0.0

    def update(self, tally: Tally, done: int) -> None:
        """Show the progress; `done` bytes of content were planned, not all of them acknowledged yet."""
        if not self._is_due():
            return
        rows, calls = tally.rows, tally.calls
        elapsed = max(self._next - _INTERVAL - self._began, 0.001)
        text = f"{rows.read:,} rows  {calls.acknowledged:,} calls  {calls.acknowledged / elapsed:,.0f}/s"
        if calls.retried:
            text += f"  {calls.retried:,} retries"
        settled = calls.acknowledged + calls.rejected
        planned = calls.planned + calls.resumed
        self._draw(text, done * (settled / planned if planned else 1.0))

    def show(self, text: str, done: int) -> None:
        """Show the progress of a command that sends nothing; `done` bytes of content were read."""
        if self._is_due():
            self._draw(text, done)

    def _is_due(self) -> bool:
        """Tell whether the line is old enough to be drawn anew."""
        now = self._clock.monotonic()
        if now < self._next:
            return False
        self._next = now + _INTERVAL
        if self._progress is None:
            self._began = now
            self._progress = self._start()
        return True

    def _draw(self, text: str, completed: float) -> None:
        if self._progress is not None:
            self._progress.update(self._progress.task_ids[0], completed=completed, description=text)

    def _start(self) -> Progress:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

        columns = [SpinnerColumn(), TextColumn("{task.description}", markup=False)]
        if self._total:
            columns += [BarColumn(bar_width=20), TextColumn("{task.percentage:.0f}%"), TimeRemainingColumn()]
        progress = Progress(*columns, console=Console(stderr=True), transient=True)
        progress.add_task("", total=self._total)
        progress.start()
        return progress

    def stop(self) -> None:
        """Remove the line."""
        if self._progress is not None:
            self._progress.stop()
