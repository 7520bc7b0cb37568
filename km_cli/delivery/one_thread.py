"""The driver with one thread for all requests in flight, for libraries that send many requests at once."""

from __future__ import annotations

import math
import threading

from km_cli.delivery.courier import Courier, Request
from km_cli.delivery.driver import Driver, unforeseen
from km_cli.errors import Exhausted, KmError
from km_cli.protocols import Clock, Transfers


class OneThread(Driver):
    """Sends the courier's requests by `transfers`. Raises Exhausted if the system does not have a thread."""

    most = 256
    """How many requests are in flight at most, if their number adapts."""

    def __init__(self, transfers: Transfers, courier: Courier, clock: Clock, *, window: int) -> None:
        super().__init__(courier, clock, window)
        self._transfers = transfers
        self._requests: dict[int, Request] = {}
        self._is_resting = False
        self._thread = threading.Thread(target=self._work, name="sender", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            transfers.close()
            raise Exhausted(
                "the system allows this process no more threads",
                "raise the limits on processes and memory (ulimit -u, ulimit -v)",
            ) from None

    def _wake(self, calls: int) -> None:  # noqa: ARG002 - one thread takes all of them
        self._wake_all()

    def _wake_all(self) -> None:
        if self._is_resting:
            self._is_resting = False
            self._transfers.wake()

    def _join(self) -> None:
        self._thread.join(timeout=5)

    def _work(self) -> None:
        try:
            while self._turn():
                pass
        except KmError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - a thread that dies must end the run
            self._fail(unforeseen(error))
        finally:
            self._transfers.close()

    def _turn(self) -> bool:
        """Start what may go, and settle what has come in; tell whether to go on."""
        with self._lock:
            if self._ended:
                return False
            started, wait = self._take()
            self._is_resting = True
        for request in started:
            (queued,) = request.calls
            self._transfers.start(queued.call)
        answers = self._transfers.step(wait)
        with self._lock:
            self._is_resting = False
            if answers:
                self._settle((self._requests.pop(number), answer) for number, answer in answers)
        return True

    def _take(self) -> tuple[list[Request], float]:
        """Return the requests that go now, and how long nothing else will."""
        started: list[Request] = []
        now = self._clock.monotonic()
        while not (self._draining or self.failure):
            found = self._courier.take(now)
            if not isinstance(found, Request):
                if self.failure is not None:
                    self._has_progress = True
                    self._progress.notify_all()
                return started, found
            started.append(found)
            self._requests[found.calls[0].call.number] = found
        return started, math.inf

    def _fail(self, error: KmError) -> None:
        """End the run: calls in flight stay pending."""
        with self._lock:
            self._courier.fail(error)
            for request in self._requests.values():
                self._courier.in_flight -= len(request.calls)
            self._requests.clear()
            self._has_progress = True
            self._progress.notify_all()
