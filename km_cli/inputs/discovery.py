"""What km.toml says files are → the files that are there: names, folders, patterns, partitions by date.

Nothing is opened here. It is looked anew each run, so folders may have 10,000s of files: a name is asked
for no more than its folder tells.
"""

from __future__ import annotations

import errno
import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from km_cli.inputs.globs import hint
from km_cli.inputs.messages import path_text
from km_cli.inputs.partitions import Date, Period, Step, as_glob, parse, period_of

_DAY = 86_400 * 10**9
"""Nanoseconds. Partitions are often by another zone, or by when a row arrived: so far they may be off."""

_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".swp", "~")
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_SPECIAL = re.compile(r"[*?\[%]")


class Missing(NamedTuple):
    """An entry that has no file, or not all: `unreadable` if that is because a folder can't be read."""

    pattern: str
    hint: str
    unreadable: bool = False


class FoundFiles(NamedTuple):
    """The files there are, each once, in the order they are read.

    `outside` counts files, and folders that nobody looked into, whose period is not asked for.
    """

    files: tuple[str, ...]
    missing: tuple[Missing, ...]
    outside: int


def pattern_from_here(folder: Path, entry: str) -> str:
    """Return an entry of a file in `folder` as one that can be looked for from here: `~` is the home.

    Only what the entry says is a pattern: a folder may be called 100% or [old].
    """
    first, _, rest = entry.partition("/")
    if (home := os.path.expanduser(first)) != first:
        return _below(home, rest.lstrip("/"))
    return _below("" if folder == Path() else str(folder), entry)


def _below(folder: str, entry: str) -> str:
    whole = os.path.join(folder, entry)
    if os.path.isabs(entry) or not _SPECIAL.search(folder):
        return _named(whole)
    if os.path.lexists(whole):
        return whole
    return os.path.join(glob.escape(folder).replace("%", "%%"), entry)


def _named(file: str) -> str:
    """Return a file's name as it is read: `-` alone would be standard input."""
    return "./-" if file == "-" else file


def find_files(patterns: Iterable[str], since: int | None, until: int | None, timezone: str) -> FoundFiles:
    """Return the files of the patterns, of each in order of their names; `timezone` "" is UTC.

    A name that exists is taken as it is, a folder is all data files at any depth below it. What is
    partitioned by date (`%Y`, `%m`, `%d`, `%H`) is left out more than a day before `since` or after `until`,
    which are in nanoseconds since 1970. Raises UsageError for a pattern that cannot mean anything.
    """
    files: dict[str, None] = {}
    outside: set[str] = set()
    missing: list[Missing] = []
    for pattern in patterns:
        search = _Search(since, until, ZoneInfo(timezone or "UTC"))
        search.look(pattern)
        files.update(dict.fromkeys(sorted(search.files)))
        outside |= search.outside
        missing += search.missing(pattern)
    return FoundFiles(tuple(map(_named, files)), tuple(missing), len(outside.difference(files)))


class _Search:
    """Looks for the files of one pattern."""

    def __init__(self, since: int | None, until: int | None, zone: ZoneInfo) -> None:
        self._since = since
        self._until = until
        self._zone = zone
        self._has_folder = False
        self._dangling = ""
        self._unreadable: dict[str, str] = {}
        self.files: set[str] = set()
        self.outside: set[str] = set()

    def look(self, pattern: str) -> None:
        """Find its files."""
        if _is_dangling(pattern):
            self._dangling = os.readlink(pattern)
        elif os.path.lexists(pattern):
            self.files.update(self._whole(pattern))
        else:
            root, steps = parse(pattern)
            self.files.update(self._along(root, steps, {}))

    def missing(self, pattern: str) -> Iterator[Missing]:
        """Yield what stands in the way of its files, if anything does."""
        for folder, reason in self._unreadable.items():
            what = f"{path_text(folder or '.')} cannot be read: {reason}"
            yield Missing(pattern, f"check its permissions: {what}", unreadable=True)
        if self._dangling:
            yield Missing(pattern, f"it is a link to {path_text(self._dangling)}, which is not there")
        elif not (self.files or self.outside or self._has_folder or self._unreadable):
            yield Missing(pattern, hint(as_glob(pattern)))

    def _along(self, folder: str, steps: Sequence[Step], date: Date) -> Iterator[str]:
        """Yield the files that the steps lead to from a folder; `date` is the date on the way there."""
        step, rest = steps[0], steps[1:]
        if step.is_end:
            yield from self._data(folder)
        elif step.is_deep:
            for below in self._folders(folder):
                yield from self._along(below, rest, date)
        elif step.name is None:
            yield from self._named(os.path.join(folder, step.text), rest, date)
        else:
            yield from self._matching(folder, step, rest, date)

    def _named(self, path: str, rest: Sequence[Step], date: Date) -> Iterator[str]:
        if rest:
            yield from self._along(path, rest, date)
        elif self._is_there(path):
            yield from self._whole(path)

    def _matching(self, folder: str, step: Step, rest: Sequence[Step], date: Date) -> Iterator[str]:
        for entry in self._entries(folder):
            read = step.match(entry.name, date)
            if read is None:
                continue
            is_folder = self._is_folder(entry)
            if (rest and not is_folder) or (is_folder and not rest and not step.is_dated):
                continue
            path = os.path.join(folder, entry.name)
            if step.is_dated and not self._is_in_time(path, read):
                continue
            if rest:
                yield from self._along(path, rest, read)
            elif is_folder:
                yield from self._data(path)
            else:
                yield path

    def _is_in_time(self, path: str, date: Date) -> bool:
        """Tell whether a path of this date is asked for; no digits that are no date are."""
        try:
            period = period_of(date, self._zone)
        except ValueError:
            return False
        if period is None or self._touches(period):
            return True
        self.outside.add(path)
        return False

    def _touches(self, period: Period) -> bool:
        is_over = self._since is not None and period.end < self._since - _DAY
        return not is_over and (self._until is None or period.begin <= self._until + _DAY)

    def _whole(self, path: str) -> Iterator[str]:
        """Yield what exists under a name: the file, or a folder's data."""
        if os.path.isdir(path):
            yield from self._data(path)
        else:
            yield path

    def _data(self, folder: str) -> Iterator[str]:
        """Yield the data files at any depth below a folder."""
        self._has_folder |= os.path.isdir(folder)
        for below, others in self._walk(folder, _is_data):
            yield from (os.path.join(below, entry.name) for entry in others if self._is_file(entry))

    def _folders(self, folder: str) -> Iterator[str]:
        """Yield a folder and all below it, as `**` has them: none that is hidden."""
        for below, _ in self._walk(folder, lambda name: not name.startswith(".")):
            yield below

    def _walk(
        self, folder: str, is_shown: Callable[[str], bool]
    ) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
        """Yield a folder and each below it, with what is in it beside folders; no linked ones, for loops."""
        folders = [folder]
        while folders:
            folder = folders.pop()
            others = []
            for entry in self._entries(folder):
                if not is_shown(entry.name):
                    continue
                if self._is_folder(entry, linked=False):
                    folders.append(os.path.join(folder, entry.name))
                else:
                    others.append(entry)
            yield folder, others

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        """Return what is in a folder; one that is gone meanwhile has nothing."""
        with self._noting(folder), os.scandir(folder or ".") as entries:
            return list(entries)
        return []

    def _is_there(self, path: str) -> bool:
        with self._noting(path):
            os.lstat(path)
            return True
        return False

    def _is_folder(self, entry: os.DirEntry[str], *, linked: bool = True) -> bool:
        with self._noting(entry.path):
            return entry.is_dir(follow_symlinks=linked)
        return False

    def _is_file(self, entry: os.DirEntry[str]) -> bool:
        with self._noting(entry.path):
            return entry.is_file()
        return False

    @contextmanager
    def _noting(self, path: str) -> Iterator[None]:
        """Go on after what a path refuses, and remember it, unless that is because there is no such path."""
        try:
            yield
        except OSError as error:
            if error.errno not in _ABSENT:
                self._unreadable[path] = error.strerror or str(error)


def _is_dangling(path: str) -> bool:
    """Tell whether it is a link to what is not there; one that can't be followed is another matter."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return os.path.islink(path)
    except (OSError, ValueError):
        return False
    return False


def _is_data(name: str) -> bool:
    """Tell whether a file found in a folder is data: not hidden, not marked as something else, finished."""
    return not name.startswith((".", "_")) and not name.lower().endswith(_UNFINISHED)
