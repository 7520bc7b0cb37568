"""A pool in this process: real workers, a real destination, with very short waits."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from km_cli.delivery import Concurrency, Courier, Driver, OneThread, Policy, Pool
from km_cli.destinations.http import TrackerDestination
from km_cli.errors import KmError
from km_cli.model import NANOSECONDS, Answer, Outcome, PlannedCall, Receipt, Record
from km_cli.protocols import Clock, Connection, Destination, ManyAtOnce, Transfers
from km_cli.run.clock import SystemClock
from tests.support.patience import PATIENCE
from tests.support.tracker import OK, Behave, Hit, Reaction, Tracker

KEY = "0123456789abcdef"
TRANSPORT = "requests"
"""The library that sends; the fixture `transport` sets it."""
SECOND = 1_700_000_000
QUICK = Policy(
    backoff=0.002, backoff_cap=0.01, budget_per_second=1000.0, breaker_waits=(0.05,), unproven=1000
)


def record(number: int, **changes: Any) -> Record:
    """A call that no other is like."""
    call = Record("main", "user", f"u{number}@x.example", "", "Did it", SECOND * NANOSECONDS, (), "")
    return call._replace(**changes)


def planned_calls(destination: Destination, count: int, first: int = 0) -> list[PlannedCall]:
    """Calls as they lie in the outbox, each of a person of its own."""
    return [planned_call(destination, number, record(number)) for number in range(first, first + count)]


def planned_call(destination: Destination, number: int, call: Record) -> PlannedCall:
    """One call as it lies in the outbox."""
    payload = destination.encode(call, call.second)
    return PlannedCall(call.site, call.persona, payload, b"", call.second, 0, b"", b"", number, number)


class Hands:
    """A clock whose hands a test moves; between its moves no time passes."""

    at = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        return self.at

    def monotonic(self) -> float:
        """Seconds that go on when the test says so."""
        return self.at


class OneByOne:
    """Transfers as if they were a connection, which sends one call after the other."""

    at_once = 1

    def __init__(self, transfers: Transfers) -> None:
        self._transfers = transfers

    def send(self, calls: Sequence[PlannedCall]) -> Answer:
        """Send a call, and wait for its answer."""
        (call,) = calls
        self._transfers.start(call)
        while not (found := self._transfers.step(1.0)):
            pass
        ((number, answer),) = found
        assert number == call.number
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._transfers.close()


def connected(destination: Destination) -> Connection:
    """Return a connection by the library that the fixture `transport` has chosen."""
    if TRANSPORT == "curl" and isinstance(destination, ManyAtOnce):
        return OneByOne(destination.transfers(1))
    return destination.connect()


@dataclass
class Delivery:
    """A pool and what came out of it so far."""

    pool: Driver
    destination: Destination
    receipts: list[Receipt] = field(default_factory=list)

    def submit(self, count: int, first: int = 0) -> None:
        """Hand over so many calls."""
        self.pool.submit(planned_calls(self.destination, count, first))

    def run(self) -> KmError | None:
        """Wait until all have receipts or the pool stops; return why it stopped."""
        until = time.monotonic() + PATIENCE
        while not self.pool.is_idle and self.pool.failure is None:
            assert time.monotonic() < until, "the pool hangs"
            self.receipts += self.pool.receipts(0.05)
        return self.pool.failure

    def end(self) -> None:
        """What is in flight finishes; what has no receipt is pending."""
        self.pool.finish_in_flight(PATIENCE)
        self.receipts += self.pool.close()

    @property
    def outcomes(self) -> Counter[Outcome]:
        """How many calls ended how."""
        return Counter(receipt.outcome for receipt in self.receipts)

    def numbers(self, outcome: Outcome) -> list[int]:
        """The calls that ended so, in order."""
        return sorted(one.call.number for one in self.receipts if one.outcome is outcome)


@contextmanager
def delivering(
    to: Tracker | Destination,
    *,
    policy: Policy = QUICK,
    concurrency: int = 8,
    adapts: bool = False,
    clock: Clock | None = None,
    **more: Any,
) -> Iterator[Delivery]:
    """A pool that is ended with the block; then every call must have one receipt."""
    destination = TrackerDestination(to.url, {"main": KEY}) if isinstance(to, Tracker) else to
    clock, window = clock or SystemClock(), more.pop("window", 1000)
    most = min(concurrency, destination.workers)
    limit = Concurrency(most) if adapts else Concurrency.fixed(most)
    courier = Courier(policy, Random(0), clock.monotonic(), limit, at_once=destination.at_once, **more)
    pool: Driver
    if TRANSPORT == "curl" and isinstance(destination, ManyAtOnce):
        pool = OneThread(destination.transfers(concurrency), courier, clock, window=window)
    else:
        pool = Pool(destination, courier, clock, window=window)
    delivery = Delivery(pool, destination)
    try:
        yield delivery
    finally:
        if not any(receipt for receipt in delivery.receipts if receipt.reason == "not sent"):
            delivery.end()
    counts = Counter(receipt.call.number for receipt in delivery.receipts)
    assert set(counts.values()) <= {1}, "a call has two receipts"


def identities(hits: Sequence[Any]) -> list[int]:
    """The numbers of the calls that these requests carry, in order."""
    return [int(hit.params["_p"][1:].partition("@")[0]) for hit in hits]


def once(reaction: Reaction) -> Behave:
    """Each call meets this the first time, and is taken the second."""
    met: set[str] = set()

    def behave(hit: Hit, _number: int) -> Reaction:
        if hit.params["_p"] in met:
            return OK
        met.add(hit.params["_p"])
        return reaction

    return behave


def only(number: int, reaction: Reaction) -> Behave:
    """One call meets this always."""
    return lambda hit, _: reaction if hit.params["_p"] == f"u{number}@x.example" else OK


def always(reaction: Reaction) -> Behave:
    """Every call meets this."""
    return lambda _hit, _number: reaction
