"""The retry table's numbers: every wait and every stop, with the time passed in."""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from km_cli.delivery.policy import Breaker, Budget, Pacing, Policy, backoff
from km_cli.delivery.stops import Stops
from km_cli.errors import Exit
from km_cli.model import Answer, AnswerKind

POLICY = Policy()
BAD = Answer(AnswerKind.REJECTED, "HTTP 400")
HTML = Answer(AnswerKind.NOT_AN_IMAGE, "a page")
NOWHERE = Answer(AnswerKind.UNREACHED, "refused")
BUSY = Answer(AnswerKind.RETRY, "HTTP 503")


class Ends(Random):
    """Always draws one end of the range."""

    def __init__(self, *, high: bool) -> None:
        super().__init__()
        self._high = high

    def uniform(self, a: float, b: float) -> float:
        return b if self._high else a


# backoff: random(0, min(30 s, 0.5 s · 2^(n-1)))


@pytest.mark.parametrize(
    ("attempt", "longest"), [(1, 0.5), (2, 1), (3, 2), (4, 4), (5, 8), (6, 16), (7, 30), (8, 30), (5000, 30)]
)
def test_backoff_doubles_up_to_its_cap(attempt: int, longest: float) -> None:
    assert backoff(POLICY, attempt, Ends(high=True)) == longest
    assert backoff(POLICY, attempt, Ends(high=False)) == 0.0


def test_backoff_uses_the_whole_range() -> None:
    draws = [backoff(POLICY, 3, Random(number)) for number in range(1000)]
    assert min(draws) < 0.1
    assert max(draws) > 1.9
    assert 0.9 < sum(draws) / 1000 < 1.1


# Budget: 50 in hand, one more each second, one per ten acknowledgements


def spend(budget: Budget, now: float) -> int:
    """Spend all that can be spent at this moment."""
    spent = 0
    while budget.wait(now) == 0.0:
        budget.spend(now)
        spent += 1
    return spent


def test_a_budget_begins_with_fifty() -> None:
    budget = Budget(POLICY, 7.0)
    assert spend(budget, 7.0) == 50
    assert budget.wait(7.0) == pytest.approx(1.0)
    assert budget.wait(7.75) == pytest.approx(0.25)
    assert budget.wait(8.0) == pytest.approx(0.0)


def test_ten_acknowledgements_earn_one_retry() -> None:
    budget = Budget(POLICY, 0.0)
    spend(budget, 0.0)
    budget.acknowledged(10)
    assert spend(budget, 0.0) == 1
    budget.acknowledged(9)
    assert budget.wait(0.0) == pytest.approx(0.1)


@given(st.lists(st.tuples(st.floats(0, 1000), st.integers(0, 10_000)), max_size=20))
def test_a_budget_never_holds_more_than_fifty(steps: list[tuple[float, int]]) -> None:
    budget, now = Budget(POLICY, 0.0), 0.0
    for seconds, calls in steps:
        now += seconds
        budget.acknowledged(calls)
    assert spend(budget, now) == 50


@given(
    st.lists(
        st.one_of(st.just("spend"), st.floats(0.01, 5).map(float), st.integers(1, 30)),
        min_size=1,
        max_size=60,
    )
)
def test_no_more_is_spent_than_was_earned(steps: list[str | float | int]) -> None:
    budget, now, earned, spent = Budget(POLICY, 0.0), 0.0, 50.0, 0
    for step in steps:
        if isinstance(step, str):
            spent += spend(budget, now)
        elif isinstance(step, int):
            budget.acknowledged(step)
            earned += step * 0.1
        else:
            now += step
            earned += step
        assert spent <= earned + 1e-6


# Breaker


def seen(*answers: bool, longest: bool = True) -> Breaker:
    """A breaker that has seen these answers (True: acknowledged), a millisecond apart.

    Its waits are the longest that the backoff allows, or none at all.
    """
    breaker = Breaker(POLICY, 0.0, Ends(high=longest))
    for number, answer in enumerate(answers, 1):
        if answer:
            breaker.acknowledged(number / 1000)
        else:
            breaker.failed(number / 1000)
    return breaker


@pytest.mark.parametrize(
    ("answers", "is_open"),
    [
        ([False] * 4, False),
        ([False] * 5, True),
        ([False] * 4 + [True] + [False] * 4, False),
        ([True, False] * 9 + [True], False),  # 19 answers: not twenty yet
        ([True, False] * 10, True),  # twenty, ten of them failures
        ([False, True] * 9 + [False, False], True),
        ([True, True, False] * 20, False),
        ([True] * 200 + [True, False] * 9, False),
        ([True] * 200 + [True, False] * 10, True),  # the last twenty count
    ],
)
def test_five_in_a_row_or_half_of_the_last_twenty_open_it(answers: list[bool], *, is_open: bool) -> None:
    breaker = seen(*answers)
    assert breaker.is_open is is_open
    assert (breaker.wait(len(answers) / 1000) > 0.0) is is_open


def test_it_is_in_force_from_the_first_call_on() -> None:
    assert seen(*[False] * 5).is_open


def test_probes_wait_as_retries_do_and_after_five_failed_ones_30_60_120_240_and_300_seconds() -> None:
    breaker = seen(*[False] * 4)
    now = 0.0
    breaker.failed(now)
    for wait in (0.5, 1.0, 2.0, 4.0, 8.0, 30.0, 60.0, 120.0, 240.0, 300.0, 300.0):
        assert breaker.wait(now) == wait
        assert breaker.wait(now + wait / 4) == wait * 3 / 4
        now += wait
        assert breaker.wait(now) == 0.0
        assert breaker.start_probe()
        assert breaker.wait(now + 1000) == math.inf, "one at a time"
        now += 5.0
        breaker.failed(now, probe=True)


def test_the_first_waits_use_the_whole_range() -> None:
    breaker = seen(*[False] * 5, longest=False)
    for _ in range(4):
        assert breaker.wait(0.005) == 0.0
        breaker.start_probe()
        breaker.failed(0.005, probe=True)
    breaker.start_probe()
    breaker.failed(0.005, probe=True)
    assert breaker.wait(0.005) == pytest.approx(30.0), "the long ones are what they are"


def test_an_acknowledged_probe_closes_it_and_the_waits_begin_anew() -> None:
    breaker = seen(*[False] * 5)
    for now in (40.0, 110.0):
        assert breaker.start_probe()
        breaker.failed(now, probe=True)
    breaker.start_probe()
    breaker.acknowledged(300.0)
    assert not breaker.is_open
    assert not breaker.start_probe()
    for _ in range(5):
        assert breaker.wait(301.0) == 0.0, "what failed before is forgotten"
        breaker.failed(301.0)
    assert breaker.wait(301.0) == 0.5


def test_what_was_in_flight_when_it_opened_does_not_lengthen_the_wait() -> None:
    breaker = seen(*[False] * 5)
    for _ in range(15):
        breaker.failed(0.3)
    assert breaker.wait(0.3) == pytest.approx(0.2, abs=0.01)
    breaker.start_probe()
    breaker.failed(0.6)
    assert breaker.wait(0.6) == math.inf, "a straggler is not the probe"


def test_a_rejected_probe_is_followed_by_the_next_at_once() -> None:
    breaker = seen(*[False] * 5)
    breaker.start_probe()
    breaker.answered(probe=False)
    assert breaker.wait(31.0) == math.inf
    breaker.answered(probe=True)
    assert breaker.wait(31.0) == 0.0
    assert breaker.is_open


def test_patience_ends_fifteen_minutes_after_the_last_acknowledgement() -> None:
    breaker = Breaker(POLICY, 100.0, Random(0))
    assert breaker.patience(100.0) == 900.0
    breaker.failed(500.0)
    assert breaker.patience(999.0) == 1.0
    assert breaker.patience(1000.0) == 0.0
    breaker.acknowledged(1000.0)
    assert breaker.patience(1000.0) == 900.0
    assert breaker.patience(5000.0) == 0.0
    breaker.start_patience(5000.0)
    assert breaker.patience(5000.0) == 900.0, "time without a call to send does not count"


# Pacing


@given(
    st.floats(0.5, 1000),
    st.lists(st.tuples(st.floats(0, 3), st.integers(1, 5)), min_size=1, max_size=50),
)
def test_no_second_holds_more_calls_than_the_rate(rate: float, steps: list[tuple[float, int]]) -> None:
    pacing, now = Pacing(rate, 0.0), 0.0
    went: list[tuple[float, int]] = []
    for late, calls in steps:
        now += pacing.wait(now) + late
        pacing.sent(now, calls)
        went.append((now, calls))
    for (before, calls), (after, _) in pairwise(went):
        assert after - before >= calls / rate - 1e-6


def test_without_a_rate_nothing_waits() -> None:
    pacing = Pacing(None, 0.0)
    pacing.sent(0.0, 10_000)
    assert pacing.wait(0.0) == 0.0


# Stops


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([HTML, HTML], None),
        ([HTML, HTML, HTML], Exit.UNAVAILABLE),
        ([HTML, HTML, BUSY, HTML, HTML], None),
        ([HTML, HTML, None, HTML], None),
        ([None, HTML, HTML, HTML], Exit.UNAVAILABLE),
        ([NOWHERE, NOWHERE], None),
        ([NOWHERE, BUSY, NOWHERE, BUSY, NOWHERE], Exit.UNAVAILABLE),
        ([None] + [NOWHERE] * 50, None),
        ([NOWHERE, NOWHERE, None, NOWHERE, NOWHERE], None),
        ([BAD] * 4, None),
        ([BAD] * 5, Exit.UNAVAILABLE),
        ([BAD, BUSY] * 4, None),
        ([BAD, BUSY] * 4 + [BAD], Exit.UNAVAILABLE),
        ([BAD] * 4 + [None] + [BAD] * 4, None),
        ([HTML, HTML, BAD, HTML], None),
        ([BUSY] * 100, None),
        ([BUSY._replace(retry_after=300.0)], None),
        ([BUSY._replace(retry_after=301.0)], Exit.TEMPORARY),
        ([None, NOWHERE, BUSY._replace(retry_after=3600.0)], Exit.TEMPORARY),
    ],
)
def test_which_answers_end_the_run(answers: list[Answer | None], code: Exit | None) -> None:
    """None is an acknowledgement; only the last answer may end it."""
    stops, ends = Stops(POLICY), []
    for answer in answers:
        if answer is None:
            stops.acknowledged()
        else:
            ends.append(stops.rejected(answer) if answer is BAD else stops.failed(answer))
    assert not any(ends[:-1])
    assert (ends[-1].exit if ends[-1] else None) == code


def test_refused_as_a_whole_ends_it_at_once_and_says_why() -> None:
    error = Stops(POLICY).refused(Answer(AnswerKind.REFUSED, "HTTP 403 Forbidden"))
    assert (error.exit, str(error)) == (Exit.UNAVAILABLE, "HTTP 403 Forbidden")
    assert "run the same command again" in error.hint
