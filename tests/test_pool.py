"""The pool: breaker, patience and rate at work, and workers that neither hang nor die in silence."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from threading import Thread

import pytest

from km_cli.destinations.http import TrackerDestination
from km_cli.errors import LedgerFailed, Unavailable
from km_cli.model import Answer, AnswerKind, Outcome, PlannedCall, Record
from km_cli.protocols import Connection
from tests.support import tracker as t
from tests.support.delivering import (
    KEY,
    QUICK,
    Delivery,
    Hands,
    always,
    delivering,
    identities,
    planned_call,
    record,
)
from tests.support.patience import PATIENCE
from tests.support.tracker import Behave, Hit, Reaction, Tracker

ACKNOWLEDGED, PENDING = Outcome.ACKNOWLEDGED, Outcome.PENDING


pytestmark = pytest.mark.usefixtures("transport")


# Breaker, patience, rate


def test_an_open_breaker_lets_one_call_through_at_a_time(tracker: Tracker) -> None:
    policy = QUICK._replace(attempts=100, breaker_waits=(0.05,))
    with delivering(tracker, policy=policy, concurrency=8) as delivery:
        delivery.submit(1)
        delivery.run()
        tracker.behave = always(replace(t.UNAVAILABLE, delay=0.02))
        delivery.submit(100, first=1)
        before = 1 + 4 + 8 + 1
        """The first one, four failures, as many as may be in flight beside the fifth, and the first probe."""
        # On a busy machine a request that was taken before may come after the first probe.
        while len(tracker.seen) < before + 4 or tracker.unanswered[-4:] != [1] * 4:
            assert len(tracker.seen) < before + 8 + 40, tracker.unanswered
            time.sleep(0.005)
        assert delivery.pool.failure is None
    assert delivery.outcomes == {ACKNOWLEDGED: 1, PENDING: 100}


def test_after_an_acknowledged_probe_all_workers_send_again(tracker: Tracker) -> None:
    policy = QUICK._replace(attempts=10_000, breaker_waits=(0.05,))
    with delivering(tracker, policy=policy, concurrency=8) as delivery:
        delivery.submit(1)
        delivery.run()
        tracker.behave = always(t.UNAVAILABLE)
        delivery.submit(8, first=1)
        while not has_only_a_probe(delivery):
            time.sleep(0.005)
        tracker.behave = probe_then_together(7)
        assert delivery.run() is None, "the others go together: one after the other, they would wait for ever"
    assert delivery.outcomes == {ACKNOWLEDGED: 9}


def has_only_a_probe(delivery: Delivery) -> bool:
    """Tell whether the breaker is open, and no call is on its way that left before it opened."""
    courier = delivery.pool._courier
    with delivery.pool._lock:
        return courier._breaker.is_open and courier.in_flight <= 1


def probe_then_together(others: int) -> Behave:
    """Take one call, and answer the others when all of them have come."""
    probe: list[int] = []

    def behave(_hit: Hit, number: int) -> Reaction:
        if probe:
            return t.held(until=probe[0] + 1 + others)
        probe.append(number)
        return t.OK

    return behave


@pytest.mark.slow
def test_after_a_pause_all_workers_send_again(tracker: Tracker) -> None:
    """One worker watches the clock for all; it must wake the others."""
    tracker.behave = lambda _, number: t.held(until=1 + 8) if number else t.too_many("1")
    with delivering(tracker, concurrency=8) as delivery:
        delivery.submit(1)
        while not tracker.seen:
            time.sleep(0.005)
        time.sleep(0.1)
        delivery.submit(7, first=1)
        assert delivery.run() is None, "they go together: one after the other, they would wait for ever"
    assert len(tracker.hits) == 8


def test_patience_ends_the_run(tracker: Tracker) -> None:
    tracker.behave = always(t.UNAVAILABLE)
    with delivering(tracker, policy=QUICK._replace(attempts=10_000, patience=0.5)) as delivery:
        delivery.submit(3)
        failure = delivery.run()
    assert isinstance(failure, Unavailable)
    assert delivery.outcomes == {PENDING: 3}


def test_patience_ends_the_run_in_the_middle_of_a_long_wait(tracker: Tracker) -> None:
    tracker.behave = lambda _, number: t.too_many("299") if number else t.OK
    with delivering(tracker, policy=QUICK._replace(patience=0.5)) as delivery:
        delivery.submit(1)
        delivery.run()
        delivery.submit(1, first=1)
        assert isinstance(delivery.run(), Unavailable)


def test_an_idle_pool_does_not_run_out_of_patience(tracker: Tracker) -> None:
    clock = Hands()
    with delivering(tracker, policy=QUICK._replace(patience=60.0), clock=clock) as delivery:
        for first in (0, 5):
            clock.at += 61.0
            delivery.submit(5, first=first)
            assert delivery.run() is None
    assert delivery.outcomes == {ACKNOWLEDGED: 10}


def test_the_rate_spaces_calls(tracker: Tracker) -> None:
    """A busy machine makes it slower, and nothing makes it faster."""
    with delivering(tracker, concurrency=16, rate=50.0) as delivery:
        begun = time.monotonic()
        delivery.submit(20)
        assert delivery.run() is None
        assert time.monotonic() - begun > 0.9 * 19 / 50
    assert sorted(identities(tracker.seen)) == list(range(20))


# The pool itself


def test_a_worker_keeps_its_connection(tracker: Tracker) -> None:
    with delivering(tracker, concurrency=4) as delivery:
        delivery.submit(200)
        delivery.run()
    assert tracker.connections <= 4


def test_the_window_bounds_what_is_under_way(tracker: Tracker) -> None:
    with delivering(tracker, concurrency=2, window=10) as delivery:
        sent = 0
        while sent < 200:
            if delivery.pool.has_room():
                delivery.submit(5, first=sent)
                sent += 5
                assert sent - len(delivery.receipts) < 10 + 5 + 200
            else:
                delivery.receipts += delivery.pool.receipts(0.05)
        assert delivery.run() is None
    assert delivery.outcomes == {ACKNOWLEDGED: 200}


def test_room_is_noticed_at_once(tracker: Tracker) -> None:
    """The pipeline waits for room; it must not sleep on while the pool has nothing to send.

    If it did, it would sleep for longer than a test may take.
    """
    with delivering(tracker, concurrency=1, window=1) as delivery:
        for number in range(20):
            delivery.submit(1, first=number)
            while not delivery.pool.has_room():
                delivery.receipts += delivery.pool.receipts(PATIENCE)
    assert delivery.outcomes == {ACKNOWLEDGED: 20}


def test_finishing_waits_for_what_is_in_flight_and_sends_nothing_more(tracker: Tracker) -> None:
    tracker.behave = always(t.held())
    with delivering(tracker, concurrency=4) as delivery:
        delivery.submit(50)
        while len(tracker.seen) < 4:
            time.sleep(0.005)
        finishing = Thread(target=delivery.pool.finish_in_flight, args=[PATIENCE])
        finishing.start()
        while not delivery.pool._draining:
            time.sleep(0.005)
        tracker.answer_all()
        finishing.join()
        delivery.receipts += delivery.pool.close()
    assert len(tracker.seen) == 4
    assert delivery.outcomes == {ACKNOWLEDGED: 4, PENDING: 46}


def test_finishing_has_an_end(tracker: Tracker) -> None:
    tracker.behave = always(t.held())
    with delivering(tracker, concurrency=4) as delivery:
        delivery.submit(50)
        while len(tracker.seen) < 4:
            time.sleep(0.005)
        delivery.pool.finish_in_flight(0.2)
        delivery.receipts += delivery.pool.close()
    assert delivery.outcomes == {PENDING: 50}


class Broken:
    """A destination whose connection, or whose sending, raises."""

    at_once = 3
    workers = 100

    def __init__(self, error: Exception, *, connects: bool) -> None:
        self._error = error
        self._connects = connects

    def encode(self, call: Record, second: int) -> bytes:
        return f"{call.identity}{second}".encode()

    def connect(self) -> Connection:
        if not self._connects:
            raise self._error
        return self

    def send(self, planned_calls: Sequence[PlannedCall]) -> Answer:  # noqa: ARG002
        raise self._error

    def close(self) -> None:
        pass


@pytest.mark.parametrize("connects", [True, False])
@pytest.mark.parametrize("error", [LedgerFailed("the disk is full", "make room"), KeyError(f"_k={KEY}")])
def test_an_error_in_a_worker_ends_the_run(error: Exception, *, connects: bool) -> None:
    with delivering(Broken(error, connects=connects)) as delivery:
        delivery.submit(10)
        failure = delivery.run()
        delivery.end()
        assert delivery.pool._courier.in_flight == 0
    assert failure is not None
    assert failure is error or isinstance(failure, Unavailable)
    assert KEY not in str(failure)
    assert delivery.outcomes == {PENDING: 10}


class Batched:
    """A destination that takes three at once and fails now and then."""

    at_once = 3
    workers = 2

    def __init__(self) -> None:
        self.sent: list[list[int]] = []

    def encode(self, call: Record, second: int) -> bytes:
        return f"{call.identity}{second}".encode()

    def connect(self) -> Connection:
        return self

    def send(self, planned_calls: Sequence[PlannedCall]) -> Answer:
        self.sent.append([one.number for one in planned_calls])
        return Answer(AnswerKind.RETRY if len(self.sent) % 4 == 2 else AnswerKind.ACKNOWLEDGED)

    def close(self) -> None:
        pass


def test_several_at_once_have_one_answer() -> None:
    destination = Batched()
    with delivering(destination) as delivery:
        delivery.submit(50)
        assert delivery.run() is None
    assert delivery.outcomes == {ACKNOWLEDGED: 50}
    assert [0, 1, 2] in destination.sent
    assert max(map(len, destination.sent)) == 3
    assert delivery.pool.retried == sum(map(len, destination.sent)) - 50


def test_two_sites_keep_their_keys(tracker: Tracker) -> None:
    destination = TrackerDestination(tracker.url, {"main": "one", "other": "two"})
    with delivering(destination, concurrency=1) as delivery:
        calls = [record(number, site=("main", "other")[number % 2]) for number in range(6)]
        delivery.pool.submit([planned_call(destination, number, call) for number, call in enumerate(calls)])
        delivery.run()
    assert [hit.params["_k"] for hit in tracker.seen] == ["one", "two"] * 3
