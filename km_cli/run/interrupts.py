"""Ctrl-C once: finish what is in flight. Twice: at once; the ledger is made for that."""

from __future__ import annotations

import io
import os
import select
import signal
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any

from km_cli.errors import Exhausted
from km_cli.run.stopping import Stop, Stopped

_TICK = 0.2


class Caught:
    """Which signal asked us to stop, 0 for none."""

    signal = 0


class PatientInput(io.RawIOBase):
    """A pipe or a terminal that can be waited for without being deaf to a request to stop."""

    def __init__(self, file: int, stop: Stop, *, closes: bool = False) -> None:
        """`file` is a descriptor, which is closed with this if `closes` says so."""
        self._file = file
        self._stop = stop
        self._closes = closes

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read what there is. Raises Stopped if that is asked for while there is nothing."""
        while not select.select([self._file], [], [], _TICK)[0]:
            if self._stop.requested:
                raise Stopped
        return os.readv(self._file, [buffer])

    def close(self) -> None:
        """Close it."""
        if self._closes and not self.closed:
            os.close(self._file)
        super().close()


def start_thread(thread: threading.Thread) -> None:
    """Start a thread of the command's own. Raises Exhausted."""
    try:
        thread.start()
    except RuntimeError:
        raise Exhausted(
            "the system allows this process no more threads",
            "raise the limits on processes and memory (ulimit -u, ulimit -v), then run the command again",
        ) from None


def open_patiently(path: Path, stop: Stop) -> io.BufferedReader:
    """Open a file to read, be it a FIFO that nobody writes to yet.

    The system's own open is not ended by a signal whose handler only asks to stop, so it is waited for in a
    thread. Raises OSError, and Stopped if that is asked for meanwhile.
    """
    opened: SimpleQueue[int | OSError] = SimpleQueue()

    def work() -> None:
        try:
            opened.put(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            opened.put(error)

    start_thread(threading.Thread(target=work, daemon=True))
    while True:
        with suppress(Empty):
            found = opened.get(timeout=_TICK)
            if isinstance(found, OSError):
                raise found
            return io.BufferedReader(PatientInput(found, stop, closes=True))
        if stop.requested:
            raise Stopped


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
