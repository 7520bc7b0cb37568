"""How much of the inputs is done: files of all files, bytes of all bytes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping

from km_cli.errors import UsageError
from km_cli.inputs import Opened
from km_cli.inputs.storage.registry import storage_of
from km_cli.object_address import is_address


def sizes_of(files: Iterable[str]) -> dict[str, int] | None:
    """Return the bytes of each file; None if one is standard input, a pipe, or not there.

    The reader reports what is wrong with such a file.
    """
    sizes: dict[str, int] = {}
    for name in files:
        size = _object_size(name) if is_address(name) else _file_size(name)
        if size is None:
            return None
        sizes[name] = size
    return sizes


def _file_size(name: str) -> int | None:
    try:
        found = os.stat(name)
    except (OSError, ValueError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _object_size(name: str) -> int | None:
    try:
        found = storage_of(name).stat(name)
    except UsageError:
        return None
    return found.stamp.size if found else None


class Extent:
    """Follows a run through its files.

    `sizes` are the bytes of each file on disk; None if they are not known, and then there are no totals. A
    file that grows while it is read counts with the size that it had.
    """

    def __init__(self, sizes: Mapping[str, int] | None) -> None:
        self._sizes = sizes
        self.total = sum(sizes.values()) if sizes is not None else 0
        self.files = len(sizes) if sizes is not None else 0
        self.passed_files = 0
        self._behind = 0  # bytes of the files that are done
        self._known = 0  # of all bytes that are done, those that an earlier run had done
        self._opened: Opened | None = None
        self._size = 0
        self._at = 0

    def begin(self, opened: Opened) -> None:
        """Begin a file. The one before it is done."""
        if self._opened is not None:
            self._end()
        self._opened = opened
        self._size = opened.source.stamp.size if opened.source.stamp else 0

    def move(self, length: int | None, *, known: bool = False) -> None:
        """Take note that so many bytes of the file's content are done; None for all that were read.

        `known` if an earlier run did them.
        """
        if self._opened is None:
            return
        self._at = min(self._opened.bytes_of_file(length), self._size)
        if known:
            self._known += self._at

    def passed(self, file: str) -> None:
        """Take note that a backfill is done with a file, which it may not have opened at all."""
        if self._opened is not None:
            self._end()
        else:
            size = (self._sizes or {}).get(file, 0)
            self._behind += size
            self._known += size
            self.passed_files += 1

    def _end(self) -> None:
        self._behind += self._size
        self.passed_files += 1
        self._opened, self._size, self._at = None, 0, 0

    def done(self, share: float = 1.0) -> float:
        """Return the bytes that are done. Of the calls in those of this run, only a `share` is settled."""
        read = self._behind + self._at
        return min(self._known + (read - self._known) * share, self.total)
