"""The state of a ledger: sent and pending calls, rejected rows, how runs ended, and the next step.

Nothing is written, and no lock is kept: the ledger is read under an overlay as in a dry run. So a run may be
at work meanwhile.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from km_cli.destinations.series import series_named
from km_cli.destinations.tracker import NAME
from km_cli.errors import Exit
from km_cli.ledger import BulkPart, Ledger, Pause, Reading, RunRecord
from km_cli.ledger.lock import read_holder
from km_cli.rejects import how_to_correct
from km_cli.run.pauses import paused

_RUNS = 10
_READ_NONE = frozenset({"retry", "ledger prune", "ledger forget"})
"""Commands whose runs read no logs."""
_RUNS_WITH_REJECTS = 1_000
"""How many runs are searched for their rejects files."""


class SiteStatus(NamedTuple):
    """The calls to one site. `sent` are acknowledged; `first` and `last` are the UTC days of the events.

    `in_files` are calls in bulk files. They are among those that were sent: the ledger does not know whether
    Kissmetrics has imported them. Days are counted from 1970; both are 0 if they are not known. The site is
    "" for calls that a km-cli of format 2 has sent.
    """

    tracker: str
    site: str
    sent: int
    pending: int
    first: int
    last: int
    in_files: int = 0


class Part(NamedTuple):
    """The calls of one log to one site, for one persona. Pending calls are among them.

    Site and persona are "" for calls that a km-cli of format 2 has sent.
    """

    tracker: str
    site: str
    persona: str
    calls: int


class SourceStatus(NamedTuple):
    """One log under one mapping, as far as it was read: `line` lines, in `length` bytes of its content.

    `begun` is in seconds since 1970, 0 if it is not known. `rejected` are rows that were rejected when they
    were read, and `refused` rows that a destination refused; a row that was corrected later is still counted.
    """

    source: str
    begun: int
    line: int
    length: int
    rows: int
    rejected: int
    refused: int
    pending: int
    parts: tuple[Part, ...]
    is_forgotten: bool = False

    @property
    def sent(self) -> int:
        """The calls that were acknowledged."""
        return sum(part.calls for part in self.parts) - self.pending


class RejectsStatus(NamedTuple):
    """A rejects file that is still there, the latest run that wrote to it, and the rows of all runs in it."""

    path: str
    run: int
    rows: int


class Status(NamedTuple):
    """How things stand in a ledger.

    `process` is the number of the process that holds the ledger, None if no run is at work. `size` is in
    bytes. `runs` are the latest, the last one first, as are `sources`. `unreported` are rows by rejects file
    that no run has reported, because the run that wrote them was cut off. Rows older than the second
    `horizon` are skipped; None if the ledger was never pruned. `unfinished` are bulk files with calls that
    are open or wait for their upload, and `finished` are those that are on this machine.
    """

    path: Path
    size: int
    process: int | None
    sites: tuple[SiteStatus, ...]
    sources: tuple[SourceStatus, ...]
    runs: tuple[RunRecord, ...]
    rejects: tuple[RejectsStatus, ...]
    unreported: Mapping[str, int]
    pauses: Mapping[str, Pause]
    horizon: int | None
    unfinished: tuple[BulkPart, ...]
    finished: tuple[BulkPart, ...]

    @property
    def pending(self) -> int:
        """All pending calls."""
        return sum(site.pending for site in self.sites)


def status_of(ledger: Ledger, now: float) -> Status:
    """Return how things stand. `now` is in seconds since 1970. Raises LedgerError if it cannot be read."""
    sources = tuple(_sources(ledger))
    runs = ledger.runs.latest(_RUNS_WITH_REJECTS)
    return Status(
        ledger.path,
        _size_of(ledger.path),
        read_holder(ledger.path),
        tuple(_sites(ledger, sources)),
        tuple(source for source in sources if not source.is_forgotten),
        tuple(runs[:_RUNS]),
        tuple(_rejects(runs)),
        dict(ledger.unreported.earlier),
        {tracker: pause for tracker, pause in ledger.pauses.all().items() if paused(pause, now)},
        ledger.horizon.second if ledger.horizon.is_set else None,
        tuple(part for part in ledger.bulk_parts.all_unfinished() if part.calls),
        tuple(part for part in ledger.bulk_parts.all_finished() if _is_here(part, ledger.path)),
    )


def _is_here(part: BulkPart, ledger: Path) -> bool:
    """Tell whether a finished file is on this machine. If it is not, it was uploaded, or moved for that."""
    series = series_named(part.series, ledger)
    return series.bucket is None and series.path(part.site, part.number).is_file()


def _size_of(path: Path) -> int:
    """Return the bytes of the ledger, with the log that SQLite keeps beside it while a run is at work."""
    places = (path, path.with_name(f"{path.name}-wal"))
    return sum(place.stat().st_size for place in places if place.exists())


def _sites(ledger: Ledger, sources: Iterable[SourceStatus]) -> Iterator[SiteStatus]:
    """Yield the sites. Readings know all calls; what each run has sent is known only since format 4."""
    calls: Counter[tuple[str, str]] = Counter()
    for source in sources:
        for tracker, site, _, number in source.parts:
            calls[tracker, site] += number
    left: Counter[tuple[str, str]] = Counter()
    for (tracker, site, _), number in ledger.outbox.count_by_reading().items():
        left[tracker, site] += number
    spans = {(one.tracker, one.site): (one.first, one.last) for one in ledger.sent.by_site()}
    in_files = ledger.bulk_parts.calls_by_site()
    for (tracker, site), number in sorted(calls.items()):
        pending = left[tracker, site]
        first, last = spans.get((tracker, site), (0, 0))
        written = in_files.get(site, 0) if tracker == NAME else 0
        yield SiteStatus(tracker, site, number - pending, pending, first, last, written)


def _sources(ledger: Ledger) -> Iterator[SourceStatus]:
    left: Counter[int] = Counter()
    for (_, _, number), calls in ledger.outbox.count_by_reading().items():
        left[number] += calls
    for reading in ledger.readings.latest():
        yield SourceStatus(
            reading.source,
            reading.begun,
            reading.line,
            reading.length,
            reading.rows,
            reading.rejected,
            reading.refused,
            left[reading.number],
            tuple(_parts(reading)),
            reading.is_forgotten,
        )


def _parts(reading: Reading) -> Iterator[Part]:
    for place, calls in reading.calls:
        tracker, _, rest = place.partition(" ")  # Format 2 counted by tracker alone.
        site, _, persona = rest.partition(" ")
        yield Part(tracker, site, persona, calls)


def _rejects(runs: list[RunRecord]) -> Iterator[RejectsStatus]:
    """Yield the rejects files of these runs that are still there, the latest first."""
    rows: defaultdict[str, int] = defaultdict(int)
    latest: dict[str, int] = {}
    for run in runs:
        for path, count in run.counts.get("rejects", {}).items():
            rows[path] += count
            latest.setdefault(path, run.number)
    for path, number in latest.items():
        if Path(path).is_file():
            yield RejectsStatus(path, number, rows[path])


class Step(NamedTuple):
    """What should be done next, and why."""

    why: str
    what: str


def next_steps(status: Status, retry: Callable[[str], str]) -> list[Step]:
    """Return what should be done, the most urgent first.

    `retry` returns the command that sends the pending calls of a destination, by its name in the ledger, or
    finishes the bulk files of a series, by its --to.
    """
    return list(_steps(status, retry))


def _steps(status: Status, retry: Callable[[str], str]) -> Iterator[Step]:
    last = next(iter(status.runs), None)
    # A retry reads nothing: after a killed import, its log is still to be read further.
    if status.process is not None:
        command = f" ({last.command})" if last is not None and last.ended is None else ""
        yield Step(f"a run is at work{command}, process {status.process}", "wait for its end")
    else:
        yield from _unfinished(status.runs)
    if status.process is None:
        yield from _steps_of_pending(status.sites, retry)
        yield from _steps_of_files(status, retry)
    for path, rows in status.unreported.items():
        by_whom = (
            "a run that was cut off" if status.process is None else "a run that is at work, or was cut off,"
        )
        yield Step(f"{by_whom} rejected {_rows(rows)}, in {path}", how_to_correct(path))
    for found in status.rejects:
        if found.path not in status.unreported:
            what = how_to_correct(found.path)
            yield Step(f"{_rows(found.rows)} rejected, in {found.path}", f"{what}; then remove the file")


def _steps_of_pending(sites: Iterable[SiteStatus], retry: Callable[[str], str]) -> Iterator[Step]:
    """Yield a step for each destination with pending calls: one retry sends to one of them."""
    pending: Counter[str] = Counter()
    for site in sites:
        pending[site.tracker] += site.pending
    several = sum(map(bool, pending.values())) > 1
    for tracker, number in pending.items():
        if number:
            noun = "call is" if number == 1 else "calls are"
            where = f" for {tracker}" if several else ""
            yield Step(f"{number:,} {noun} pending{where}", f"send them: {retry(tracker)}")


def _steps_of_files(status: Status, retry: Callable[[str], str]) -> Iterator[Step]:
    """Yield the steps for each series of bulk files. All calls in them count as sent.

    Files that a run left without their names, or in vain tried to upload, come first: no other destination
    gets their calls, and no upload takes the files. Then those that the user has to upload.
    """
    for name, found in _by_series(part for part in status.unfinished if part.is_open):
        series = series_named(name, status.path)
        first = series.open_path(found[0].site, found[0].number)
        why = f"{_count_as_sent(found)} in an unfinished bulk file: {first}{_and_more(found)}"
        yield Step(why, f"finish it: {retry(series.spelled)}")
    for name, found in _by_series(part for part in status.unfinished if part.waits):
        series = series_named(name, status.path)
        first = series.path(found[0].site, found[0].number)
        why = f"{_count_as_sent(found)} in a bulk file that waits for its upload: {first}{_and_more(found)}"
        yield Step(why, f"upload it: {retry(series.spelled)}")
    for name, found in _by_series(status.finished):
        first = series_named(name, status.path).path(found[0].site, found[0].number)
        yield Step(
            f"{_count_as_sent(found)} in a bulk file on this machine: {first}{_and_more(found)}",
            "upload it to the bucket that Kissmetrics imports from; then move it away, or remove it",
        )


def _by_series(parts: Iterable[BulkPart]) -> Iterable[tuple[str, list[BulkPart]]]:
    found: defaultdict[str, list[BulkPart]] = defaultdict(list)
    for part in parts:
        found[part.series].append(part)
    return found.items()


def _count_as_sent(parts: Iterable[BulkPart]) -> str:
    calls = sum(part.calls for part in parts)
    return "1 call counts as sent" if calls == 1 else f"{calls:,} calls count as sent"


def _and_more(parts: Sequence[BulkPart]) -> str:
    return f" and {len(parts) - 1:,} more" if len(parts) > 1 else ""


def _unfinished(runs: Sequence[RunRecord]) -> Iterator[Step]:
    """Yield the step for a last run that may have left a part of its logs. Retries read none."""
    last = next((run for run in runs if run.command not in _READ_NONE), None)
    latest = next(iter(runs), None)
    if last is None or last.exit in (Exit.OK, Exit.REJECTED):
        return
    again = f"run `km-cli {last.command}` again as before"
    if last.ended is None:
        what = f"{again}: it continues where that run was cut off"
        which = "run" if last is latest else f"{last.command} (run {last.number})"
        yield Step(f"the last {which} was killed, or the machine went down", what)
        return
    what = "it says what is wrong" if last.exit == Exit.USAGE else "it continues where that run ended"
    why = f"the last {last.command} ended with exit {last.exit}, and may not have read all"
    yield Step(why, f"{again}: {what}")


def _rows(number: int) -> str:
    return f"{number:,} row{'' if number == 1 else 's'}"
