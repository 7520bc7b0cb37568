"""`--log`: the journal of unattended runs, as JSON lines that any log shipper reads.

A line is `{"time": "2026-11-24T03:00:00.123Z", "run": …, "what": …, …}`, in ASCII. A value that is not
Unicode, such as the name of a file, is escaped with backslashes. Neither keys nor property values go into it.
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
"""O_NONBLOCK: a FIFO without a reader must not hold up the run. O_RDWR: the last line is checked."""

_MODE = 0o600

_BEGIN = b'{"time": "'
"""How every line begins."""

_RECOGNISED_BY = 1 << 14
"""Bytes at each end of a file that are searched for a line of a journal."""

_WRITE_TIME = 0.02
"""Seconds after which a line that another run has begun to write is complete."""


class _NoRoom(OSError):
    """The disk is full. The run continues without its journal, as it does if the disk fills up later."""


class Journal:
    """One run's lines at the end of a file.

    Every run opens the file anew. So after logrotate has moved it away, the next run creates another.
    """

    def __init__(self, name: str, file: int | None, clock: Callable[[], float], run: str) -> None:
        """`file` is a descriptor opened for appending; None writes nowhere."""
        self._name = name
        self._file = file
        self._clock = clock
        self._run = run
        self._is_whole = file is None or _ends_whole(file)
        self._has_complained = False

    @classmethod
    def open(cls, path: Path | None, clock: Callable[[], float], run: str) -> Journal:
        """Return the journal of this run; without a path, a journal that writes nowhere.

        `clock` returns seconds since 1970, `run` identifies the run. Raises UsageError if `path` cannot be
        written.
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
        """Append a line in one write, so that the lines of runs at the same time do not mix.

        The first failure is complained about on standard error; none stops the run.
        """
        if self._file is None:
            return
        line = _line({"time": _time(self._clock()), "run": self._run, "what": what, **fields})
        try:
            self._append(self._file, line)
        except OSError as error:
            self._complain(error)

    def _append(self, file: int, line: bytes) -> None:
        """Write a line. After an incomplete one, of a full disk or a crash, begin with a line end."""
        data = line if self._is_whole else b"\n" + line
        written = os.write(file, data)
        if written:
            self._is_whole = data[:written].endswith(b"\n")
        if written < len(data):
            raise OSError(0, "only a part of a line was written")

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        file, self._file = self._file, None
        try:
            if file is not None:
                os.close(file)
        except OSError as error:  # Some file systems report a full disk only now.
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        if not self._has_complained:
            mention(
                f"--log {self._name}: {error.strerror}", "the run continues; make room, or use another file"
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
        raise UsageError(f"--log {path} is not a regular file", "give a file, or leave --log out")
    if not _is_journal(file):
        os.close(file)
        raise UsageError(
            f"--log {path} exists and is not a journal of km-cli",
            "give a file of its own",
        )
    return file


def _is_journal(file: int) -> bool:
    """Tell whether a file is empty or has lines of a journal; a crash may have spoilt the first one."""
    head = os.pread(file, _RECOGNISED_BY, 0)
    tail = os.pread(file, _RECOGNISED_BY, max(0, os.fstat(file).st_size - _RECOGNISED_BY))
    return not head.strip(b"\0") or _BEGIN.startswith(head) or _BEGIN in head + tail


def _reason(error: OSError | ValueError) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)


def _hint(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "create its folder first, or use another file"
    if isinstance(error, PermissionError):
        return "allow this user to read and write it, or use another file"
    return "give a file, or leave --log out"


def _ends_whole(file: int) -> bool:
    """Tell whether the last line is complete.

    An incomplete line is looked at twice, because another run may be writing it right now.
    """
    incomplete_at = _size_if_incomplete(file)
    if incomplete_at:
        time.sleep(_WRITE_TIME)
    return not incomplete_at or incomplete_at != _size_if_incomplete(file)


def _size_if_incomplete(file: int) -> int:
    """Return the size of a file that ends within a line; 0 for any other."""
    size = os.fstat(file).st_size
    return size if size and os.pread(file, 1, size - 1) != b"\n" else 0


def _line(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(_plain(fields)).encode("ascii") + b"\n"


def _plain(value: Any) -> Any:
    """Return a value that every JSON reader takes: without NaN, and without surrogates."""
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
