"""The threads that send the calls of the outbox, as the courier decides.

The pool does not touch the ledger: durable calls come in, and receipts go out to be made durable.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from random import Random

from km_cli.delivery.courier import Courier, Request
from km_cli.delivery.policy import Policy
from km_cli.delivery.stops import RESUME
from km_cli.errors import Exhausted, KmError, Unavailable
from km_cli.model import Answer, OutboxCall, Receipt
from km_cli.protocols import Clock, Connection, Destination

_TICK = 0.2


class Pool:
    """Sends calls with `concurrency` workers.

    `window` is how many calls may be without a receipt at a time. It bounds memory, and is large enough that
    a call that cannot be delivered holds up no other. `rate` and `is_wary` are the courier's. Raises
    Exhausted if the system does not have that many threads.
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
        is_wary: bool = False,
    ) -> None:
        self._destination = destination
        self._clock = clock
        self._window = window
        self._lock = threading.Lock()
        self._turn = threading.Condition(self._lock)  # workers wait on it for a call to send
        self._progress = threading.Condition(self._lock)  # the pipeline waits on it for receipts
        self._ended = False
        self._draining = False
        self._watched_until = math.inf
        self._has_progress = False
        self._courier = Courier(
            policy, random, clock.monotonic(), at_once=destination.at_once, rate=rate, is_wary=is_wary
        )
        self._threads: list[threading.Thread] = []
        self._start(min(concurrency, destination.workers))

    def _start(self, count: int) -> None:
        """Start the workers: all of them, or none."""
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
        """The reason why the run has to end, if it has to."""
        return self._courier.failure

    @property
    def retried(self) -> int:
        """How many retries were sent."""
        return self._courier.retried

    def submit(self, outbox_calls: Sequence[OutboxCall]) -> None:
        """Hand over durable calls. The pool takes all of them, even beyond its window."""
        with self._lock:
            self._courier.submit(outbox_calls, self._clock.monotonic())
            self._turn.notify(len(outbox_calls))

    @property
    def pause(self) -> float:
        """How many seconds the destination still asks us to wait (Retry-After)."""
        return max(0.0, self._courier.paused_until - self._clock.monotonic())

    def has_room(self) -> bool:
        """Tell whether the window has room for more calls."""
        return self._courier.unresolved < self._window

    @property
    def is_idle(self) -> bool:
        """Whether every call has its receipt."""
        return not self._courier.unresolved

    def receipts(self, wait: float = 0.0) -> list[Receipt]:
        """Return the receipts since the last time.

        Waits up to `wait` seconds for room for more calls, for the last receipt, or for a failure.
        """
        with self._lock:
            if wait and not self.is_idle and not self._has_progress and self.failure is None:
                self._progress.wait(wait)
            self._has_progress = False
            return self._courier.take_receipts()

    def finish_in_flight(self, grace: float) -> None:
        """Send nothing more; wait up to `grace` seconds for the answers to calls in flight."""
        until = self._clock.monotonic() + grace
        with self._lock:
            self._draining = True
            self._turn.notify_all()
            while self._courier.in_flight and (left := until - self._clock.monotonic()) > 0:
                self._progress.wait(min(left, _TICK))

    def close(self) -> list[Receipt]:
        """End the workers; return the last receipts, in which calls without an answer are pending."""
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
            while request := self._take():
                answer: Answer | KmError
                try:
                    connection = connection or self._destination.connect()
                    answer = connection.send([queued.call for queued in request.calls])
                except KmError as error:
                    answer = error
                except Exception as error:  # noqa: BLE001 - a worker that dies must end the run
                    answer = _unforeseen(error)
                self._settle(request, answer)
        finally:
            if connection is not None:
                connection.close()

    def _take(self) -> Request | None:
        """Wait for the next request and return it; None once the pool has ended."""
        with self._lock:
            while not (self._ended or self._draining or self.failure):
                now = self._clock.monotonic()
                found = self._courier.take(now)
                if isinstance(found, Request):
                    if self._watched_until == math.inf:
                        self._turn.notify()  # this worker goes to send, so another one has to watch the clock
                    return found
                if self.failure is None:
                    self._rest(now, found)
            if self.failure is not None:
                self._wake_all()
            return None

    def _rest(self, now: float, wait: float) -> None:
        """Wait for a call to send. One worker watches the clock for all, or each wait would wake all."""
        until = now + wait
        if until >= self._watched_until or wait == math.inf:
            self._turn.wait()
            return
        self._watched_until = until
        self._turn.wait(min(wait, threading.TIMEOUT_MAX))
        if self._watched_until == until:
            self._watched_until = math.inf

    def _settle(self, request: Request, answer: Answer | KmError) -> None:
        with self._lock:
            before = self._courier.unresolved
            if self._courier.settle(request, answer, self._clock.monotonic()):
                self._turn.notify_all()
            left = self._courier.unresolved
            if self.failure is not None:
                self._wake_all()
            elif self._draining or not left or left < self._window <= before:
                self._has_progress = True
                self._progress.notify()

    def _wake_all(self) -> None:
        """Wake all workers and the pipeline, since the run ends."""
        self._turn.notify_all()
        self._progress.notify_all()


def _unforeseen(error: Exception) -> KmError:
    """Return the error that ends the run. It names only the type: the text may hold the URL with the key."""
    failure = Unavailable(f"sending failed in an unforeseen way: {type(error).__name__}", RESUME)
    failure.__cause__ = error
    return failure
