"""Files on this machine."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from km_cli.errors import UsageError
from km_cli.file_limit import check_limit
from km_cli.inputs.base import Check, no_check
from km_cli.inputs.discovery import search
from km_cli.inputs.globs import matches
from km_cli.inputs.messages import path_text
from km_cli.inputs.misnamed import absent, folder_named
from km_cli.inputs.storage.base import Content, Found, Matches, Stamp, Window, rewritten

_LAST = 1 << 12
"""Bytes before the place of reading; if they change, the file was rewritten."""


class _Pinned(Content):
    """A file from a place on, read through a descriptor that is shared with other readers.

    Raises Rewritten if the bytes that were read last have changed: the file was truncated, and perhaps has
    grown beyond that place since. Its next bytes would be taken for the rest of a line that is gone.
    """

    def __init__(self, name: str, file: int, at: int) -> None:
        self._name = name
        self._file = file
        self._at = at
        self._last = b""

    def place(self) -> int:
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        size = os.preadv(self._file, [buffer], self._at)
        # Not before reading, since the file may be truncated in between.
        if os.pread(self._file, len(self._last), self._at - len(self._last)) != self._last:
            raise rewritten(self._name, self._at)
        self._at += size
        self._last = (self._last + bytes(memoryview(buffer)[max(0, size - _LAST) : size]))[-_LAST:]
        return size


class HeldFile:
    """A regular file that is open, whichever file has its name later: logs are rotated."""

    is_fixed = False

    def __init__(self, name: str, file: int, found: os.stat_result) -> None:
        self._name = name
        self._file = file
        self.found = _found(found)

    def open(self, offset: int = 0) -> Content:
        """Return its bytes from a place on."""
        return _Pinned(self._name, self._file, offset)

    def was_touched(self) -> bool:
        """Tell whether the file was written to, or truncated, since it was opened."""
        return self.found.stamp != Stamp.from_stat(os.fstat(self._file))

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _found(found: os.stat_result) -> Found:
    return Found(Stamp.from_stat(found), found.st_mtime_ns / 1e9)


class Local:
    """The files of this machine, by their paths."""

    def shown(self, name: str) -> str:
        """Return a path as text."""
        return path_text(name)

    def check(self, name: str, _check: Check = no_check) -> None:
        """Raise UsageError if the file does not exist or is a folder."""
        path = Path(name)
        try:
            is_folder = stat.S_ISDIR(path.stat().st_mode)
        except FileNotFoundError:
            raise absent(path, path_text(name)) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UsageError(f"{path_text(name)}: cannot be opened: {reason}", "check the path") from None
        if is_folder:
            raise folder_named(path, path_text(name))

    def stat(self, name: str, _check: Check = no_check) -> Found | None:
        """Return a file as it is now; None if it does not exist."""
        try:
            return _found(os.stat(name))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unopened(name, error) from None

    def hold(self, name: str, _check: Check = no_check) -> HeldFile | None:
        """Open a regular file; None for any other."""
        try:
            if not stat.S_ISREG(os.stat(name).st_mode):
                return None
            # Without O_NONBLOCK, opening would wait if a named pipe has taken the name meanwhile.
            file = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unopened(path_text(name), error) from None
        found = os.fstat(file)
        if stat.S_ISREG(found.st_mode):
            return HeldFile(path_text(name), file, found)
        os.close(file)
        return None

    def expand(self, pattern: str) -> Sequence[str]:
        """Return the files that a glob matches."""
        is_name = glob.escape(pattern) == pattern or os.path.lexists(pattern)
        return [pattern] if is_name else matches(pattern)

    def search(self, pattern: str, window: Window, _check: Check = no_check) -> Matches:
        """Return the files of a pattern of km.toml."""
        return search(pattern, window)


def unopened(name: str, error: OSError) -> UsageError:
    """Return the error about a file that cannot be opened. Raises Exhausted if too many files are open."""
    check_limit(name, error)
    hint = "check the path" if isinstance(error, FileNotFoundError) else "check its permissions"
    return UsageError(f"{name}: cannot be opened: {error.strerror}", hint)
