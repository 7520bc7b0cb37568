"""Ctrl-C once: the run finishes the calls in flight. Twice: it ends at once, and the next run resumes it."""

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
_FINISHING = b"km-cli: finishing the calls in flight; interrupt again to stop at once\n"


class Caught:
    """The number of the signal that asked the run to stop, 0 for none."""

    signal = 0


class PatientInput(io.RawIOBase):
    """A pipe or a terminal. Waiting for its data ends when the run is asked to stop."""

    def __init__(self, file: int, stop: Stop, *, closes: bool = False) -> None:
        """`file` is a descriptor. With `closes` it is closed together with this object."""
        self._file = file
        self._stop = stop
        self._closes = closes

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read the data that is there. Raises Stopped if the run is asked to stop while there is none."""
        while not select.select([self._file], [], [], _TICK)[0]:
            if self._stop.requested:
                raise Stopped
        return os.readv(self._file, [buffer])

    def close(self) -> None:
        """Close the descriptor, if that is ours to do."""
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
    """Open a file for reading. It may be a FIFO that has no writer yet.

    Opening such a FIFO blocks, and Python resumes it after a signal. So a thread opens it, and this function
    waits for the thread. Raises OSError, and Stopped if the run is asked to stop meanwhile.
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
def catching_signals(stop: Stop) -> Iterator[Caught]:
    """Turn a first SIGINT, SIGTERM or SIGHUP into a request to stop; a second one ends the process at once.

    SIGHUP stays ignored if the parent process ignores it, as nohup does.
    """
    caught = Caught()

    def handle(number: int, _frame: FrameType | None) -> None:
        if caught.signal:
            _write_to_stderr(b"\x1b[?25h\n" if os.isatty(2) else b"")
            os._exit(128 + number)
        caught.signal = number
        stop.requested = True
        if number == signal.SIGHUP:
            _leave_terminal()
        _write_to_stderr(b"\n" * os.isatty(2) + _FINISHING)

    hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    heard = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hangs_up else []))
    before = {number: signal.signal(number, handle) for number in heard}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave_terminal() -> None:
    """Point the output to /dev/null if it goes to a terminal: the terminal is gone, and writing would fail.

    A terminal that is gone is still a device, though `isatty` denies it. Output to a file is left alone.
    """
    for stream in (1, 2):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(stream).st_mode):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)


def _write_to_stderr(text: bytes) -> None:
    """Write to standard error. A signal handler must not fail if it is closed."""
    with suppress(OSError):
        os.write(2, text)
