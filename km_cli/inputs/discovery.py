"""Finds the files that km.toml's patterns name: files, folders, globs, partitions by date.

No file is opened here. Each run searches again, and a folder may have tens of thousands of files. So a folder
is listed once, and its entries are not looked up one by one.
"""

from __future__ import annotations

import errno
import glob
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from km_cli.file_limit import check_limit
from km_cli.inputs.globs import hint
from km_cli.inputs.messages import path_text
from km_cli.inputs.partitions import Date, Step, as_glob, is_data, is_wanted, parse_pattern
from km_cli.inputs.storage.base import Matches, Missing, Window
from km_cli.object_address import is_address

_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_SPECIAL = re.compile(r"[*?\[%]")


def pattern_from_here(folder: Path, entry: str) -> str:
    """Return a pattern in km.toml, which lies in `folder`, as a pattern from the current folder.

    `~` is the home folder. Special characters in the name of `folder` are escaped: it may be called 100% or
    [old]. The address of an object stays as it is.
    """
    if is_address(entry):
        return entry
    first, _, rest = entry.partition("/")
    if (home := os.path.expanduser(first)) != first:
        return _below(home, rest.lstrip("/"))
    return _below("" if folder == Path() else str(folder), entry)


def _below(folder: str, entry: str) -> str:
    whole = os.path.join(folder, entry)
    if os.path.isabs(entry) or not _SPECIAL.search(folder):
        return named(whole)
    if os.path.lexists(whole):
        return whole
    return os.path.join(glob.escape(folder).replace("%", "%%"), entry)


def named(file: str) -> str:
    """Return a file's name, as `./-` if it is `-`, which would mean standard input."""
    return "./-" if file == "-" else file


def search(pattern: str, window: Window) -> Matches:
    """Return the files of a pattern.

    A name that exists is taken as it is; a folder means all data files at any depth below it. Partitions by
    date (`%Y`, `%m`, `%d`, `%H`) are left out if they lie more than a day outside of the window. Raises
    UsageError for a pattern that makes no sense.
    """
    searching = _Search(window)
    searching.run(pattern)
    missing = tuple(searching.missing(pattern))
    return Matches(frozenset(searching.files), frozenset(searching.outside), missing)


class _Search:
    """Searches the files of one pattern."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._has_folder = False
        self._dangling = ""
        self._unreadable: dict[str, str] = {}
        self.files: set[str] = set()
        self.outside: set[str] = set()

    def run(self, pattern: str) -> None:
        """Find the pattern's files."""
        if _is_dangling(pattern):
            self._dangling = os.readlink(pattern)
        elif os.path.lexists(pattern):
            self.files.update(self._file_or_folder(pattern))
        else:
            root, steps = parse_pattern(pattern)
            self.files.update(self._along(root, steps, {}))

    def missing(self, pattern: str) -> Iterator[Missing]:
        """Yield the reasons why files of the pattern are missing."""
        for folder, reason in self._unreadable.items():
            problem = f"{path_text(folder or '.')} cannot be read: {reason}"
            yield Missing(pattern, f"check its permissions: {problem}", unreadable=True)
        if self._dangling:
            yield Missing(pattern, f"it is a link to {path_text(self._dangling)}, which does not exist")
        elif not (self.files or self.outside or self._has_folder or self._unreadable):
            yield Missing(pattern, hint(as_glob(pattern)))

    def _along(self, folder: str, steps: Sequence[Step], date: Date) -> Iterator[str]:
        """Yield the files that the steps lead to from a folder. `date` are the parts of the date so far."""
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
            yield from self._file_or_folder(path)

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
        """Tell whether the period of a path is asked for. It is not if the digits are not a date."""
        wanted = is_wanted(date, self._window)
        if wanted is False:
            self.outside.add(path)
        return bool(wanted)

    def _file_or_folder(self, path: str) -> Iterator[str]:
        """Yield the file of this name, or the data files of the folder."""
        if os.path.isdir(path):
            yield from self._data(path)
        else:
            yield path

    def _data(self, folder: str) -> Iterator[str]:
        """Yield the data files at any depth below a folder."""
        self._has_folder |= os.path.isdir(folder)
        for below, others in self._walk(folder, is_data):
            yield from (os.path.join(below, entry.name) for entry in others if self._is_file(entry))

    def _folders(self, folder: str) -> Iterator[str]:
        """Yield a folder and all folders below it that are not hidden, for `**`."""
        for below, _ in self._walk(folder, lambda name: not name.startswith(".")):
            yield below

    def _walk(
        self, folder: str, is_shown: Callable[[str], bool]
    ) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
        """Yield a folder and each below it, with its other entries.

        Links are not followed: they may be a loop.
        """
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
        """Return the entries of a folder; none if the folder is gone meanwhile."""
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
        """Suppress an error with a path, and remember it unless the path does not exist."""
        try:
            yield
        except OSError as error:
            check_limit(path_text(path), error)
            if error.errno not in _ABSENT:
                self._unreadable[path] = error.strerror or str(error)


def _is_dangling(path: str) -> bool:
    """Tell whether a path is a link to a missing file. A link that can't be followed is another error."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return os.path.islink(path)
    except (OSError, ValueError):
        return False
    return False
