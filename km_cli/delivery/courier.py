"""Who goes next, and what an answer makes of a call: delivery without threads, sockets or a clock.

Time (`now`, in monotonic seconds) is passed in, so that an outage of an hour is tested in no time. Drivers
ask what to send, send it, and hand back the answer; one lock of theirs guards all of it.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from km_cli.delivery.policy import Breaker, Budget, Pacing, Policy, backoff
from km_cli.delivery.stops import RESUME, Stops
from km_cli.errors import KmError, Outage
from km_cli.model import Answer, OutboxCall, Outcome, Receipt, Verdict

NOT_SENT = "not sent"
"""The reason of a receipt for a call that is pending since its turn never came."""


class Job(NamedTuple):
    """A parcel, how often it was sent in vain, and the last reason."""

    call: OutboxCall
    failed: int = 0
    reason: str = NOT_SENT


class Errand(NamedTuple):
    """The jobs that one worker sends at once."""

    jobs: list[Job]
    is_probe: bool


class Courier:
    """Holds the parcels that have no receipt yet, and decides when each of them goes.

    `at_once` bounds an errand. After an `outage` calls go one by one until one is taken, and the run ends
    when some were not. `failure` is why the run has to end, if it has.
    """

    def __init__(
        self,
        policy: Policy,
        random: Random,
        now: float,
        *,
        at_once: int = 1,
        rate: float | None = None,
        outage: bool = False,
    ) -> None:
        self._policy = policy
        self._random = random
        self._at_once = at_once
        self._ready: deque[Job] = deque()
        self._delayed: list[tuple[float, int, Job]] = []
        self._receipts: list[Receipt] = []
        self._unresolved: dict[int, OutboxCall] = {}
        self._budget = Budget(policy, now)
        self._breaker = Breaker(policy, now, random, is_open=outage)
        self._outage = outage
        self._untaken: set[int] = set()
        self._pacing = Pacing(rate, now)
        self._stops = Stops(policy)
        self._is_proven = False
        self._cause = ""
        self.paused_until = now
        self.in_flight = 0
        self.retried = 0
        self.failure: KmError | None = None

    @property
    def unresolved(self) -> int:
        """How many parcels have no receipt yet."""
        return len(self._unresolved)

    def submit(self, outbox_calls: Sequence[OutboxCall], now: float) -> None:
        """Take durable parcels."""
        if not self._unresolved:
            self._breaker.busy(now)
        self._unresolved.update((outbox_call.number, outbox_call) for outbox_call in outbox_calls)
        self._ready.extend(Job(outbox_call) for outbox_call in outbox_calls)

    def take(self, now: float) -> Errand | float:
        """Return what goes now, else for how many seconds nothing does; infinity: until something happens."""
        patience = self._breaker.patience(now) if self._unresolved else math.inf
        if not patience:
            self.fail(self._out_of_patience())
        if self.failure is not None:
            return math.inf
        wait = self._held(now)
        if not wait:
            jobs, wait = self._next(now)
            if jobs:
                self.in_flight += len(jobs)
                self._pacing.went(now, len(jobs))
                return Errand(jobs, self._breaker.goes())
        return min(wait, patience)

    def settle(self, errand: Errand, answer: Answer | KmError, now: float) -> bool:
        """Make an answer into receipts or retries; tell whether more may go now than before."""
        was_held = self._breaker.is_open or not self._is_proven
        self.in_flight -= len(errand.jobs)
        if isinstance(answer, KmError):
            self.fail(answer)
        elif answer.verdict is Verdict.ACKNOWLEDGED:
            self._acknowledge(errand, now)
        elif answer.verdict is Verdict.REJECTED:
            self._reject(errand, answer)
        elif answer.verdict is Verdict.REFUSED:
            self.fail(self._stops.refused(answer))
        else:
            self._retry(errand, answer, now)
        is_held = self._breaker.is_open or not self._is_proven
        return was_held and not is_held

    def take_receipts(self) -> list[Receipt]:
        """Return what became of parcels since the last time."""
        found, self._receipts = self._receipts, []
        return found

    def give_up(self) -> list[Receipt]:
        """Return the last receipts, with what is unresolved as pending, for the reason that it failed for."""
        reasons = {job.call.number: job.reason for _, _, job in self._delayed}
        for number, outbox_call in list(self._unresolved.items()):
            self._resolve(outbox_call, Outcome.PENDING, reasons.get(number, NOT_SENT))
        return self.take_receipts()

    def fail(self, error: KmError | None) -> None:
        """End the run, unless something else has ended it before."""
        self.failure = self.failure or error

    def _held(self, now: float) -> float:
        """Return how long everyone has to wait: a pause, the breaker, the rate, the first acknowledgement."""
        if self._room() <= 0:
            return math.inf
        return max(self.paused_until - now, self._breaker.wait(now), self._pacing.wait(now), 0.0)

    def _room(self) -> float:
        """Return how many calls more may be in flight: few, until the destination has taken one."""
        return math.inf if self._is_proven else self._policy.unproven - self.in_flight

    def _next(self, now: float) -> tuple[list[Job], float]:
        """Return the jobs whose turn it is, or how long to wait for any."""
        if self._breaker.is_open and self._ready:
            return [self._fresh_probe()], 0.0
        wait = self._delayed[0][0] - now if self._delayed else math.inf
        if wait <= 0.0:
            wait = self._budget.wait(now)
            if wait <= 0.0:
                self._budget.spend(now)
                self.retried += 1
                return [self._due(now)], 0.0
        if self._ready:
            count = int(min(self._at_once, len(self._ready), self._room()))
            return [self._ready.popleft() for _ in range(count)], 0.0
        return [], wait

    def _fresh_probe(self) -> Job:
        """Return a call that was not tried yet as the probe.

        It is a random one: the first in line may be many that are never taken, and every run would begin with
        the same.
        """
        at = self._random.randrange(len(self._ready))
        job = self._ready[at]
        del self._ready[at]
        return job

    def _due(self, now: float) -> Job:
        """Return the retry that has been due for longest.

        A probe takes nobody's last attempt if another call has more: its failure says little about the call.
        """
        if not self._breaker.is_open:
            return heapq.heappop(self._delayed)[2]
        last = self._policy.attempts - 1
        due = (entry for entry in self._delayed if entry[0] <= now)
        chosen = min(due, key=lambda entry: (entry[2].failed >= last, entry[:2]))
        self._delayed.remove(chosen)
        heapq.heapify(self._delayed)
        return chosen[2]

    def _acknowledge(self, errand: Errand, now: float) -> None:
        self._outage = False
        self._is_proven = True
        self._stops.acknowledged()
        self._budget.acknowledged(len(errand.jobs))
        self._breaker.acknowledged(now)
        for job in errand.jobs:
            self._resolve(job.call, Outcome.ACKNOWLEDGED)

    def _reject(self, errand: Errand, answer: Answer) -> None:
        self._breaker.answered(probe=errand.is_probe)
        for job in errand.jobs:
            self._resolve(job.call, Outcome.REJECTED, answer.reason)
            self.fail(self._stops.rejected(answer))

    def _retry(self, errand: Errand, answer: Answer, now: float) -> None:
        self._cause = answer.reason
        if self._outage:
            self._still_out(errand, answer)
        else:
            self._breaker.failed(now, probe=errand.is_probe)
        self.fail(self._stops.failed(answer))
        self.paused_until = max(self.paused_until, now + answer.retry_after)
        for job in errand.jobs:
            failed = job.failed + 1
            if failed >= self._policy.attempts:
                self._resolve(job.call, Outcome.PENDING, answer.reason)
                continue
            due = now + max(backoff(self._policy, failed, self._random), answer.retry_after)
            again = Job(job.call, failed, answer.reason)
            heapq.heappush(self._delayed, (due, job.call.number, again))

    def _still_out(self, errand: Errand, answer: Answer) -> None:
        """Try other calls one by one before an outage is believed to last: one alone may never be taken."""
        self._breaker.answered(probe=errand.is_probe)
        self._untaken.update(job.call.number for job in errand.jobs)
        if len(self._untaken) >= self._policy.untaken:
            self.fail(Outage(f"it still does not take calls: {answer.reason}", RESUME))

    def _out_of_patience(self) -> Outage:
        cause = f": {self._cause}" if self._cause else ""
        return Outage(f"nothing was acknowledged for {self._policy.patience / 60:.0f} minutes{cause}", RESUME)

    def _resolve(self, outbox_call: OutboxCall, outcome: Outcome, reason: str = "") -> None:
        if self._unresolved.pop(outbox_call.number, None) is not None:
            self._receipts.append(Receipt(outbox_call, outcome, reason))
