"""`--log`: what unattended runs did, as JSON lines that any log shipper reads.

A line is `{"time": "2026-11-24T03:00:00.123Z", "run": …, "what": …, …}`, in ASCII. A value that is no
Unicode, as the name of a file can be, is in it with backslashes. Neither keys nor property values belong
into it.
"""

from __future__ import annotations

import errno
import json
import math
import os
import stat
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from km_cli.cli.terminal.show import mention
from km_cli.errors import UsageError

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY
"""Not blocked by a FIFO that nobody reads; readable, to see whether the last line is whole."""

_MODE = 0o600

_BEGIN = b'{"time": "'
"""How every line begins."""

_LOOKED_AT = 1 << 14
"""Bytes at both ends of a file by which it is known as a log."""

_PAUSE = 0.02
"""Seconds in which a line is written that another run has begun to write."""


class _NoRoom(OSError):
    """The disk is full: the run goes on without its log, as it does if that fills up later."""


class Journal:
    """One run's lines at the end of a file.

    The file is opened anew by every run: moved away by logrotate, it is made again by the next.
    """

    def __init__(self, name: str, file: int | None, clock: Callable[[], float], run: str) -> None:
        """`file` is a descriptor that appends, None to write nowhere."""
        self._name = name
        self._file = file
        self._clock = clock
        self._run = run
        self._is_whole = file is None or _ends_whole(file)
        self._has_complained = False

    @classmethod
    def open(cls, path: Path | None, clock: Callable[[], float], run: str) -> Journal:
        """Return the journal of this run; without a path one that writes nowhere.

        `clock` returns seconds since 1970, `run` names the run. Raises UsageError if `path` can't be
        written to.
        """
        if path is None:
            return cls("", None, clock, run)
        try:
            return cls(str(path), _opened(path), clock, run)
        except _NoRoom as error:
            journal = cls(str(path), None, clock, run)
            journal._complain(error)
            return journal

    def write(self, what: str, **fields: Any) -> None:
        """Append one line, by one write: runs that overlap never mix theirs.

        What fails is complained about once on standard error and never stops the run.
        """
        if self._file is None:
            return
        line = _line({"time": _time(self._clock()), "run": self._run, "what": what, **fields})
        try:
            self._append(self._file, line)
        except OSError as error:
            self._complain(error)

    def _append(self, file: int, line: bytes) -> None:
        """Write a line; after one that was torn, by a full disk or a crash, on a line of its own."""
        data = line if self._is_whole else b"\n" + line
        written = os.write(file, data)
        if written:
            self._is_whole = data[:written].endswith(b"\n")
        if written < len(data):
            raise OSError(0, "only a part of a line could be written")

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        file, self._file = self._file, None
        try:
            if file is not None:
                os.close(file)
        except OSError as error:  # some file systems tell only now that there was no room
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        if not self._has_complained:
            mention(
                f"--log {self._name}: {error.strerror}", "the run goes on; make room, or name another file"
            )
        self._has_complained = True


def _opened(path: Path) -> int:
    try:
        file = os.open(path, _FLAGS, _MODE)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _NoRoom(*error.args) from None
        raise UsageError(f"--log {path}: {_reason(error)}", _hint(error)) from None
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise UsageError(f"--log {path} is no regular file", "name a file, or leave --log out")
    if not _is_log(file):
        os.close(file)
        raise UsageError(
            f"--log {path} is there and holds something else than what earlier runs did",
            "name a file of its own",
        )
    return file


def _is_log(file: int) -> bool:
    """Tell whether a file is empty or has what runs write, be it that a crash tore its beginning off."""
    head = os.pread(file, _LOOKED_AT, 0)
    tail = os.pread(file, _LOOKED_AT, max(0, os.fstat(file).st_size - _LOOKED_AT))
    return not head.strip(b"\0") or _BEGIN.startswith(head) or _BEGIN in head + tail


def _reason(error: OSError | ValueError) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)


def _hint(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "make its folder first, or name another file"
    if isinstance(error, PermissionError):
        return "let the user that runs this read and write it, or name another file"
    return "name a file, or leave --log out"


def _ends_whole(file: int) -> bool:
    """Tell whether whatever comes next begins a line.

    It looks twice: half a line can be one that another run is writing right now.
    """
    torn_at = _torn_at(file)
    if torn_at:
        time.sleep(_PAUSE)
    return not torn_at or torn_at != _torn_at(file)


def _torn_at(file: int) -> int:
    """Return the size of a file that ends within a line, 0 of any other."""
    size = os.fstat(file).st_size
    return size if size and os.pread(file, 1, size - 1) != b"\n" else 0


def _line(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(_plain(fields)).encode("ascii") + b"\n"


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: every reader's, so no NaN, and text without halves of a character."""
    if isinstance(value, Mapping):
        return {_text(name): _plain(held) for name, held in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(held) for held in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int) else _text(value)


def _text(value: object) -> str:
    return str(value).encode(errors="backslashreplace").decode()


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
