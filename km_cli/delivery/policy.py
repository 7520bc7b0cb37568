"""How long to wait, and when to stop: the design's retry table as numbers and small state machines.

They know neither threads nor sockets; time (`now`, in monotonic seconds) is passed in.
"""

from __future__ import annotations

import math
from collections import deque
from random import Random
from typing import NamedTuple


class Policy(NamedTuple):
    """The numbers. Waits are in seconds.

    `unproven` calls may be in flight until the first is acknowledged; `quick_probes` of the breaker wait as
    retries do, those after them wait as `breaker_waits` says.
    """

    attempts: int = 10
    backoff: float = 0.5
    backoff_cap: float = 30.0
    longest_pause: float = 300.0
    unproven: int = 4
    unreached: int = 3
    untaken: int = 3
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
    """Return how long to wait after the `attempt`-th failed attempt (counted from 1): full jitter."""
    doublings = min(attempt - 1, 60)  # the cap is reached long before; 2.0 ** 1024 is an error
    return random.uniform(0.0, min(policy.backoff_cap, policy.backoff * 2.0**doublings))


class Budget:
    """Retries in hand. An empty budget delays a retry; it never fails a call."""

    def __init__(self, policy: Policy, now: float) -> None:
        self._policy = policy
        self._in_hand = policy.budget
        self._at = now

    def _refill(self, now: float) -> None:
        self._in_hand += (now - self._at) * self._policy.budget_per_second
        self._in_hand = min(self._in_hand, self._policy.budget)
        self._at = now

    def acknowledged(self, calls: int) -> None:
        """Earn from acknowledgements."""
        earned = calls * self._policy.budget_per_acknowledgement
        self._in_hand = min(self._in_hand + earned, self._policy.budget)

    def wait(self, now: float) -> float:
        """Return the seconds until a retry can be afforded; 0.0 if now."""
        self._refill(now)
        return max(0.0, (1.0 - self._in_hand) / self._policy.budget_per_second)

    def spend(self, now: float) -> None:
        """Pay for one retry."""
        self._refill(now)
        self._in_hand -= 1.0


class Breaker:
    """Stops sending when the destination fails as a whole; then lets one call through at a time: the probe.

    Probes wait as retries do; after a few in vain they wait longer. Only the probe's own failure lengthens
    the wait: calls that were in flight before it opened don't count. After an outage that an earlier run met
    it begins open, and the first probe goes at once.
    """

    def __init__(self, policy: Policy, now: float, random: Random, *, is_open: bool = False) -> None:
        self._policy = policy
        self._random = random
        self._recent: deque[bool] = deque(maxlen=policy.breaker_window)
        self._in_a_row = 0
        self._in_vain = 0
        self._until = now
        self._probing = False
        self._last_acknowledged = now
        self.is_open = is_open
        """Whether calls are held back."""

    def acknowledged(self, now: float) -> None:
        """Close it: the destination takes calls."""
        self._last_acknowledged = now
        self._in_a_row = 0
        if self.is_open:
            self._recent.clear()
        self._recent.append(True)
        self.is_open = self._probing = False

    def failed(self, now: float, *, probe: bool = False) -> None:
        """Count a failure; open on five in a row or on half of the last twenty."""
        if self.is_open:
            if probe:
                self._in_vain += 1
                self._hold(now)
            return
        self._recent.append(False)
        self._in_a_row += 1
        full = len(self._recent) == self._policy.breaker_window
        half = full and self._recent.count(False) * 2 >= self._policy.breaker_window
        if half or self._in_a_row >= self._policy.breaker_failures:
            self.is_open = True
            self._in_vain = 0
            self._hold(now)

    def _hold(self, now: float) -> None:
        """Hold back the next probe."""
        longer = self._in_vain - self._policy.quick_probes
        if longer < 0:
            wait = backoff(self._policy, self._in_vain + 1, self._random)
        else:
            waits = self._policy.breaker_waits
            wait = waits[min(longer, len(waits) - 1)]
        self._until = now + wait
        self._probing = False

    def wait(self, now: float) -> float:
        """Return the seconds until a call may go; 0.0 if now, infinity while the probe is on its way."""
        if not self.is_open:
            return 0.0
        return math.inf if self._probing else max(0.0, self._until - now)

    def goes(self) -> bool:
        """Note that a call goes; tell whether it is the probe."""
        self._probing = self.is_open
        return self._probing

    def answered(self, *, probe: bool) -> None:
        """Note a call that neither failed nor was acknowledged: after a probe the next may go."""
        self._probing = self._probing and not probe

    def busy(self, now: float) -> None:
        """Note that there is something to send again: patience begins anew."""
        self._last_acknowledged = now

    def patience(self, now: float) -> float:
        """Return how many seconds the run still waits for an acknowledgement; 0.0: it had better end."""
        return max(0.0, self._last_acknowledged + self._policy.patience - now)


class Pacing:
    """Spaces calls out evenly to `rate` calls a second; None: as fast as it goes."""

    def __init__(self, rate: float | None, now: float) -> None:
        self._gap = 1.0 / rate if rate else 0.0
        self._next = now

    def wait(self, now: float) -> float:
        """Return the seconds until the next call may go; 0.0 if now."""
        return max(0.0, self._next - now) if self._gap else 0.0

    def went(self, now: float, calls: int) -> None:
        """Note that calls went."""
        if self._gap:
            self._next = max(self._next, now) + self._gap * calls
