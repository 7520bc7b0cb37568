"""The workers that send what is in the outbox, and the one place where answers become receipts.

Nothing here touches the ledger: parcels come in when they are durable, receipts go out to be made so.
"""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from km_cli.delivery.policy import Breaker, Budget, Pacing, Policy, backoff
from km_cli.errors import ComeBackLater, KmError, Unavailable
from km_cli.model import Answer, Clock, Destination, Outcome, Parcel, Receipt, Verdict

_RESUME = "nothing is lost: run the same command again and it goes on where it stopped"
_TICK = 0.2


class _Job(NamedTuple):
    """A parcel and how often it was sent in vain."""

    parcel: Parcel
    failed: int


class Pool:
    """Sends parcels with `concurrency` workers.

    `window` bounds how many parcels are unresolved at a time: that bounds memory, and leaves room for
    others beside a call that cannot be delivered.
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
    ) -> None:
        now = clock.monotonic()
        self._destination = destination
        self._policy = policy
        self._clock = clock
        self._random = random
        self._window = window
        lock = threading.RLock()
        self._turn = threading.Condition(lock)  # workers wait on it for something to send
        self._news = threading.Condition(lock)  # the pipeline waits on it for receipts
        self._ready: deque[_Job] = deque()
        self._delayed: list[tuple[float, int, _Job]] = []
        self._receipts: list[Receipt] = []
        self._unresolved: dict[int, Parcel] = {}
        self._in_flight = 0
        self._ended = False
        self._draining = False
        self._budget = Budget(policy, now)
        self._breaker = Breaker(policy, now)
        self._pacing = Pacing(rate, now)
        self._paused_until = now
        self._acknowledged = 0
        self._unreached = 0
        self._not_images = 0
        self._rejections = 0
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
        with self._turn:
            self._unresolved.update((parcel.number, parcel) for parcel in parcels)
            self._ready.extend(_Job(parcel, 0) for parcel in parcels)
            self._turn.notify_all()

    def has_room(self) -> bool:
        """Tell whether more parcels are welcome."""
        return len(self._unresolved) < self._window

    @property
    def is_idle(self) -> bool:
        """Whether every parcel has its receipt."""
        return not self._unresolved

    def receipts(self, wait: float = 0.0) -> list[Receipt]:
        """Return what became of parcels since the last time; wait up to so many seconds for any."""
        with self._turn:
            if not self._receipts and wait and self._unresolved and self.failure is None:
                self._news.wait(wait)
            found, self._receipts = self._receipts, []
            return found

    def finish_in_flight(self, grace: float) -> None:
        """Send nothing more; wait up to `grace` seconds for what is on its way."""
        until = self._clock.monotonic() + grace
        with self._turn:
            self._draining = True
            self._turn.notify_all()
            while self._in_flight and (left := until - self._clock.monotonic()) > 0:
                self._news.wait(min(left, _TICK))

    def close(self) -> list[Receipt]:
        """End the workers; return the last receipts, with what is unresolved as pending."""
        with self._turn:
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
        connection = self._destination.connect()
        try:
            while jobs := self._take():
                answer = connection.send([job.parcel for job in jobs])
                self._settle(jobs, answer)
        except Exception as error:  # noqa: BLE001 - a worker must never die in silence
            self._stop(Unavailable(f"sending failed in an unforeseen way: {error!r}", _RESUME))
        finally:
            connection.close()

    def _take(self) -> list[_Job]:
        """Return what to send next, waiting for its turn; nothing once the pool has ended."""
        with self._turn:
            while not (self._ended or self._draining or self.failure):
                now = self._clock.monotonic()
                wait = self._held(now)
                if not wait:
                    jobs, wait = self._next(now)
                    if jobs:
                        self._in_flight += 1
                        self._breaker.probe()
                        self._pacing.went(now, len(jobs))
                        return jobs
                self._turn.wait(wait)
            return []

    def _held(self, now: float) -> float:
        """Return how long everyone has to wait: a pause, the breaker, the rate."""
        if self._breaker.out_of_patience(now) and self._unresolved:
            minutes = self._policy.patience / 60
            self._fail(Unavailable(f"nothing was acknowledged for {minutes:.0f} minutes", _RESUME))
        return max(self._paused_until - now, self._breaker.wait(now), self._pacing.wait(now), 0.0)

    def _next(self, now: float) -> tuple[list[_Job], float]:
        """Return retries that are due, else fresh ones; or how long to wait for any."""
        wait = 60.0
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

    # What an answer means for the run

    def _settle(self, jobs: list[_Job], answer: Answer) -> None:
        with self._turn:
            self._in_flight -= 1
            now = self._clock.monotonic()
            if answer.verdict is Verdict.ACKNOWLEDGED:
                self._acknowledge(jobs, now)
            elif answer.verdict is Verdict.REJECTED:
                self._reject(jobs, answer)
            elif answer.verdict is Verdict.REFUSED:
                self._fail(Unavailable(answer.reason, _RESUME))
            else:
                self._retry(jobs, answer, now)
                self._turn.notify()
            self._news.notify()

    def _acknowledge(self, jobs: list[_Job], now: float) -> None:
        self._acknowledged += len(jobs)
        self._not_images = self._rejections = 0
        self._budget.acknowledged(len(jobs))
        if self._breaker.is_open:
            self._turn.notify_all()
        self._breaker.acknowledged(now)
        for job in jobs:
            self._resolve(job.parcel, Outcome.ACKNOWLEDGED)

    def _reject(self, jobs: list[_Job], answer: Answer) -> None:
        """Take the destination's word on one call, but not on everything it is given."""
        self._breaker.answered()
        self._not_images = 0
        for job in jobs:
            self._rejections += 1
            self._resolve(job.parcel, Outcome.REJECTED, answer.reason)
        if self._rejections >= self._policy.rejections:
            self._fail(
                Unavailable(
                    f"{self._rejections} calls in a row were refused, the last with: {answer.reason}",
                    "something is wrong with all of them; see the rejects file, and try one row: --limit 1",
                )
            )

    def _retry(self, jobs: list[_Job], answer: Answer, now: float) -> None:
        self._breaker.failed(now)
        self._count_failure(answer)
        if answer.retry_after > 0.0:
            self._paused_until = max(self._paused_until, now + answer.retry_after)
            if answer.retry_after > self._policy.longest_pause:
                self._fail(
                    ComeBackLater(
                        f"the destination asks to wait {answer.retry_after:.0f} s ({answer.reason})",
                        "run the same command again after that; it goes on where it stopped",
                    )
                )
        for job in jobs:
            failed = job.failed + 1
            if failed >= self._policy.attempts:
                self._resolve(job.parcel, Outcome.PENDING, answer.reason)
                continue
            due = now + max(backoff(self._policy, failed, self._random), answer.retry_after)
            heapq.heappush(self._delayed, (due, job.parcel.number, _Job(job.parcel, failed)))

    def _count_failure(self, answer: Answer) -> None:
        if answer.verdict is Verdict.UNREACHED and not self._acknowledged:
            self._unreached += 1
            if self._unreached >= self._policy.unreached:
                self._fail(Unavailable(answer.reason, "check the address and the network; " + _RESUME))
        if answer.verdict is not Verdict.NOT_AN_IMAGE:
            self._not_images = 0
            return
        self._not_images += 1
        if self._not_images >= self._policy.not_an_image:
            self._fail(
                Unavailable(
                    f"something between here and the destination answers in its place: {answer.reason}",
                    "look for a proxy or a sign-in page; " + _RESUME,
                )
            )

    def _resolve(self, parcel: Parcel, outcome: Outcome, reason: str = "") -> None:
        if self._unresolved.pop(parcel.number, None) is not None:
            self._receipts.append(Receipt(parcel, outcome, reason))

    def _fail(self, error: KmError) -> None:
        self.failure = self.failure or error
        self._turn.notify_all()
        self._news.notify_all()

    def _stop(self, error: KmError) -> None:
        with self._turn:
            self._fail(error)
