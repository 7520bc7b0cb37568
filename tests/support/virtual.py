"""Delivery in virtual time: a real courier, workers that take a moment a call, and no waiting at all."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from km_cli.delivery.concurrency import Concurrency
from km_cli.delivery.courier import Courier, Request
from km_cli.delivery.policy import Policy
from km_cli.errors import KmError
from km_cli.model import Answer, AnswerKind, Outcome, PlannedCall, Receipt

TAKEN = Answer(AnswerKind.ACKNOWLEDGED)
DOWN = Answer(AnswerKind.RETRY, "HTTP 503 Service Unavailable")
LATENCY = 0.05

Behave = Callable[[int, float], Answer]
"""The answer to a call's number at a time (seconds since the run began)."""


def down_until(end: float, begin: float = 0.0) -> Behave:
    """An outage."""
    return lambda _, now: DOWN if begin <= now < end else TAKEN


@dataclass
class Trip:
    """One run: every attempt as (time it left, number, whether it was taken), and how it ended.

    `most` is how many calls were in flight at most before the first was taken.
    """

    sent: list[tuple[float, int, bool]] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    ended: float = 0.0
    failure: KmError | None = None
    most: int = 0

    @property
    def failed(self) -> int:
        """How many attempts failed."""
        return sum(not taken for _, _, taken in self.sent)

    @property
    def outcomes(self) -> Counter[Outcome]:
        """How many calls ended how."""
        return Counter(receipt.outcome for receipt in self.receipts)

    def numbers(self, outcome: Outcome) -> list[int]:
        """The calls that ended so."""
        return sorted(one.call.number for one in self.receipts if one.outcome is outcome)


def planned_calls(numbers: range) -> list[PlannedCall]:
    """Calls without content."""
    return [PlannedCall("main", "user", b"/e?", b"", 1, 1, b"", b"", number, number) for number in numbers]


def travel(
    behave: Behave,
    calls: int,
    *,
    workers: int = 16,
    policy: Policy | None = None,
    seed: int = 0,
    window: int = 2000,
    is_wary: bool = False,
    latency: float = LATENCY,
) -> Trip:
    """Deliver so many calls; return what happened. Calls are submitted as a window has room."""
    now, submitted, trip = 0.0, 0, Trip()
    courier = Courier(policy or Policy(), Random(seed), now, Concurrency.fixed(workers), is_wary=is_wary)
    under_way: list[tuple[float, int, Request, Answer]] = []
    is_proven = False
    while True:
        more = planned_calls(range(submitted, min(calls, submitted + window - courier.unresolved)))
        submitted += len(more)
        courier.submit(more, now)
        trip.receipts += courier.take_receipts()
        while isinstance(found := courier.take(now), Request):
            number = found.calls[0].call.number
            answer = behave(number, now)
            heapq.heappush(under_way, (now + latency, len(trip.sent), found, answer))
            trip.sent.append((now, number, answer is TAKEN))
            trip.most = max(trip.most, 0 if is_proven else courier.in_flight)
        wait = found
        if courier.failure is not None or not courier.unresolved:
            break
        if under_way and under_way[0][0] <= now + wait:
            now, _, request, answer = heapq.heappop(under_way)
            courier.settle(request, answer, now)
            is_proven = is_proven or answer is TAKEN
        else:
            assert wait < math.inf, "nothing will ever happen again"
            now += max(wait, 1e-6)  # less may be lost in rounding, and time would stand still
    trip.receipts += courier.give_up()
    trip.ended, trip.failure = now, courier.failure
    return trip
