"""At most 15 requests in any minute (Q1), over all products of a run."""

from __future__ import annotations

import time
from collections import deque
from typing import Protocol, runtime_checkable

from km_cli.protocols import Clock

MOST_A_MINUTE = 15
"""Q1: requests a minute, on every plan."""

_MINUTE = 60.0


@runtime_checkable
class SleepingClock(Clock, Protocol):
    """A clock that waits by itself, as that of a test does."""

    def sleep(self, seconds: float) -> None:
        """Let so many seconds pass."""
        ...


def sleep_by(clock: Clock, seconds: float) -> None:
    """Wait. A clock that can sleep does so, for any other one the process sleeps."""
    if isinstance(clock, SleepingClock):
        clock.sleep(seconds)
    else:
        time.sleep(seconds)


class Pace:
    """Says how long to wait before the next request.

    A request counts from the moment of its answer: it cannot have reached the server later than that, so the
    server sees no more requests in a minute than are counted here.
    """

    def __init__(self, clock: Clock, most: int = MOST_A_MINUTE) -> None:
        self._clock = clock
        self._answered: deque[float] = deque(maxlen=most)

    def wait(self) -> float:
        """Return the seconds until the next request may be sent, 0.0 for none."""
        if len(self._answered) < (self._answered.maxlen or 0):
            return 0.0
        return max(0.0, self._answered[0] + _MINUTE - self._clock.monotonic())

    def note(self) -> None:
        """Count a request, at the moment of its answer."""
        self._answered.append(self._clock.monotonic())
