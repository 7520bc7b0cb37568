"""The workers that send what is in the outbox, and the one place where answers become receipts.

Nothing here touches the ledger: parcels come in when they are durable, receipts go out to be made so.
"""

from __future__ import annotations

import heapq
import math
import threading
from collections import deque
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from km_cli.delivery.policy import Breaker, Budget, Pacing, Policy, backoff
from km_cli.delivery.stops import RESUME, Stops
from km_cli.errors import KmError, Outage, Unavailable
from km_cli.model import Answer, Outcome, Parcel, Receipt, Verdict
from km_cli.protocols import Clock, Connection, Destination

_TICK = 0.2


class _Job(NamedTuple):
    """A parcel and how often it was sent in vain."""

    parcel: Parcel
    failed: int


class _Errand(NamedTuple):
    """What a worker sends at once."""

    jobs: list[_Job]
    is_probe: bool


class Pool:
    """Sends parcels with `concurrency` workers.

    `window` bounds how many parcels are unresolved at a time: that bounds memory, and leaves room for
    others beside a call that cannot be delivered. After an `outage` calls go one by one until one
    is taken, and the run ends when some were not.
    """

    def __init__(
        self,
        destination: Destination,
        *,
        concurrency: int,
        window: int,
        policy: Policy,
        clock: Clock,
        random: Random,
        rate: float | None = None,
        outage: bool = False,
    ) -> None:
        now = clock.monotonic()
        self._destination = destination
        self._policy = policy
        self._clock = clock
        self._random = random
        self._window = window
        self._lock = threading.Lock()
        self._turn = threading.Condition(self._lock)  # workers wait on it for something to send
        self._news = threading.Condition(self._lock)  # the pipeline waits on it for receipts
        self._ready: deque[_Job] = deque()
        self._delayed: list[tuple[float, int, _Job]] = []
        self._receipts: list[Receipt] = []
        self._unresolved: dict[int, Parcel] = {}
        self._in_flight = 0
        self._ended = False
        self._draining = False
        self._watched_until = math.inf
        self._has_news = False
        self._budget = Budget(policy, now)
        self._breaker = Breaker(policy, now, is_open=outage)
        self._outage = outage
        self._untaken: set[int] = set()
        self._pacing = Pacing(rate, now)
        self._stops = Stops(policy)
        self._paused_until = now
        self.retried = 0
        self.failure: KmError | None = None
        self._threads = [
            threading.Thread(target=self._work, name=f"sender-{number}", daemon=True)
            for number in range(min(concurrency, destination.workers))
        ]
        for thread in self._threads:
            thread.start()

    # For the pipeline, which runs in one thread

    def submit(self, parcels: Sequence[Parcel]) -> None:
        """Hand over durable parcels; the pool may hold a window of them and what it is handed on top."""
        with self._lock:
            if not self._unresolved:
                self._breaker.busy(self._clock.monotonic())
            self._unresolved.update((parcel.number, parcel) for parcel in parcels)
            self._ready.extend(_Job(parcel, 0) for parcel in parcels)
            self._turn.notify(len(parcels))

    @property
    def pause(self) -> float:
        """How many seconds the destination still wants to be left alone (Retry-After)."""
        return max(0.0, self._paused_until - self._clock.monotonic())

    def has_room(self) -> bool:
        """Tell whether more parcels are welcome."""
        return len(self._unresolved) < self._window

    @property
    def is_idle(self) -> bool:
        """Whether every parcel has its receipt."""
        return not self._unresolved

    def receipts(self, wait: float = 0.0) -> list[Receipt]:
        """Return what became of parcels since the last time.

        Waits up to so many seconds for what the pipeline can act on: room for more, the end, a failure.
        """
        with self._lock:
            if wait and self._unresolved and not self._has_news and self.failure is None:
                self._news.wait(wait)
            self._has_news = False
            found, self._receipts = self._receipts, []
            return found

    def finish_in_flight(self, grace: float) -> None:
        """Send nothing more; wait up to `grace` seconds for what is on its way."""
        until = self._clock.monotonic() + grace
        with self._lock:
            self._draining = True
            self._turn.notify_all()
            while self._in_flight and (left := until - self._clock.monotonic()) > 0:
                self._news.wait(min(left, _TICK))

    def close(self) -> list[Receipt]:
        """End the workers; return the last receipts, with what is unresolved as pending."""
        with self._lock:
            self._ended = True
            self._turn.notify_all()
            last = self._receipts + [
                Receipt(parcel, Outcome.PENDING, "not sent") for parcel in self._unresolved.values()
            ]
            self._receipts, self._unresolved = [], {}
        for thread in self._threads:
            thread.join(timeout=0 if self._in_flight else 5)
        return last

    # The workers

    def _work(self) -> None:
        connection: Connection | None = None
        try:
            while errand := self._take():
                answer: Answer | KmError
                try:
                    connection = connection or self._destination.connect()
                    answer = connection.send([job.parcel for job in errand.jobs])
                except KmError as error:
                    answer = error
                except Exception as error:  # noqa: BLE001 - a worker must never die in silence
                    answer = _unforeseen(error)
                self._settle(errand, answer)
        finally:
            if connection is not None:
                connection.close()

    def _take(self) -> _Errand | None:
        """Return what to send next, waiting for its turn; nothing once the pool has ended."""
        with self._lock:
            while not (self._ended or self._draining or self.failure):
                now = self._clock.monotonic()
                patience = self._breaker.patience(now) if self._unresolved else math.inf
                if not patience:
                    minutes = self._policy.patience / 60
                    self._fail(Outage(f"nothing was acknowledged for {minutes:.0f} minutes", RESUME))
                    break
                wait = self._held(now)
                if not wait:
                    jobs, wait = self._next(now)
                    if jobs:
                        return self._leave(jobs, now)
                self._rest(now, min(wait, patience))
            return None

    def _leave(self, jobs: list[_Job], now: float) -> _Errand:
        self._in_flight += 1
        self._pacing.went(now, len(jobs))
        if self._watched_until == math.inf:
            self._turn.notify()  # whoever leaves hands the watch on
        return _Errand(jobs, self._breaker.goes())

    def _rest(self, now: float, wait: float) -> None:
        """Wait for something to send; one worker watches the clock, or each tick would wake them all."""
        until = now + wait
        if until >= self._watched_until or wait == math.inf:
            self._turn.wait()
            return
        self._watched_until = until
        self._turn.wait(min(wait, threading.TIMEOUT_MAX))
        if self._watched_until == until:
            self._watched_until = math.inf

    def _held(self, now: float) -> float:
        """Return how long everyone has to wait: a pause, the breaker, the rate."""
        return max(self._paused_until - now, self._breaker.wait(now), self._pacing.wait(now), 0.0)

    def _next(self, now: float) -> tuple[list[_Job], float]:
        """Return retries that are due, else fresh ones; or how long to wait for any."""
        wait = math.inf
        if self._delayed:
            wait = self._delayed[0][0] - now
            if wait <= 0.0:
                wait = self._budget.wait(now)
                if wait <= 0.0:
                    self._budget.spend(now)
                    self.retried += 1
                    return [heapq.heappop(self._delayed)[2]], 0.0
        if self._ready:
            count = 1 if self._breaker.is_open else self._destination.at_once
            return [self._ready.popleft() for _ in range(min(count, len(self._ready)))], 0.0
        return [], wait

    # What an answer means

    def _settle(self, errand: _Errand, answer: Answer | KmError) -> None:
        with self._lock:
            before = len(self._unresolved)
            self._in_flight -= 1
            now = self._clock.monotonic()
            if isinstance(answer, KmError):
                self._fail(answer)
            elif answer.verdict is Verdict.ACKNOWLEDGED:
                self._acknowledge(errand, now)
            elif answer.verdict is Verdict.REJECTED:
                self._reject(errand, answer)
            elif answer.verdict is Verdict.REFUSED:
                self._fail(self._stops.refused(answer))
            else:
                self._retry(errand, answer, now)
            left = len(self._unresolved)
            if self._draining or not left or left < self._window <= before:
                self._has_news = True
                self._news.notify()

    def _acknowledge(self, errand: _Errand, now: float) -> None:
        self._outage = False
        self._stops.acknowledged()
        self._budget.acknowledged(len(errand.jobs))
        if self._breaker.is_open:
            self._turn.notify_all()
        self._breaker.acknowledged(now)
        for job in errand.jobs:
            self._resolve(job.parcel, Outcome.ACKNOWLEDGED)

    def _reject(self, errand: _Errand, answer: Answer) -> None:
        self._breaker.answered(probe=errand.is_probe)
        for job in errand.jobs:
            self._resolve(job.parcel, Outcome.REJECTED, answer.reason)
            self._fail(self._stops.rejected(answer))

    def _retry(self, errand: _Errand, answer: Answer, now: float) -> None:
        if self._outage:
            self._still_out(errand, answer)
        else:
            self._breaker.failed(now, probe=errand.is_probe)
        self._fail(self._stops.failed(answer))
        self._paused_until = max(self._paused_until, now + answer.retry_after)
        for job in errand.jobs:
            failed = job.failed + 1
            if failed >= self._policy.attempts:
                self._resolve(job.parcel, Outcome.PENDING, answer.reason)
                continue
            due = now + max(backoff(self._policy, failed, self._random), answer.retry_after)
            heapq.heappush(self._delayed, (due, job.parcel.number, _Job(job.parcel, failed)))

    def _still_out(self, errand: _Errand, answer: Answer) -> None:
        """Try other calls one by one before an outage is believed to last: one alone may never be taken."""
        self._breaker.answered(probe=errand.is_probe)
        self._untaken.update(job.parcel.number for job in errand.jobs)
        if len(self._untaken) >= self._policy.untaken:
            self._fail(Outage(f"it still does not take calls: {answer.reason}", RESUME))

    def _resolve(self, parcel: Parcel, outcome: Outcome, reason: str = "") -> None:
        if self._unresolved.pop(parcel.number, None) is not None:
            self._receipts.append(Receipt(parcel, outcome, reason))

    def _fail(self, error: KmError | None) -> None:
        if error is not None:
            self.failure = self.failure or error
            self._turn.notify_all()
            self._news.notify_all()


def _unforeseen(error: Exception) -> KmError:
    """Return what ends the run; the error may hold the URL with the key, so only its kind is told."""
    failure = Unavailable(f"sending failed in an unforeseen way: {type(error).__name__}", RESUME)
    failure.__cause__ = error
    return failure
