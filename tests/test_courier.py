"""Outages in virtual time: how long a run takes, how many attempts fail, and which call waits for which."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from km_cli.delivery.concurrency import Concurrency
from km_cli.delivery.courier import Courier, Request
from km_cli.delivery.policy import Policy
from km_cli.errors import ComeBackLater, Outage
from km_cli.model import Answer, AnswerKind, Outcome
from tests.support.drawing import examples
from tests.support.virtual import DOWN, LATENCY, TAKEN, Behave, Trip, down_until, planned_calls, travel

ACKNOWLEDGED, PENDING = Outcome.ACKNOWLEDGED, Outcome.PENDING
SEEDS = range(examples(8))
PATIENCE = Policy().patience


def never(*numbers: int) -> Behave:
    """These calls are never taken."""
    return lambda number, _: DOWN if number in numbers else TAKEN


def attempts(trip: Trip) -> Counter[int]:
    """How many attempts at each call failed."""
    return Counter(number for _, number, taken in trip.sent if not taken)


# Short outages


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("workers", [1, 16, 200])
def test_a_second_of_503_at_the_start_takes_a_few_waits(workers: int, seed: int) -> None:
    """A hundred rows; the calls that failed are not paid for at one a second."""
    trip = travel(down_until(1.0), 200, workers=workers, seed=seed)
    assert trip.outcomes == {ACKNOWLEDGED: 200}
    assert trip.failed <= 5 + 10
    assert trip.ended < 1.0 + 0.5 + 1.0 + 2.0 + 4.0 + 200 / workers * 2 * LATENCY


@pytest.mark.parametrize("seed", SEEDS)
def test_a_second_of_503_midway_takes_a_few_waits(seed: int) -> None:
    without = travel(lambda *_: TAKEN, 2000, seed=seed).ended
    trip = travel(down_until(3.0, begin=2.0), 2000, seed=seed)
    assert trip.outcomes == {ACKNOWLEDGED: 2000}
    assert trip.failed <= 16 + 5 + 10
    assert trip.ended < without + 1.0 + 8.0


@pytest.mark.parametrize("workers", [1, 3, 16, 1000])
def test_until_the_first_acknowledgement_at_most_four_are_in_flight(workers: int) -> None:
    trip = travel(lambda *_: TAKEN, 5000, workers=workers)
    assert trip.most == min(4, workers)
    late = [left for left, _, _ in trip.sent if left >= LATENCY]
    assert late.count(LATENCY) == min(workers, 2000), "then everyone goes"


def test_a_rejected_call_is_no_acknowledgement() -> None:
    refused = Answer(AnswerKind.REJECTED, "HTTP 400")
    trip = travel(lambda number, _: refused if number < 4 else TAKEN, 50)
    assert trip.most == 4
    assert trip.outcomes == {Outcome.REJECTED: 4, ACKNOWLEDGED: 46}


# Long outages


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("begin", [0.0, 60.0])
def test_fifteen_minutes_without_an_acknowledgement_end_the_run(begin: float, seed: int) -> None:
    trip = travel(down_until(3600.0, begin=begin), 100_000 if begin else 100, seed=seed)
    assert isinstance(trip.failure, Outage)
    assert str(trip.failure) == "nothing was acknowledged for 15 minutes: HTTP 503 Service Unavailable"
    assert trip.ended == pytest.approx(begin + PATIENCE, abs=2 * LATENCY)
    assert trip.failed <= 16 + 5 + 5 + 5


@pytest.mark.parametrize("seed", range(5))
def test_an_hour_of_outage_costs_a_tenth_and_fifty(seed: int) -> None:
    """Runs follow on one another, as a person or cron starts them: the first gives up after 15 minutes."""
    calls, at, sent = 1000, 0.0, 0
    first = travel(down_until(3600.0, begin=1.0), calls, seed=seed)
    left, sent, at = calls - first.outcomes[ACKNOWLEDGED], len(first.sent), first.ended
    waits = iter((30.0, 60.0, 120.0, 240.0, *[300.0] * 20))
    while left:
        at += next(waits)
        trip = travel(down_until(3600.0 - at), left, seed=seed, is_wary=True)
        left, sent, at = left - trip.outcomes[ACKNOWLEDGED], sent + len(trip.sent), at + trip.ended
    assert sent - calls <= calls * 0.1 + 50
    assert sent - calls < 80, "far fewer: 3 a run, once it is known"


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("minutes", [1, 5, 12])
def test_an_outage_within_patience_leaves_nothing_pending(minutes: int, seed: int) -> None:
    """Probes go through the pending calls in turn: no call uses its attempts up for the others."""
    trip = travel(down_until(60.0 * minutes), 20, seed=seed)
    assert trip.outcomes == {ACKNOWLEDGED: 20}
    assert max(attempts(trip).values()) - min(attempts(trip)[number] for number in range(20)) <= 2


class Drawn(Random):
    """Draws these fractions of the range, one after the other."""

    def __init__(self, *fractions: float) -> None:
        super().__init__(0)
        self._fractions = iter(fractions)

    def uniform(self, a: float, b: float) -> float:
        return a + (b - a) * next(self._fractions)


def test_a_probe_is_no_calls_last_attempt_while_another_call_has_more() -> None:
    """Call 0 has failed twice, call 1 once; 0 has been due for longer, and 1 is the probe."""
    policy = Policy(attempts=3, breaker_failures=3)
    courier = Courier(policy, Drawn(0.0, 0.7, 1.0, 1.0), 0.0, Concurrency.fixed(1))

    def sent(now: float) -> int:
        request = courier.take(now)
        assert isinstance(request, Request)
        courier.settle(request, DOWN if now < 2.0 else TAKEN, now)
        return request.calls[0].call.number

    courier.submit(planned_calls(range(1)), 0.0)
    assert [sent(0.0), sent(0.0)] == [0, 0]
    courier.submit(planned_calls(range(1, 2)), 0.6)
    assert sent(0.6) == 1
    assert courier.take(1.0) == pytest.approx(0.1)
    assert [sent(2.0), sent(2.0)] == [1, 0]
    assert courier.unresolved == 0


# Calls that are never taken


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_calls_that_are_never_taken_hold_up_no_other(count: int, seed: int) -> None:
    """They stand first, and every probe of theirs fails; the others go on between."""
    trip = travel(never(*range(count)), 1000, seed=seed)
    assert trip.numbers(PENDING) == list(range(count))
    others = max(left for left, number, _ in trip.sent if number >= count)
    assert others < 30.0
    assert max(attempts(trip).values()) <= 10


@pytest.mark.parametrize("workers", [1, 4])
def test_half_of_all_calls_never_taken_hold_up_no_other(workers: int) -> None:
    trip = travel(never(*range(0, 200, 2)), 200, workers=workers)
    assert set(range(1, 200, 2)) <= set(trip.numbers(ACKNOWLEDGED))


def test_one_that_is_never_taken_is_pending_after_its_attempts_and_its_backoff() -> None:
    trip = travel(never(0), 100)
    assert (trip.failure, trip.numbers(PENDING)) == (None, [0])
    assert attempts(trip)[0] == 10
    assert trip.ended < 120.0


def test_after_an_outage_the_first_calls_are_not_tried_by_every_run() -> None:
    """Three that are never taken would else hold up all others for ever."""
    trips = [travel(never(0, 1, 2), 6, seed=seed, is_wary=True) for seed in range(100)]
    ended_well = sum(set(trip.numbers(ACKNOWLEDGED)) == {3, 4, 5} for trip in trips)
    assert ended_well > 80
    assert all(isinstance(trip.failure, Outage) for trip in trips if not trip.numbers(ACKNOWLEDGED))


# What is pending says why


def test_a_pending_call_has_its_last_failure_as_the_reason() -> None:
    trip = travel(lambda *_: DOWN, 7)
    reasons = Counter(receipt.reason for receipt in trip.receipts)
    assert set(reasons) == {DOWN.reason}
    assert trip.outcomes == {PENDING: 7}


def test_a_long_retry_after_ends_the_run_at_once() -> None:
    asked = Answer(AnswerKind.RETRY, "HTTP 429 Too Many Requests", 301.0)
    trip = travel(lambda *_: asked, 7)
    assert isinstance(trip.failure, ComeBackLater)
    assert "429" in str(trip.failure)
    assert len(trip.sent) <= 4


def test_retry_after_is_a_floor_for_all() -> None:
    asked = Answer(AnswerKind.RETRY, "HTTP 429 Too Many Requests", 100.0)
    trip = travel(lambda _, now: asked if now < 50 else TAKEN, 50)
    assert trip.outcomes == {ACKNOWLEDGED: 50}
    between = [left for left, _, _ in trip.sent if 2 * LATENCY < left < 100.0]
    assert not between


# What is wrong at the moment


def courier_of(calls: int) -> Courier:
    courier = Courier(Policy(), Random(1), 0.0, Concurrency.fixed(4))
    courier.submit(planned_calls(range(1, calls + 1)), 0.0)
    return courier


def sent(courier: Courier, now: float) -> Request:
    request = courier.take(now)
    assert isinstance(request, Request)
    return request


def test_no_trouble_while_calls_get_through() -> None:
    courier = courier_of(3)
    assert courier.trouble(0.0) is None
    courier.settle(sent(courier, 0.0), TAKEN, 1.0)
    assert courier.trouble(1.0) is None


def test_trouble_has_its_cause_its_beginning_and_the_next_try() -> None:
    courier = courier_of(20)
    for second in range(5):
        courier.settle(sent(courier, float(second)), DOWN, float(second))
    trouble = courier.trouble(4.0)
    assert trouble is not None
    assert (trouble.reason, trouble.since, trouble.is_asked) == (DOWN.reason, 0.0, False)
    assert trouble.until is not None
    assert trouble.until == pytest.approx(4.0 + float(courier.take(4.0)))  # type: ignore[arg-type]
    probe = sent(courier, trouble.until)
    later = courier.trouble(trouble.until)
    assert later is not None
    assert later.until is None, "the answer to the probe is awaited"
    courier.settle(probe, TAKEN, 9.0)
    assert courier.trouble(9.0) is None


def test_a_wait_that_was_asked_for_is_trouble_although_calls_got_through_since() -> None:
    courier = courier_of(5)
    busy, other = sent(courier, 0.0), sent(courier, 0.0)
    courier.settle(busy, DOWN._replace(retry_after=40.0), 0.0)
    courier.settle(other, TAKEN, 1.0)
    trouble = courier.trouble(1.0)
    assert trouble is not None
    assert (trouble.is_asked, trouble.until) == (True, 40.0)
    assert courier.trouble(41.0) is None


def test_nothing_is_wrong_when_nothing_is_left_to_send() -> None:
    courier = courier_of(1)
    courier.settle(sent(courier, 0.0), DOWN, 0.0)
    courier.give_up()
    assert courier.trouble(1.0) is None
