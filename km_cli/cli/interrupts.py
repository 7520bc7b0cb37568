"""Ctrl-C once: finish what is in flight. Twice: at once; the ledger is made for that."""

from __future__ import annotations

import io
import os
import select
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from km_cli.dispatch import Stop, Stopped

_TICK = 0.2


class Caught:
    """Which signal asked us to stop, 0 for none."""

    signal = 0


class PatientInput(io.RawIOBase):
    """Standard input that can be waited for without being deaf to a request to stop."""

    def __init__(self, file: int, stop: Stop) -> None:
        self._file = file
        self._stop = stop

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read what there is. Raises Stopped if that is asked for while there is nothing."""
        while not select.select([self._file], [], [], _TICK)[0]:
            if self._stop.requested:
                raise Stopped
        return os.readv(self._file, [buffer])


@contextmanager
def watched(stop: Stop) -> Iterator[Caught]:
    """Turn SIGINT, SIGTERM and SIGHUP into a request to stop, a second one into the end; nohup is heeded."""
    caught = Caught()

    def handle(number: int, _frame: FrameType | None) -> None:
        if caught.signal:
            _tell(b"\x1b[?25h\n" if os.isatty(2) else b"")
            os._exit(128 + number)
        caught.signal = number
        stop.requested = True
        if number == signal.SIGHUP:
            _leave_terminal()
        _tell(b"\n" * os.isatty(2) + b"km-cli: finishing what is in flight; once more to stop at once\n")

    hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    heard = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hangs_up else []))
    before = {number: signal.signal(number, handle) for number in heard}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave_terminal() -> None:
    """Write nowhere instead of to a terminal that went away: that would fail, and the run with it.

    One that is gone does not pass for a terminal any more, but for a device still; a file is left as it is.
    """
    for stream in (1, 2):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(stream).st_mode):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)


def _tell(text: bytes) -> None:
    """Write to standard error; that it may be gone is no reason to fail in the middle of whatever runs."""
    with suppress(OSError):
        os.write(2, text)
