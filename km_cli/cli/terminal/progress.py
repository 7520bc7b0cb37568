"""Progress on a terminal: rows, calls, rate, percent, time left, and what is wrong at the moment."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from km_cli.cli.terminal.extent import Extent
from km_cli.cli.terminal.show import escaped, mention, say
from km_cli.model import Trouble
from km_cli.protocols import Clock
from km_cli.run.tally import Tally

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.live import Live

_INTERVAL = 0.2
"""Seconds between two updates."""

_WINDOW = 30.0
"""Seconds. Rate and time left are those of the last half minute: a run that slows down must not look fast."""

_SHORTEST = 1.0
"""Seconds. A rate over less time is an accident."""

_LASTING = 5.0
"""Seconds after which an outage is worth a line of its own."""

_BAR = 16


class Sample(NamedTuple):
    """How far a run was at a time. `counted` are acknowledged calls, or the rows of a dry run."""

    at: float
    counted: int
    done: float


class Progress(NamedTuple):
    """What the line shows.

    `calls` is None for a command that makes none. `counted` says what the rate counts. `fraction` is from 0
    to 1, None if it is not known; `left` are the seconds left, None likewise. `files` are those done and all,
    None where there is one. `note` stands at the end.
    """

    rows: int
    calls: int | None
    counted: str
    rate: float | None = None
    retried: int = 0
    fraction: float | None = None
    left: float | None = None
    files: tuple[int, int] | None = None
    total: int = 0
    note: str = ""


def progress_line(shown: Progress, width: int, *, ascii_only: bool = False) -> str:
    """Return the parts of the progress that fit into a window, the most important ones."""
    parts = sorted(_parts(shown, ascii_only=ascii_only), key=lambda part: part[0])
    fitting: set[str] = set()
    used = 0
    for _, text in parts:
        if used + len(text) + 2 * bool(used) <= width:
            fitting.add(text)
            used += len(text) + 2 * bool(used)
    return "  ".join(text for _, text in _parts(shown, ascii_only=ascii_only) if text in fitting)


def _parts(shown: Progress, *, ascii_only: bool) -> Iterator[tuple[int, str]]:
    """Yield the parts in the order of the line, each with its rank: that of the most important one is 0."""
    if shown.fraction is not None:
        yield 0, f"{int(100 * shown.fraction):>3}%"
        yield 5, _bar(shown.fraction, ascii_only=ascii_only)
    if shown.files:
        yield 4, f"{shown.files[0]:,} of {shown.files[1]:,} files"
    if shown.fraction is not None and shown.total:
        yield 8, f"{size_text(shown.fraction * shown.total)} of {size_text(shown.total)}"
    yield 2, f"{shown.rows:,} rows"
    if shown.calls is not None:
        yield 3, f"{shown.calls:,} calls"
    if shown.rate is not None:
        yield 6, f"{shown.rate:,.0f} {shown.counted}/s"
    if shown.retried:
        yield 7, f"{shown.retried:,} {'retry' if shown.retried == 1 else 'retries'}"
    if shown.left is not None:
        yield 1, f"{clock_time(shown.left)} left"
    if shown.note:
        yield 1, shown.note


def _bar(fraction: float, *, ascii_only: bool) -> str:
    done = int(_BAR * fraction)
    return "#" * done + "." * (_BAR - done) if ascii_only else "━" * done + "╌" * (_BAR - done)


def size_text(size: float) -> str:
    """Return a number of bytes for people: `312 B`, `3.2 kB`, `48 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def clock_time(seconds: float) -> str:
    """Return a time as a clock shows it: `0:09`, `12:30`, `1:02:03`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def trouble_text(trouble: Trouble, now: float) -> str:
    """Return what is wrong at the moment, in words."""
    if trouble.is_asked and trouble.until is not None:
        return f"asked to wait {duration(trouble.until - now)} (Retry-After): {trouble.reason}"
    wait = None if trouble.until is None else trouble.until - now
    following = "trying again now" if wait is None or wait < 1 else f"next try in {duration(wait)}"
    return f"{trouble.reason} for {duration(now - trouble.since)}, {following}"


def duration(seconds: float) -> str:
    """Return a time in seconds, or in minutes from two of them on."""
    seconds = max(0, round(seconds))
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"


class ProgressBar:
    """Lines at the bottom of standard error, which disappear when the run is over or asks a question.

    `sends` is false for a dry run, which counts rows instead of acknowledged calls. A terminal that cannot
    move its cursor (TERM=dumb) gets only the `note`, and a line for each outage that lasts.
    """

    def __init__(self, extent: Extent, clock: Clock, *, sends: bool = True, note: str = "") -> None:
        self._extent = extent
        self._clock = clock
        self._sends = sends
        self._note = note
        self._live: Live | None = None
        self._is_dumb = False
        self._told: float | None = None  # the beginning of the outage that a dumb terminal was told of
        self._samples: deque[Sample] = deque()
        self._next = 0.0
        self._trouble: Trouble | None = None
        self._shown = Progress(0, 0, "rows")

    def update(self, tally: Tally, trouble: Trouble | None = None) -> None:
        """Show the progress. Bytes were planned, and only a part of their calls is acknowledged yet."""
        now = self._clock.monotonic()
        if now < self._next:
            return
        self._next = now + _INTERVAL
        self._trouble = trouble
        self._shown = self._progress(tally, now)
        if self._live is None and not self._is_dumb:
            self._live = self._start()
        if self._is_dumb and trouble is not None:
            self._tell(trouble, now)

    def count(self, rows: int, note: str = "") -> None:
        """Show the rows that were read, by a command that makes no calls; with a `note`, once more."""
        now = self._clock.monotonic()
        if now < self._next:
            return
        self._next = now + _INTERVAL
        done = self._extent.done()
        rate, left = self._rates(Sample(now, rows, done))
        has_total = self._extent.total > 0 and not note
        self._shown = Progress(
            rows,
            None,
            "rows",
            rate if not note else None,
            fraction=done / self._extent.total if has_total else None,
            left=left if has_total else None,
            note=note,
        )
        if self._live is None and not self._is_dumb:
            self._live = self._start()

    def _progress(self, tally: Tally, now: float) -> Progress:
        rows, calls, extent = tally.rows, tally.calls, self._extent
        planned = calls.planned + calls.resumed
        share = (calls.acknowledged + calls.rejected) / planned if planned and self._sends else 1.0
        done = extent.done(share)
        counted = calls.acknowledged if self._sends else rows.read
        rate, left = self._rates(Sample(now, counted, done))
        has_total = extent.total > 0
        return Progress(
            rows.read,
            calls.acknowledged if self._sends else calls.planned,
            "calls" if self._sends else "rows",
            rate,
            calls.retried,
            done / extent.total if has_total else None,
            left if has_total and self._trouble is None else None,
            (extent.passed_files, extent.files) if extent.files > 1 else None,
            extent.total,
            self._note,
        )

    def _rates(self, sample: Sample) -> tuple[float | None, float | None]:
        """Return what is counted in a second, and the seconds left; None as long as they are not known."""
        samples = self._samples
        samples.append(sample)
        while samples[0].at < sample.at - _WINDOW:
            samples.popleft()
        passed = sample.at - samples[0].at
        if passed < _SHORTEST:
            return None, None
        speed = (sample.done - samples[0].done) / passed
        left = (self._extent.total - sample.done) / speed if speed > 0 else None
        return (sample.counted - samples[0].counted) / passed, left

    def _start(self) -> Live | None:
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True)
        if console.is_dumb_terminal or not console.is_terminal:
            self._is_dumb = True
            if self._note:
                say(f"km-cli looks at the whole input first; {self._note}", to_stderr=True)
            return None
        lines = _Lines(lambda: (self._shown, self._trouble, self._clock.monotonic()))
        live = Live(lines, console=console, transient=True)
        live.start()
        return live

    def _tell(self, trouble: Trouble, now: float) -> None:
        """Print an outage that lasts, once."""
        if now - trouble.since >= _LASTING and self._told != trouble.since:
            self._told = trouble.since
            mention(trouble_text(trouble, now))

    def stop(self) -> None:
        """Remove the lines. The next update shows them again; the time in between counts for no rate."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._samples.clear()


class _Lines:
    """The lines as rich draws them, several times a second: the seconds of an outage go on by themselves."""

    def __init__(self, state: Callable[[], tuple[Progress, Trouble | None, float]]) -> None:
        self._state = state

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        shown, trouble, now = self._state()
        line = progress_line(shown, options.max_width - 1, ascii_only=options.ascii_only)
        yield Text(line, style="green", no_wrap=True, overflow="crop")
        if trouble is not None:
            yield Text(escaped(trouble_text(trouble, now)), style="yellow")
