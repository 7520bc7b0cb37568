"""Rows that do nothing but state properties: sent at their moment, and known when they come again."""

from __future__ import annotations

import pytest

from km_cli.model import NANOSECONDS, Overlap, RowPlan, Set
from km_cli.planning.digests import digest
from tests.test_planner import SECOND, Log, reasons
from tests.test_sets import found, sent, values


@pytest.fixture
def log() -> Log:
    """Readings over plain slots."""
    return Log()


def state(log: Log, second: float = 0, line: int = 0, **properties: str) -> RowPlan:
    """Plan a row that states properties, so many seconds after the start."""
    moment = SECOND * NANOSECONDS + int(second * NANOSECONDS)
    return log.plan(Set("main", "user", "ada", "ada", moment, tuple(properties.items()), True), line=line)


def test_each_row_is_sent_at_its_moment(log: Log) -> None:
    """Also with the value before it: Kissmetrics may have got another one in between."""
    plans = [state(log, at, plan=value) for at, value in [(0, "pro"), (5, "team"), (6, "team"), (9, "pro")]]
    assert values(*plans) == [(0, "pro"), (5, "team"), (6, "team"), (9, "pro")]


def test_rows_of_one_moment_are_known_when_they_come_again(log: Log) -> None:
    rows = ["pro", "team", "pro", "pro"]
    assert values(*(state(log, plan=value) for value in rows)) == [(0, "pro"), (1, "team"), (2, "pro")]
    log.begin()
    assert sent(*(state(log, plan=value) for value in rows)) == []
    assert values(state(log, plan="free")) == [(3, "free")]  # All others are matched, so it is one more.


def test_rows_of_one_second_follow_one_another(log: Log) -> None:
    """The last one of the log is the last one in Kissmetrics, though its own second has an equal value."""
    plans = [state(log, at, plan=value) for at, value in [(0.1, "pro"), (0.5, "team"), (0.9, "pro")]]
    assert values(*plans) == [(0, "pro"), (1, "team"), (2, "pro")]


def test_ten_rows_of_one_account_say_the_same_once(log: Log) -> None:
    plans = [state(log, plan="pro") for _ in range(10)]
    assert (values(*plans), found(*plans)) == ([(0, "pro")], [])


@pytest.mark.parametrize(
    ("overlap", "taken", "code"),
    [(Overlap.ASK, [], "conflict"), (Overlap.REPEATS, [], ""), (Overlap.SEPARATE, [1], "")],
)
def test_another_reading_with_other_values(log: Log, overlap: Overlap, taken: list[int], code: str) -> None:
    state(log, plan="pro")
    log.begin()
    log.readings.overlaps = overlap
    again = state(log, plan="max")
    assert [second for second, _ in sent(again)] == taken
    assert [reason for reason, _ in reasons(again)] == [code] * bool(code)
    assert ("changed" in found(again)) is (overlap is Overlap.REPEATS)
    assert "''" not in "".join(finding.message for finding in again.findings)


def test_a_row_that_was_matched_is_no_conflict(log: Log) -> None:
    """A later row of the moment is one more, as it is for events."""
    state(log, plan="pro")
    log.begin()
    assert values(state(log, plan="pro"), state(log, plan="max")) == [(1, "max")]


def test_a_line_that_is_read_again_repeats(log: Log) -> None:
    """With other values, too: its end was not there yet, or it is a reject that was corrected once more."""
    state(log, plan="pro", line=7)
    again = state(log, plan="max", line=7)
    assert (sent(again), found(again)) == ([], ["changed"])
    log.begin()
    log.readings.read_again = {7}
    assert sent(state(log, plan="max", line=7)) == []


def test_a_column_that_came_or_went_is_no_conflict(log: Log) -> None:
    """The new property is sent; a row that lacks one is known."""
    state(log, plan="pro")
    log.begin()
    assert sent(state(log, plan="pro", city="Rome")) == [(0, (("plan", "pro"), ("city", "Rome")))]
    log.begin()
    assert sent(state(log, city="Rome"), state(log, plan="pro", city="Rome")) == []


def test_a_reading_that_is_passed_over_is_not_matched(log: Log) -> None:
    """As --as-new says."""
    state(log, plan="pro")
    log.begin()
    log.readings.passed_over = {1}
    assert values(state(log, plan="pro")) == [(0, "pro")]


def test_a_row_that_format_4_has_sent_is_known(log: Log) -> None:
    """It is known there by its second and its properties, without its moment."""
    planned = state(log, 0.5, plan="pro").planned[0]
    slot = log.slots.slot(planned.person, planned.second)
    (known_call,) = slot.known
    old = known_call._replace(deed=digest(8, "ada", "stated"))
    log.slots.put(planned.person, planned.second, slot._replace(known=(old,)))
    log.begin()
    assert sent(state(log, 0.5, plan="pro")) == []
    assert values(state(log, 0.5, plan="max")) == [(1, "max")]
