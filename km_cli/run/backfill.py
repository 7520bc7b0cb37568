"""The cron form of an import: it sends what is new in the sources of km.toml, file by file.

Files grow, rotate and vanish while it reads them. A file that cannot be read holds up no other file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from km_cli.config.backfill import BackfillSource, overlap_of
from km_cli.config.settings import Settings
from km_cli.errors import CutShort, Exit, KmError, ReadError, Rewritten, Unclosed, UsageError
from km_cli.inputs import Opened, Source, Stamp, open_reader
from km_cli.inputs.finding import find_files
from km_cli.inputs.sql.base import Query
from km_cli.inputs.storage.base import Missing
from km_cli.inputs.storage.registry import storage_of
from km_cli.ledger import Ledger
from km_cli.protocols import Clock
from km_cli.run.observer import Observer
from km_cli.run.queries import open_source
from km_cli.run.stopping import Stop, Stopped

_HELD = 24 * 3600.0
"""Seconds. A file that was not written to for so long is complete, and so is its last line."""

_PACKING = 3600.0
"""Seconds. A packed file that ends in the middle is still being written if it was touched since."""

_SETTLED = 2.0
"""Seconds. A file that was touched just now may be touched again within the same tick of its clock."""

MOST_PROBLEMS = 100

STATES = ("read", "begun", "held", "unchanged", "failed", "gone", "outside", "missing")
"""The states of files.

`read`: it was read to its end. `begun`: it was read as far as --limit allows. `held`: its last line may still
grow, or it was rewritten while it was read; the rest waits for a later run. `unchanged`: it has not changed
since a run read it. `failed`: it could not be read. `gone`: it vanished after it was listed, as in rotation.
`outside`: by the date in its path it is outside of since and until. `missing`: a pattern matches no file.
"""


@dataclass(slots=True)
class BackfillSummary:
    """The files of a backfill by state, and the first of all `trouble` problems.

    `worst` is the highest exit code of the problems.
    """

    files: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATES, 0))
    problems: list[KmError] = field(default_factory=list)
    trouble: int = 0
    worst: int = Exit.OK

    def note(self, state: str, problem: KmError | None) -> None:
        """Count a file in its state, and keep its problem."""
        self.files[state] += 1
        if problem is not None:
            self.add(problem)

    def add(self, problem: KmError) -> None:
        """Count a problem, and keep it if it is among the first."""
        self.trouble += 1
        self.worst = max(self.worst, problem.exit)
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)


class Taker(Protocol):
    """Takes the inputs of a backfill one after the other: the pipeline, or a comparison."""

    @property
    def is_full(self) -> bool:
        """Whether as many rows were taken as may be (--limit)."""

    def turn_to(self, settings: Settings) -> None:
        """Take the next inputs under these settings."""

    def take(self, opened: Opened, may_grow: Callable[[], bool] | None = None) -> bool:
        """Take an input; return whether it was taken to its end, without a last record that may grow."""

    def pass_over(self) -> None:
        """Note that not all rows of the sources are seen."""

    def end(self) -> None:
        """Note the findings that show only at the end."""


Own = Sequence[tuple[Path, str]]
"""Files of km-cli itself, each with a description."""


class Backfill:
    """Sends what is new in its sources.

    Files of `own` are never read, even if a source's pattern matches them: rejects would be read and rejected
    again, and an error about a key file would show its content.
    """

    def __init__(
        self,
        settings: Settings,
        pipeline: Taker,
        ledger: Ledger,
        clock: Clock,
        stop: Stop,
        summary: BackfillSummary,
        observer: Observer,
        own: Own = (),
    ) -> None:
        self._settings = settings
        self._format_options = settings.format_options
        self._pipeline = pipeline
        self._ledger = ledger
        self._clock = clock
        self._stop = stop
        self._summary = summary
        self._own = {os.path.realpath(path): what for path, what in own}
        self._own_names = {path.name for path, _ in own} | {os.path.basename(path) for path in self._own}
        self._observer = observer

    def run(self, sources: Iterable[BackfillSource]) -> None:
        """Take every source in turn. A problem with a file is kept, and does not hold up the other files.

        Raises Stopped, LedgerFailed and TooManyRejects.
        """
        for source in sources:
            self._take_source(source)
        self._pipeline.end()
        self._ledger.tidy_files(self._clock.now())

    def _take_source(self, source: BackfillSource) -> None:
        overlap = overlap_of(source, self._settings)
        settings = replace(source.settings or self._settings, selection=source.selection, overlap=overlap)
        # The sites are those of the run, so that its forecast has the calls of all sources.
        people = settings.people._replace(sites=self._settings.people.sites)
        settings = replace(settings, people=people)
        self._format_options = settings.format_options
        self._pipeline.turn_to(settings)
        if source.query is not None:
            if not self._pipeline.is_full:
                self._heed()
                self._look_at(source, source.query.source, partial(self._ask, source.query, settings))
            return
        asked = settings.asked_of_files
        for file in self._files(source, settings):
            if self._pipeline.is_full:
                return
            self._heed()
            self._look_at(source, file, partial(self._state, file, asked))

    def _ask(self, query: Query, settings: Settings) -> str:
        """Send the new rows of a query; return the state that it is left in. Raises UsageError, ReadError."""
        from km_cli.inputs.sql.source import QuerySource

        with closing(open_source(QuerySource(query, self._heed), self._ledger, settings)) as opened:
            is_whole = self._pipeline.take(opened)
        return "read" if is_whole else "begun"

    def _heed(self) -> None:
        """Raise Stopped if the run is asked to end."""
        if self._stop.requested:
            raise Stopped(self._stop.error)

    def _files(self, source: BackfillSource, settings: Settings) -> tuple[str, ...]:
        """Return the files that exist now, and note the patterns that match none."""
        selection = source.selection
        try:
            places = find_files(
                source.patterns,
                selection.since,
                selection.until,
                settings.time_options.timezone,
                self._heed,
            )
        except UsageError as error:
            self._note(source, ", ".join(source.patterns), "missing", error)
            return ()
        if places.outside:
            self._summary.files["outside"] += places.outside
            self._pipeline.pass_over()
        for missing in places.missing:
            if missing.unreadable or not source.optional:
                self._note(source, missing.pattern, "missing", _missing(source, missing))
        return tuple(file for file in places.files if not self._is_own(source, file))

    def _what_own(self, file: str) -> str | None:
        """Return the description of a file of km-cli itself, None for any other."""
        series = self._settings.target.bulk()
        if series is not None and series.has_object(file):
            return "a bulk file that km-cli wrote"
        return self._own.get(os.path.realpath(file)) if os.path.basename(file) in self._own_names else None

    def _is_own(self, source: BackfillSource, file: str) -> bool:
        """Tell whether a file belongs to km-cli itself. It is a problem if a source names it outright."""
        if (what := self._what_own(file)) is None:
            return False
        if file in source.patterns:
            error = UsageError(
                f"backfill {source.name!r}: {file} is not a log: it is {what}",
                "name only logs, or put that file elsewhere: --rejects, --log, --metrics or --ledger PATH",
            )
            self._note(source, file, "failed", error)
        return True

    def _look_at(self, source: BackfillSource, file: str, state_of: Callable[[], str]) -> None:
        """Take what is new in a file, or in the query of this name."""
        problem: KmError | None = None
        try:
            state = state_of()
        except (UsageError, ReadError) as error:
            state, problem = "failed", error
        self._observer.passed(file)
        self._note(source, file, state, problem)

    def _note(self, source: BackfillSource, file: str, state: str, problem: KmError | None) -> None:
        self._summary.note(state, problem)
        if state != "read":
            self._pipeline.pass_over()
        if state != "unchanged":
            self._observer.looked(source.name, storage_of(file).shown(file), state, problem)

    def _state(self, file: str, asked: str) -> str:
        """Send what is new in a file; return the state that it is left in. Raises UsageError, ReadError."""
        now = self._clock.now()
        found = storage_of(file).stat(file, self._heed)
        if found is None:
            return "gone"
        if self._ledger.files.is_read(found.stamp, asked, now):
            return "unchanged"
        input_ = Source(file, format_options=self._format_options, check=self._heed)
        input_.pin()
        try:
            return self._take(input_, input_.stamp, asked, now) if input_.stamp else _unheld(input_)
        finally:
            input_.unpin()

    def _take(self, source: Source, stamp: Stamp, asked: str, now: float) -> str:
        age = now - source.modified
        is_packed = source.is_packed

        def may_grow() -> bool:
            """Tell whether the last line may still grow, or the file changed while it was read."""
            return not is_packed and (age < _HELD or source.was_touched)

        if stamp.size and not source.has_line and may_grow():
            return "held"
        try:
            with closing(open_reader(source)) as opened:
                is_whole = self._pipeline.take(opened, may_grow)
        except Rewritten:
            return "held"
        except CutShort:
            if age >= _PACKING:
                raise
            return "held"
        except Unclosed:
            if not may_grow():
                raise
            return "held"
        if is_whole and (source.is_fixed or age > _SETTLED):
            self._ledger.keep_file(stamp, asked, now)
        if self._pipeline.is_full:
            return "begun"
        return "read" if is_whole else "held"


def _unheld(source: Source) -> str:
    """Return the state of a file that cannot be kept open. Raises UsageError if it exists."""
    if source.path is None or not os.path.exists(source.path):  # an object is gone if it is not there
        return "gone"
    raise UsageError(f"{source.name} is no regular file", "name files that can be read more than once")


def _missing(source: BackfillSource, missing: Missing) -> UsageError:
    if missing.unreadable:
        return UsageError(f"backfill {source.name!r}: {missing.pattern} cannot be read", missing.hint)
    return UsageError(
        f"backfill {source.name!r}: there is nothing at {missing.pattern}",
        f"{missing.hint}; if the source may have no files, add optional = true",
    )
