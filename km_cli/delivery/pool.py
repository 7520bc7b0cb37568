"""The workers that send what is in the outbox: threads around a courier, which decides.

Nothing here touches the ledger: parcels come in when they are durable, receipts go out to be made so.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from random import Random

from km_cli.delivery.courier import Courier, Errand
from km_cli.delivery.policy import Policy
from km_cli.delivery.stops import RESUME
from km_cli.errors import Exhausted, KmError, Unavailable
from km_cli.model import Answer, OutboxCall, Receipt
from km_cli.protocols import Clock, Connection, Destination

_TICK = 0.2


class Pool:
    """Sends parcels with `concurrency` workers.

    `window` bounds how many parcels are unresolved at a time: that bounds memory, and leaves room for
    others beside a call that cannot be delivered. `rate` and `outage` as the courier has them. Raises
    Exhausted if the system has not so many threads.
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
        self._destination = destination
        self._clock = clock
        self._window = window
        self._lock = threading.Lock()
        self._turn = threading.Condition(self._lock)  # workers wait on it for something to send
        self._news = threading.Condition(self._lock)  # the pipeline waits on it for receipts
        self._ended = False
        self._draining = False
        self._watched_until = math.inf
        self._has_news = False
        self._courier = Courier(
            policy, random, clock.monotonic(), at_once=destination.at_once, rate=rate, outage=outage
        )
        self._threads: list[threading.Thread] = []
        self._start(min(concurrency, destination.workers))

    def _start(self, count: int) -> None:
        """Start the workers, all or none."""
        try:
            for number in range(count):
                thread = threading.Thread(target=self._work, name=f"sender-{number}", daemon=True)
                thread.start()
                self._threads.append(thread)
        except RuntimeError:
            self.close()
            raise Exhausted(
                f"the system allows {len(self._threads)} of the {count} threads that --concurrency asks for",
                "lower --concurrency, or raise the limits on processes and memory (ulimit -u, ulimit -v)",
            ) from None

    # For the pipeline, which runs in one thread

    @property
    def failure(self) -> KmError | None:
        """Why the run has to end, if it has."""
        return self._courier.failure

    @property
    def retried(self) -> int:
        """How many retries went."""
        return self._courier.retried

    def submit(self, outbox_calls: Sequence[OutboxCall]) -> None:
        """Hand over durable parcels; the pool may hold a window of them and what it is handed on top."""
        with self._lock:
            self._courier.submit(outbox_calls, self._clock.monotonic())
            self._turn.notify(len(outbox_calls))

    @property
    def pause(self) -> float:
        """How many seconds the destination still wants to be left alone (Retry-After)."""
        return max(0.0, self._courier.paused_until - self._clock.monotonic())

    def has_room(self) -> bool:
        """Tell whether more parcels are welcome."""
        return self._courier.unresolved < self._window

    @property
    def is_idle(self) -> bool:
        """Whether every parcel has its receipt."""
        return not self._courier.unresolved

    def receipts(self, wait: float = 0.0) -> list[Receipt]:
        """Return what became of parcels since the last time.

        Waits up to so many seconds for what the pipeline can act on: room for more, the end, a failure.
        """
        with self._lock:
            if wait and not self.is_idle and not self._has_news and self.failure is None:
                self._news.wait(wait)
            self._has_news = False
            return self._courier.take_receipts()

    def finish_in_flight(self, grace: float) -> None:
        """Send nothing more; wait up to `grace` seconds for what is on its way."""
        until = self._clock.monotonic() + grace
        with self._lock:
            self._draining = True
            self._turn.notify_all()
            while self._courier.in_flight and (left := until - self._clock.monotonic()) > 0:
                self._news.wait(min(left, _TICK))

    def close(self) -> list[Receipt]:
        """End the workers; return the last receipts, with what is unresolved as pending."""
        with self._lock:
            self._ended = True
            self._turn.notify_all()
            last = self._courier.give_up()
        for thread in self._threads:
            thread.join(timeout=0 if self._courier.in_flight else 5)
        return last

    # The workers

    def _work(self) -> None:
        connection: Connection | None = None
        try:
            while errand := self._take():
                answer: Answer | KmError
                try:
                    connection = connection or self._destination.connect()
                    answer = connection.send([job.call for job in errand.jobs])
                except KmError as error:
                    answer = error
                except Exception as error:  # noqa: BLE001 - a worker must never die in silence
                    answer = _unforeseen(error)
                self._settle(errand, answer)
        finally:
            if connection is not None:
                connection.close()

    def _take(self) -> Errand | None:
        """Return what to send next, waiting for its turn; nothing once the pool has ended."""
        with self._lock:
            while not (self._ended or self._draining or self.failure):
                now = self._clock.monotonic()
                found = self._courier.take(now)
                if isinstance(found, Errand):
                    if self._watched_until == math.inf:
                        self._turn.notify()  # whoever leaves hands the watch on
                    return found
                if self.failure is None:
                    self._rest(now, found)
            if self.failure is not None:
                self._wake_all()
            return None

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

    def _settle(self, errand: Errand, answer: Answer | KmError) -> None:
        with self._lock:
            before = self._courier.unresolved
            if self._courier.settle(errand, answer, self._clock.monotonic()):
                self._turn.notify_all()
            left = self._courier.unresolved
            if self.failure is not None:
                self._wake_all()
            elif self._draining or not left or left < self._window <= before:
                self._has_news = True
                self._news.notify()

    def _wake_all(self) -> None:
        """Have everyone see that this is the end."""
        self._turn.notify_all()
        self._news.notify_all()


def _unforeseen(error: Exception) -> KmError:
    """Return what ends the run; the error may hold the URL with the key, so only its kind is told."""
    failure = Unavailable(f"sending failed in an unforeseen way: {type(error).__name__}", RESUME)
    failure.__cause__ = error
    return failure
