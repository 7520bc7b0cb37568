"""Decides which call goes next, and what its answer leads to, without threads, sockets or a clock.

Time (`now`, in monotonic seconds) is passed in, so that a test of an outage of an hour takes no time. A
driver asks for the next request, sends it, and hands back the answer; it guards all of this with one lock.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from km_cli.delivery.concurrency import Concurrency
from km_cli.delivery.policy import Breaker, Budget, Pacing, Policy, backoff
from km_cli.delivery.stops import RESUME, Stops
from km_cli.errors import KmError, Outage
from km_cli.model import Answer, AnswerKind, Outcome, PlannedCall, Receipt, Trouble

NOT_SENT = "not sent"
"""The reason in the receipt of a call that is pending because its turn never came."""


class QueuedCall(NamedTuple):
    """A call that waits for its turn, how many attempts at it failed, and why the last one did."""

    call: PlannedCall
    failed: int = 0
    reason: str = NOT_SENT


class Request(NamedTuple):
    """The calls that are sent together at the time `sent`. They get one answer."""

    calls: list[QueuedCall]
    is_probe: bool
    sent: float


class Courier:
    """Holds the calls that have no receipt yet, and decides when each of them goes.

    `at_once` is how many calls fit into a request, and `concurrency` says how many requests may be in flight.
    A wary run (`is_wary`) follows one that met an outage: it sends one call at a time until one is
    acknowledged, and ends if several different calls fail. `failure` is the reason why the run has to end, if
    it has to.
    """

    def __init__(
        self,
        policy: Policy,
        random: Random,
        now: float,
        concurrency: Concurrency,
        *,
        at_once: int = 1,
        rate: float | None = None,
        is_wary: bool = False,
    ) -> None:
        self._policy = policy
        self._random = random
        self._concurrency = concurrency
        self._at_once = at_once
        self._ready: deque[QueuedCall] = deque()  # calls without an attempt, in the order they came in
        self._delayed: list[tuple[float, int, QueuedCall]] = []  # retries, a heap by the time they are due
        self._receipts: list[Receipt] = []
        self._unresolved: dict[int, PlannedCall] = {}
        self._budget = Budget(policy, now)
        self._breaker = Breaker(policy, now, random, is_open=is_wary)
        self._is_wary = is_wary
        self._failed_warily: set[int] = set()
        self._pacing = Pacing(rate, now)
        self._stops = Stops(policy)
        self._is_proven = False  # whether the destination has acknowledged a call in this run
        self._cause = ""
        self._failing_since: float | None = None  # the first failure since the last acknowledgement
        self.paused_until = now
        self.in_flight = 0
        self.retried = 0
        self.failure: KmError | None = None

    @property
    def unresolved(self) -> int:
        """How many calls have no receipt yet."""
        return len(self._unresolved)

    @property
    def limit(self) -> int:
        """How many requests may be in flight."""
        return self._concurrency.limit

    @property
    def has_room(self) -> bool:
        """Whether one more request may be in flight."""
        return self._room() > 0

    def submit(self, planned_calls: Sequence[PlannedCall], now: float) -> None:
        """Take calls that are durable in the outbox."""
        if not self._unresolved:
            self._breaker.start_patience(now)
        self._unresolved.update((planned_call.number, planned_call) for planned_call in planned_calls)
        self._ready.extend(QueuedCall(planned_call) for planned_call in planned_calls)

    def take(self, now: float) -> Request | float:
        """Return the request to send now, or the number of seconds to wait for one.

        Infinity means to wait until an answer or a new call comes in.
        """
        if self._is_plain(now) and self.has_room and self._ready:
            return self._request(self._new_calls(), now)
        patience = self._breaker.patience(now) if self._unresolved else math.inf
        if not patience:
            self.fail(self._out_of_patience())
        if self.failure is not None:
            return math.inf
        if not self.has_room:
            return patience
        wait = self._wait_of_all(now)
        if not wait:
            calls, wait = self._next(now)
            if calls:
                self._pacing.sent(now, len(calls))
                return self._request(calls, now)
        if not (self._ready and self._pacing.is_slow):
            self._concurrency.idle()  # A pace leaves short gaps, in which a measurement stays good.
        return min(wait, patience)

    def _is_plain(self, now: float) -> bool:
        """Tell whether nothing holds calls back and no retry is due before new ones: most of the time."""
        return (
            self._is_proven
            and not self._breaker.is_open
            and not self._delayed
            and not self._pacing.is_slow
            and self.paused_until <= now
            and self.failure is None
        )

    def _request(self, calls: list[QueuedCall], now: float) -> Request:
        self.in_flight += len(calls)
        return Request(calls, self._breaker.start_probe(), now)

    def _new_calls(self) -> list[QueuedCall]:
        count = min(self._at_once, len(self._ready), self._room())
        return [self._ready.popleft() for _ in range(count)]

    def settle(self, request: Request, answer: Answer | KmError, now: float) -> bool:
        """Turn an answer into receipts or retries; return whether more calls may go now than before."""
        was_held, limit = self._is_held(), self._concurrency.limit
        self.in_flight -= len(request.calls)
        if isinstance(answer, KmError):
            self.fail(answer)
        elif answer.kind is AnswerKind.ACKNOWLEDGED:
            self._acknowledge(request, now)
        elif answer.kind is AnswerKind.REJECTED:
            self._reject(request, answer)
        elif answer.kind is AnswerKind.REFUSED:
            self.fail(self._stops.refused(answer))
        else:
            self._retry(request, answer, now)
        return (was_held and not self._is_held()) or self._concurrency.limit > limit

    def _is_held(self) -> bool:
        return self._breaker.is_open or not self._is_proven

    def take_receipts(self) -> list[Receipt]:
        """Return the receipts since the last time."""
        found, self._receipts = self._receipts, []
        return found

    def give_up(self) -> list[Receipt]:
        """Return the last receipts: calls without an answer are pending, with their last failure."""
        reasons = {queued.call.number: queued.reason for _, _, queued in self._delayed}
        for number, planned_call in list(self._unresolved.items()):
            self._resolve(planned_call, Outcome.PENDING, reasons.get(number, NOT_SENT))
        return self.take_receipts()

    def trouble(self, now: float) -> Trouble | None:
        """Return the reason why no calls get through, None while they do."""
        is_asked = self.paused_until > now
        if not self._unresolved or not (is_asked or self._failing_since is not None):
            return None
        since = now if self._failing_since is None else self._failing_since
        return Trouble(self._cause, since, self._next_try(now), is_asked)

    def _next_try(self, now: float) -> float | None:
        """Return when the next call goes; None if the answer to one is awaited before."""
        wait = self._wait_of_all(now)
        if not self._ready and self._delayed:
            wait = max(wait, self._delayed[0][0] - now, self._budget.wait(now))
        return now + wait if wait < math.inf and (self._ready or self._delayed) else None

    def fail(self, error: KmError | None) -> None:
        """End the run, unless another error has ended it before."""
        self.failure = self.failure or error

    def _wait_of_all(self, now: float) -> float:
        """Return the seconds that all calls wait: for a pause, the breaker, the rate."""
        return max(self.paused_until - now, self._breaker.wait(now), self._pacing.wait(now), 0.0)

    def _room(self) -> int:
        """Return how many more calls may be in flight.

        They are few until the first acknowledgement: until then the address or the key may be wrong, and all
        calls in flight would fail.
        """
        most = self._concurrency.limit * self._at_once
        return (most if self._is_proven else min(most, self._policy.unproven)) - self.in_flight

    def _next(self, now: float) -> tuple[list[QueuedCall], float]:
        """Return the calls whose turn it is, or how long to wait for one.

        A retry that is due goes before new calls, so that no call waits for the end of a long log.
        """
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
            return self._new_calls(), 0.0
        return [], wait

    def _fresh_probe(self) -> QueuedCall:
        """Return a random call without an attempt as the probe.

        It is random because the destination may never acknowledge the first calls in line. Every run would
        begin with them, and none would get beyond.
        """
        at = self._random.randrange(len(self._ready))
        queued = self._ready[at]
        del self._ready[at]
        return queued

    def _due(self, now: float) -> QueuedCall:
        """Return the retry that has been due for longest.

        A probe is not a call's last attempt if another call has attempts left: the probe fails because of the
        destination, and that is no reason to give up the call.
        """
        if not self._breaker.is_open:
            return heapq.heappop(self._delayed)[2]
        last = self._policy.attempts - 1
        due = (entry for entry in self._delayed if entry[0] <= now)
        probe = min(due, key=lambda entry: (entry[2].failed >= last, entry[:2]))
        self._delayed.remove(probe)
        heapq.heapify(self._delayed)
        return probe[2]

    def _acknowledge(self, request: Request, now: float) -> None:
        self._is_wary = False
        self._is_proven = True
        self._failing_since = None
        self._stops.acknowledged()
        self._budget.acknowledged(len(request.calls))
        self._breaker.acknowledged(now)
        self._concurrency.answered(request.sent, now)
        for queued in request.calls:
            self._resolve(queued.call, Outcome.ACKNOWLEDGED)

    def _reject(self, request: Request, answer: Answer) -> None:
        """Give the calls their receipts.

        A rejection does not prove that the destination takes calls: with a wrong setting it rejects all of
        them.
        """
        self._breaker.answered(probe=request.is_probe)
        for queued in request.calls:
            self._resolve(queued.call, Outcome.REJECTED, answer.reason)
            self.fail(self._stops.rejected(answer))

    def _retry(self, request: Request, answer: Answer, now: float) -> None:
        self._cause = answer.reason
        if self._failing_since is None:
            self._failing_since = now
        if answer.is_overload:
            self._concurrency.overloaded(request.sent, now)
        if self._is_wary:
            self._fail_warily(request, answer)
        else:
            self._breaker.failed(now, probe=request.is_probe)
        self.fail(self._stops.failed(answer))
        self.paused_until = max(self.paused_until, now + answer.retry_after)
        for queued in request.calls:
            failed = queued.failed + 1
            if failed >= self._policy.attempts:
                self._resolve(queued.call, Outcome.PENDING, answer.reason)
                continue
            due = now + max(backoff(self._policy, failed, self._random), answer.retry_after)
            again = QueuedCall(queued.call, failed, answer.reason)
            heapq.heappush(self._delayed, (due, queued.call.number, again))

    def _fail_warily(self, request: Request, answer: Answer) -> None:
        """Count a failure in a wary run, and end the run after a few.

        Different calls are tried, because the destination may be well and never acknowledge one of them. The
        next call goes at once: the run before has waited already.
        """
        self._breaker.answered(probe=request.is_probe)
        self._failed_warily.update(queued.call.number for queued in request.calls)
        if len(self._failed_warily) >= self._policy.wary_failures:
            self.fail(Outage(f"the destination still does not take calls: {answer.reason}", RESUME))

    def _out_of_patience(self) -> Outage:
        cause = f": {self._cause}" if self._cause else ""
        return Outage(f"nothing was acknowledged for {self._policy.patience / 60:.0f} minutes{cause}", RESUME)

    def _resolve(self, planned_call: PlannedCall, outcome: Outcome, reason: str = "") -> None:
        if self._unresolved.pop(planned_call.number, None) is not None:
            self._receipts.append(Receipt(planned_call, outcome, reason))
