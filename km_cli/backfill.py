"""The cron form of an import: what is new in the sources that km.toml names, file by file.

Files grow, rotate and vanish while this looks at them, and one that can't be read holds up no other.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Protocol

from km_cli.config import Settings
from km_cli.config.backfill import BackfillSource
from km_cli.dispatch import Stop, Stopped
from km_cli.errors import CutShort, KmError, ReadError, Unclosed, UsageError
from km_cli.inputs import Source, Stamp, open_reader
from km_cli.inputs.places import Missing, find
from km_cli.ledger import Ledger
from km_cli.pipeline import Pipeline
from km_cli.protocols import Clock

_HELD = 24 * 3600.0
"""Seconds; a file that was not touched for so long has ended, its last line too (bad-input.md)."""

_PACKING = 3600.0
"""Seconds; what is packed and ends in the middle is still being written if it was touched since."""

_SETTLED = 2.0
"""Seconds; a file that was touched just now may be touched again without another time to show for it."""

MOST_PROBLEMS = 100


@dataclass(slots=True)
class Files:
    """Files by what became of them.

    `read` to their end; `held`: a last line is left to a later run; `unchanged` since they were read, and
    not opened; `failed`; `gone` since they were listed, as happens in rotation; `outside` of since and
    until, by the date in their path. `missing` are patterns that match nothing.
    """

    read: int = 0
    held: int = 0
    unchanged: int = 0
    failed: int = 0
    gone: int = 0
    outside: int = 0
    missing: int = 0


@dataclass(slots=True)
class Found:
    """What a backfill met: files, and the first problems with them, of `trouble` in all."""

    files: Files = field(default_factory=Files)
    problems: list[KmError] = field(default_factory=list)
    trouble: int = 0


class Watching(Protocol):
    """Is told what becomes of each file that is looked into."""

    def looked(self, source: str, file: str, state: str, problem: KmError | None = None) -> None:
        """A file, or a pattern that is missing, is in this state: one of the fields of Files."""
        ...


class Backfill:
    """Goes through sources and takes what is new in them."""

    def __init__(
        self,
        settings: Settings,
        pipeline: Pipeline,
        ledger: Ledger,
        clock: Clock,
        stop: Stop,
        found: Found,
        watching: Watching,
    ) -> None:
        self._settings = settings
        self._pipeline = pipeline
        self._ledger = ledger
        self._clock = clock
        self._stop = stop
        self._found = found
        self._watching = watching

    def run(self, sources: Iterable[BackfillSource]) -> None:
        """Take every source in turn. Problems with files are kept, and the rest goes on.

        Raises Stopped, LedgerFailed and TooManyRejects.
        """
        for source in sources:
            self._take_source(source)
        self._pipeline.end()
        self._ledger.tidy_files(self._clock.now())

    def _take_source(self, source: BackfillSource) -> None:
        settings = replace(self._settings, part=source.part)
        self._pipeline.turn_to(settings)
        asked = settings.asked
        for file in self._files(source, settings):
            if self._pipeline.is_full:
                return
            if self._stop.requested:
                raise Stopped(self._stop.error)
            self._look_at(source, file, asked)

    def _files(self, source: BackfillSource, settings: Settings) -> tuple[str, ...]:
        """Return the files there are now; what there should be and is not is noted."""
        part = source.part
        try:
            places = find(source.patterns, part.since, part.until, settings.clocking.timezone)
        except UsageError as error:
            self._note(source, ", ".join(source.patterns), "missing", error)
            return ()
        self._found.files.outside += places.outside
        for missing in places.missing:
            if missing.unreadable or not source.optional:
                self._note(source, missing.pattern, "missing", _missing(source, missing))
        return places.files

    def _look_at(self, source: BackfillSource, file: str, asked: str) -> None:
        problem: KmError | None = None
        try:
            state = self._state(file, asked)
        except (UsageError, ReadError) as error:
            state, problem = "failed", error
        self._note(source, file, state, problem)

    def _note(self, source: BackfillSource, file: str, state: str, problem: KmError | None) -> None:
        found = self._found
        setattr(found.files, state, getattr(found.files, state) + 1)
        if problem is not None:
            found.trouble += 1
            found.problems += [problem] if len(found.problems) < MOST_PROBLEMS else []
        if state != "unchanged":
            self._watching.looked(source.name, file, state, problem)

    def _state(self, file: str, asked: str) -> str:
        """Take what is new in a file; return what became of it. Raises UsageError, ReadError."""
        now = self._clock.now()
        try:
            stamp = Stamp.of(os.stat(file))
        except FileNotFoundError:
            return "gone"
        except OSError as error:
            raise UsageError(f"{file}: cannot be opened: {error.strerror}", "check its permissions") from None
        if self._ledger.files.is_read(stamp, asked, now):
            return "unchanged"
        input_ = Source(file, shape=self._settings.shape)
        input_.pin()
        try:
            return self._take(input_, asked, now)
        finally:
            input_.unpin()

    def _take(self, source: Source, asked: str, now: float) -> str:
        stamp = source.stamp
        if stamp is None:
            return "gone" if source.path and not source.path.exists() else _refuse(source)
        age = now - stamp.time / 1e9
        has_ended = source.is_packed or age >= _HELD
        if not has_ended and stamp.size and not source.has_line:
            return "held"
        try:
            with closing(open_reader(source)) as opened:
                is_whole = self._pipeline.take(opened, holds=not has_ended)
        except CutShort:
            if age >= _PACKING:
                raise
            return "held"
        except Unclosed:
            if has_ended:
                raise
            return "held"
        if is_whole and age > _SETTLED:
            self._ledger.keep_file(stamp, asked, now)
        return "read" if is_whole or self._pipeline.is_full else "held"


def _missing(source: BackfillSource, missing: Missing) -> UsageError:
    if missing.unreadable:
        return UsageError(f"backfill {source.name!r}: {missing.pattern} cannot be read", missing.hint)
    return UsageError(
        f"backfill {source.name!r}: there is nothing at {missing.pattern}",
        f"{missing.hint}; if that may be so, say optional = true",
    )


def _refuse(source: Source) -> str:
    raise UsageError(f"{source.name} is no regular file", "name files that can be read more than once")
