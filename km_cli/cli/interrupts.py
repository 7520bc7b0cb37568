"""Ctrl-C once: finish what is in flight. Twice: at once; the ledger is made for that."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from km_cli.dispatch import Stop


class Caught:
    """Which signal asked us to stop, 0 for none."""

    signal = 0


@contextmanager
def watched(stop: Stop) -> Iterator[Caught]:
    """Turn SIGINT and SIGTERM into a request to stop, and a second one into the end."""
    caught = Caught()

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if caught.signal:
            _tell(b"\x1b[?25h\n" if os.isatty(2) else b"")
            os._exit(128 + number)
        caught.signal = number
        stop.requested = True
        _tell(b"\nkm-cli: finishing what is in flight; once more to stop at once\n")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(text: bytes) -> None:
    """Write to standard error; that it may be gone is no reason to fail in the middle of whatever runs."""
    with suppress(OSError):
        os.write(2, text)
