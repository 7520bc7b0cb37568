"""Decides how many calls are in flight: as few as reach the throughput that the destination has.

Kissmetrics answers 200 to every call (W3) and publishes no limit (W11). An overloaded tracker may do no more
than answer slowly, so the number must not grow until a call fails. Time is passed in, as to the courier.
"""

from __future__ import annotations

import math
from typing import NamedTuple

START = 4

_STEP = 1.5
_WORTH = 0.25
"""The share of a step up that has to come back as throughput: half as many calls again must bring an eighth
more. They would bring half as much again if none waited in line, and nothing more if all did."""
_SLOW = 2.0
"""Times the best latency; above it the limit does not grow, and falls if that costs no throughput."""
_FORGOTTEN = 100.0
"""Seconds in which the best latency that is remembered doubles: the way may have become longer for good."""
_REST = 5
"""Measurements between two trials, when neither a higher nor a lower limit was better."""
_LEAST_ANSWERS = 16
_LEAST_SECONDS = 0.1
"""The least of a measurement. Planning takes turns with sending, which would blur a shorter one."""


class _Level(NamedTuple):
    """A limit, and the answers a second that came in under it."""

    limit: int
    throughput: float


class Concurrency:
    """Adapts `limit`, the number of requests that may be in flight, between `least` and `most`.

    It climbs a hill. A measurement takes two rounds of answers. Then the limit moves one step, and the next
    measurement tells which of the two is kept: the higher one only if it has more throughput. As long as a
    step was good, the next one goes in the same direction. Then the limit rests for a while before the other
    direction is tried, because a destination's capacity changes. An answer that tells of overload halves it.

    With `least` equal to `most`, nothing is measured.
    """

    def __init__(self, most: int, least: int = 1) -> None:
        self._least = least
        self._most = most
        self._best = math.inf  # latency, in seconds
        self._before: _Level | None = None  # the level that the last step left
        self._goes_up = True
        self._rest = 0
        self._changed_at = self._halved_at = -math.inf
        self._began: float | None = None  # the time of the answer that a measurement starts from
        self._answers = 0
        self._waited = 0.0
        self.limit = min(max(START, least), most)

    @classmethod
    def fixed(cls, limit: int) -> Concurrency:
        """Return a limit that does not change."""
        return cls(limit, limit)

    def idle(self) -> None:
        """Drop the measurement: fewer calls were in flight than may be, for another reason."""
        self._began = None

    def answered(self, sent: float, now: float) -> None:
        """Measure an answer to a call that was sent at `sent`."""
        if sent < self._changed_at or self._least == self._most:
            return
        if self._began is None:
            self._began, self._answers, self._waited = now, 0, 0.0
            return
        self._answers += 1
        self._waited += now - sent
        seconds = now - self._began
        if seconds >= _LEAST_SECONDS and self._answers >= max(2 * self.limit, _LEAST_ANSWERS):
            latency = self._waited / self._answers
            self._best = min(self._best * 2.0 ** (seconds / _FORGOTTEN), latency)
            level = _Level(self.limit, self._answers / seconds)
            self._began, self._answers, self._waited = now, 0, 0.0
            self._decide(level, now, is_slow=latency > _SLOW * self._best)

    def overloaded(self, sent: float, now: float) -> None:
        """Halve the limit, at most once for all calls that were in flight together."""
        if sent >= self._halved_at:
            self._halved_at = now
            self._before, self._goes_up, self._rest = None, True, _REST
            self._change(self.limit // 2, now)

    def _decide(self, level: _Level, now: float, *, is_slow: bool) -> None:
        """Keep the better of this level and the one before, and take the next step."""
        before, self._before = self._before, None
        if before is not None and _better(level, before) is before:
            self._goes_up, self._rest = before.limit > level.limit, _REST
            self._change(before.limit, now)
            return
        if self._rest and (self._goes_up or not is_slow):
            self._rest -= 1
            return
        self._goes_up = self._goes_up and not is_slow
        if self._change(self._next_limit(is_slow=is_slow), now):
            self._before, self._rest = level, 0
        else:
            self._goes_up, self._rest = not self._goes_up, _REST

    def _next_limit(self, *, is_slow: bool) -> int:
        """Return the limit a step up or down. Below the start there is little to spare, unless it is slow."""
        if self._goes_up:
            return max(int(self.limit * _STEP), self.limit + 1)
        lower = int(self.limit / _STEP)
        return lower if is_slow else min(self.limit, max(lower, START))

    def _change(self, limit: int, now: float) -> bool:
        """Set the limit, within its bounds; tell whether it is another one."""
        limit = min(max(limit, self._least), self._most)
        if limit == self.limit:
            return False
        self.limit, self._changed_at, self._began = limit, now, None
        return True


def _better(one: _Level, other: _Level) -> _Level:
    """Return the level to keep."""
    low, high = sorted((one, other))
    wanted = 1.0 + _WORTH * (high.limit / low.limit - 1.0)
    return high if high.throughput >= wanted * low.throughput else low
