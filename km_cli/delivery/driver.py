"""What all drivers of a courier have in common: the side of the pipeline.

A driver does not touch the ledger: durable calls come in, and receipts go out to be made durable.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

from km_cli.delivery.courier import Courier, Request
from km_cli.delivery.stops import RESUME
from km_cli.errors import KmError, Unavailable
from km_cli.model import Answer, PlannedCall, Receipt, Trouble
from km_cli.protocols import Clock

_TICK = 0.2


class Driver(ABC):
    """Sends what the courier says. The pipeline, which runs in one thread, uses its public methods.

    `window` is how many calls may be without a receipt at a time. It bounds memory, and is large enough that
    a call that cannot be delivered holds up no other. One lock guards the courier and all that is here.
    """

    def __init__(self, courier: Courier, clock: Clock, window: int) -> None:
        self._courier = courier
        self._clock = clock
        self._window = window
        self._lock = threading.Lock()
        self._progress = threading.Condition(self._lock)  # the pipeline waits on it for receipts
        self._ended = False
        self._draining = False
        self._has_progress = False

    @abstractmethod
    def _wake(self, calls: int) -> None:
        """Let as many calls be taken; the lock is held."""

    @abstractmethod
    def _join(self) -> None:
        """Wait for the end of the threads."""

    @property
    def failure(self) -> KmError | None:
        """The reason why the run has to end, if it has to."""
        return self._courier.failure

    @property
    def retried(self) -> int:
        """How many retries were sent."""
        return self._courier.retried

    @property
    def pause(self) -> float:
        """How many seconds the destination still asks us to wait (Retry-After)."""
        return max(0.0, self._courier.paused_until - self._clock.monotonic())

    @property
    def trouble(self) -> Trouble | None:
        """The reason why no calls get through at present, if they do not."""
        with self._lock:
            return self._courier.trouble(self._clock.monotonic())

    @property
    def is_idle(self) -> bool:
        """Whether every call has its receipt."""
        return not self._courier.unresolved

    def has_room(self) -> bool:
        """Tell whether the window has room for more calls."""
        return self._courier.unresolved < self._window

    def submit(self, planned_calls: Sequence[PlannedCall]) -> None:
        """Hand over durable calls. The driver takes all of them, even beyond its window."""
        with self._lock:
            self._courier.submit(planned_calls, self._clock.monotonic())
            self._wake(len(planned_calls))

    def receipts(self, wait: float = 0.0) -> list[Receipt]:
        """Return the receipts since the last time.

        Waits up to `wait` seconds for an event that the pipeline can act on: room for more, the last receipt,
        or a failure.
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
            self._wake_all()
            while self._courier.in_flight and (left := until - self._clock.monotonic()) > 0:
                self._progress.wait(min(left, _TICK))

    def close(self) -> list[Receipt]:
        """End the threads; return the last receipts, in which calls without an answer are pending."""
        with self._lock:
            self._ended = True
            self._wake_all()
            last = self._courier.give_up()
        self._join()
        return last

    def _settle(self, settled: Iterable[tuple[Request, Answer | KmError]]) -> None:
        """Take answers that came together; the lock is held."""
        before, now = self._courier.unresolved, self._clock.monotonic()
        may_more = [self._courier.settle(request, answer, now) for request, answer in settled]
        if self.failure is not None or any(may_more):
            self._wake_all()
        left = self._courier.unresolved
        if self.failure is not None or self._draining or not left or left < self._window <= before:
            self._has_progress = True
            self._progress.notify_all()

    @abstractmethod
    def _wake_all(self) -> None:
        """Let all threads look again at what they may do; the lock is held."""


def unforeseen(error: Exception) -> KmError:
    """Return the error that ends the run. Only the type is named: the text may hold the URL with the key."""
    failure = Unavailable(f"sending failed in an unforeseen way: {type(error).__name__}", RESUME)
    failure.__cause__ = error
    return failure
