"""Waits for a database so that a run that is asked to stop does not wait for an answer of hours."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from typing import TypeVar

from km_cli.errors import Exhausted
from km_cli.inputs.base import Check

_TICK = 0.2
"""Seconds between two looks at whether the run is asked to stop."""

_CLOSING = 5.0
"""Seconds that a connection may take to close."""

T = TypeVar("T")


class Waiting:
    """A thread that does one piece of work at a time, while this one asks `check` whether to go on."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._thread = ThreadPoolExecutor(1, "km-cli-sql")

    def do(self, work: Callable[[], T], interrupt: Callable[[], None]) -> T:
        """Return the result of a piece of work, or raise its error.

        If `check` raises, `interrupt` breaks the work off. Raises Exhausted if there can be no thread.
        """
        try:
            doing = self._thread.submit(work)
        except RuntimeError:
            raise Exhausted(
                "the system allows this process no more threads",
                "raise the limits on processes and memory (ulimit -u, ulimit -v), then run again",
            ) from None
        try:
            return self._wait(doing)
        except BaseException:
            if not doing.done():
                with suppress(Exception):
                    interrupt()
            raise

    def _wait(self, doing: Future[T]) -> T:
        while True:
            try:
                return doing.result(_TICK)
            except NotYet:
                if doing.done():  # it is the error of the work itself
                    return doing.result()
                self._check()

    def close(self, last: Callable[[], None]) -> None:
        """Do the last piece of work, and let the thread end. It is not waited for longer than a moment."""
        with suppress(Exception):
            self._thread.submit(last).result(_CLOSING)
        self._thread.shutdown(wait=False)
