"""How long to wait: the numbers of "Retries" in km_cli/README.md, and small state machines for them.

They know neither threads nor sockets. Time (`now`, in monotonic seconds) is passed in.
"""

from __future__ import annotations

import math
from collections import deque
from random import Random
from typing import NamedTuple


class Policy(NamedTuple):
    """The numbers. Waits are in seconds.

    `unproven` calls may be in flight until the first is acknowledged. `unreached`, `not_an_image` and
    `rejections` are the numbers of such answers that end a run, `wary_failures` the number of different calls
    that fail in a wary run before it ends. The first `quick_probes` of the breaker wait as retries do, the
    later ones as `breaker_waits` says. A run ends after `patience` without an acknowledgement.
    """

    attempts: int = 10
    backoff: float = 0.5
    backoff_cap: float = 30.0
    longest_pause: float = 300.0
    unproven: int = 4
    unreached: int = 3
    wary_failures: int = 3
    not_an_image: int = 3
    rejections: int = 5
    budget: float = 50.0
    budget_per_acknowledgement: float = 0.1
    budget_per_second: float = 1.0
    breaker_failures: int = 5
    breaker_window: int = 20
    quick_probes: int = 5
    breaker_waits: tuple[float, ...] = (30.0, 60.0, 120.0, 240.0, 300.0)
    patience: float = 900.0


def backoff(policy: Policy, attempt: int, random: Random) -> float:
    """Return how long to wait after the `attempt`-th failed attempt (counted from 1).

    The wait is random from 0 up to a limit that doubles, so that calls that failed together do not come back
    together.
    """
    doublings = min(attempt - 1, 60)  # the cap is reached long before; 2.0 ** 1024 is an error
    return random.uniform(0.0, min(policy.backoff_cap, policy.backoff * 2.0**doublings))


class Budget:
    """Limits retries to a tenth of the calls that the destination acknowledges.

    Each call has its own attempts and waits; without a budget for all, a destination that fails half of its
    calls would get nearly twice as many, at the worst time. An empty budget delays a retry, and never makes a
    call pending.
    """

    def __init__(self, policy: Policy, now: float) -> None:
        self._policy = policy
        self._in_hand = policy.budget
        self._at = now

    def _refill(self, now: float) -> None:
        self._in_hand += (now - self._at) * self._policy.budget_per_second
        self._in_hand = min(self._in_hand, self._policy.budget)
        self._at = now

    def acknowledged(self, calls: int) -> None:
        """Earn retries from acknowledgements."""
        earned = calls * self._policy.budget_per_acknowledgement
        self._in_hand = min(self._in_hand + earned, self._policy.budget)

    def wait(self, now: float) -> float:
        """Return the seconds until the budget has a retry; 0.0 if it has one now."""
        self._refill(now)
        return max(0.0, (1.0 - self._in_hand) / self._policy.budget_per_second)

    def spend(self, now: float) -> None:
        """Take one retry out of the budget."""
        self._refill(now)
        self._in_hand -= 1.0


class Breaker:
    """Stops sending when the destination fails as a whole, and lets one call at a time through: the probe.

    Without it every call would use up its attempts during an outage and stay pending, and a destination that
    comes back would meet all retries at once. Only one call at a time pays for finding out whether the outage
    is over.

    Most outages are short, so the first probes wait no longer than retries do. After `quick_probes` failed
    ones the outage is a long one, and probes wait for minutes. Only the failure of the probe lengthens the
    wait: failures of calls that were in flight when the breaker opened say nothing new. In a wary run the
    breaker begins open, and the first probe goes at once.
    """

    def __init__(self, policy: Policy, now: float, random: Random, *, is_open: bool = False) -> None:
        self._policy = policy
        self._random = random
        self._recent: deque[bool] = deque(maxlen=policy.breaker_window)
        self._in_a_row = 0
        self._failed_probes = 0
        self._until = now
        self._is_probing = False
        self._last_acknowledged = now
        self.is_open = is_open
        """Whether calls are held back."""

    def acknowledged(self, now: float) -> None:
        """Close it: the destination acknowledges calls."""
        self._last_acknowledged = now
        self._in_a_row = 0
        if self.is_open:
            self._recent.clear()
        self._recent.append(True)
        self.is_open = self._is_probing = False

    def failed(self, now: float, *, probe: bool = False) -> None:
        """Count a failure; open after five in a row, or if half of the last twenty calls failed.

        Five in a row mean an outage. Half of twenty mean that the destination fails under load; it may never
        fail five times in a row.
        """
        if self.is_open:
            if probe:
                self._failed_probes += 1
                self._hold(now)
            return
        self._recent.append(False)
        self._in_a_row += 1
        full = len(self._recent) == self._policy.breaker_window
        half = full and self._recent.count(False) * 2 >= self._policy.breaker_window
        if half or self._in_a_row >= self._policy.breaker_failures:
            self.is_open = True
            self._failed_probes = 0
            self._hold(now)

    def _hold(self, now: float) -> None:
        """Hold back the next probe."""
        longer = self._failed_probes - self._policy.quick_probes
        if longer < 0:
            wait = backoff(self._policy, self._failed_probes + 1, self._random)
        else:
            waits = self._policy.breaker_waits
            wait = waits[min(longer, len(waits) - 1)]
        self._until = now + wait
        self._is_probing = False

    def wait(self, now: float) -> float:
        """Return the seconds until a call may go: 0.0 for now, infinity while the probe is in flight."""
        if not self.is_open:
            return 0.0
        return math.inf if self._is_probing else max(0.0, self._until - now)

    def start_probe(self) -> bool:
        """Note that a call goes; return whether it is the probe."""
        self._is_probing = self.is_open
        return self._is_probing

    def answered(self, *, probe: bool) -> None:
        """Note an answer that neither opens nor closes the breaker. If it was the probe's, the next may go.

        A rejected call does not close it: the destination answers, but may not take other calls either.
        """
        self._is_probing = self._is_probing and not probe

    def start_patience(self, now: float) -> None:
        """Note that there are calls to send again: the time without any does not count."""
        self._last_acknowledged = now

    def patience(self, now: float) -> float:
        """Return how many seconds the run still waits for an acknowledgement; 0.0 if it should end."""
        return max(0.0, self._last_acknowledged + self._policy.patience - now)


class Pacing:
    """Spaces calls out evenly to `rate` calls a second; None for no limit."""

    def __init__(self, rate: float | None, now: float) -> None:
        self._gap = 1.0 / rate if rate else 0.0
        self._next = now

    @property
    def is_slow(self) -> bool:
        """Whether there is a limit."""
        return self._gap > 0.0

    def wait(self, now: float) -> float:
        """Return the seconds until the next call may go; 0.0 if it may now."""
        return max(0.0, self._next - now) if self._gap else 0.0

    def sent(self, now: float, calls: int) -> None:
        """Note that calls were sent."""
        if self._gap:
            self._next = max(self._next, now) + self._gap * calls
