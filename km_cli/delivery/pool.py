"""The driver with a thread for each request in flight, for libraries that send one request at a time."""

from __future__ import annotations

import math
import threading

from km_cli.delivery.courier import Courier, Request
from km_cli.delivery.driver import Driver, unforeseen
from km_cli.errors import Exhausted, KmError
from km_cli.model import Answer
from km_cli.protocols import Clock, Connection, Destination


class Pool(Driver):
    """Has as many workers as the courier has had requests in flight.

    Raises Exhausted if the system does not have the threads that it begins with.
    """

    most = 64
    """How many requests are in flight at most, if their number adapts."""

    def __init__(self, destination: Destination, courier: Courier, clock: Clock, *, window: int) -> None:
        super().__init__(courier, clock, window)
        self._destination = destination
        self._turn = threading.Condition(self._lock)  # workers wait on it for a call to send
        self._watched_until = math.inf
        self._threads: list[threading.Thread] = []
        self._is_exhausted = False
        with self._lock:
            self._start_workers()
        if self._is_exhausted:
            self.close()
            started, wanted = len(self._threads), courier.limit
            raise Exhausted(
                f"the system allows {started} of the {wanted} threads that sending begins with",
                "lower --concurrency, or raise the limits on processes and memory (ulimit -u, ulimit -v)",
            )

    def _start_workers(self) -> None:
        """Start as many workers as requests may be in flight, or as the system allows; the lock is held."""
        try:
            while len(self._threads) < self._courier.limit and not self._is_exhausted:
                thread = threading.Thread(target=self._work, name=f"sender-{len(self._threads)}", daemon=True)
                thread.start()
                self._threads.append(thread)
        except RuntimeError:
            self._is_exhausted = True

    def _wake(self, calls: int) -> None:
        self._turn.notify(calls)

    def _wake_all(self) -> None:
        self._turn.notify_all()

    def _join(self) -> None:
        for thread in self._threads:
            thread.join(timeout=0 if self._courier.in_flight else 5)

    # The workers

    def _work(self) -> None:
        connection: Connection | None = None
        settled: list[tuple[Request, Answer | KmError]] = []
        try:
            while request := self._take(settled):
                answer: Answer | KmError
                try:
                    connection = connection or self._destination.connect()
                    answer = connection.send([queued.call for queued in request.calls])
                except KmError as error:
                    answer = error
                except Exception as error:  # noqa: BLE001 - a worker that dies must end the run
                    answer = unforeseen(error)
                settled = [(request, answer)]
        finally:
            if connection is not None:
                connection.close()

    def _take(self, settled: list[tuple[Request, Answer | KmError]]) -> Request | None:
        """Settle the last answer, wait for the next request and return it; None once the pool has ended."""
        with self._lock:
            if settled:
                self._settle(settled)
                self._start_workers()
            while not (self._ended or self._draining or self.failure):
                now = self._clock.monotonic()
                found = self._courier.take(now)
                if isinstance(found, Request):
                    if self._watched_until == math.inf and self._courier.has_room:
                        self._turn.notify()  # this worker goes to send, so another one has to watch the clock
                    return found
                if self.failure is None:
                    self._rest(now, found)
            if self.failure is not None:
                self._wake_all()
                self._progress.notify_all()
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
