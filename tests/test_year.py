"""The simulated year sees that something grows though nothing happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from km_cli.run.sending import Sending
from tests.proof.year import Year

pytestmark = pytest.mark.slow


@pytest.fixture
def year(tmp_path: Path) -> Year:
    """A machine on which some days have passed."""
    year = Year(tmp_path)
    year.pass_days(days=3)
    return year


def test_a_week_without_news_leaves_all_as_it_is(year: Year) -> None:
    assert year.owed.calls
    assert not year.owed.missing()
    year.rest_for_a_week()


def test_parts_of_a_run_that_stay_in_memory_are_seen(year: Year, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Sending] = []
    make = Sending.__init__

    def keeping(sending: Sending, *arguments: Any, **more: Any) -> None:
        kept.append(sending)
        make(sending, *arguments, **more)

    monkeypatch.setattr(Sending, "__init__", keeping)
    with pytest.raises(AssertionError, match="more blocks of memory"):
        year.rest_for_a_week()
    assert kept


def test_a_call_that_is_lost_is_seen(year: Year) -> None:
    """The destination answers as if it had the call."""
    calls = year.world.destination.calls
    year.log(count=1, cut=0, spoilt=9)
    year.world.destination.calls = Forgetful(calls)
    with pytest.raises(AssertionError, match="lost: "):
        year.teardown()


def test_calls_whose_answers_were_lost_may_come_again_until_none_is_pending(tmp_path: Path) -> None:
    """The destination tells the first run to come back later, so that the second one sends nothing."""
    year = Year(tmp_path)
    year.deliver_late(count=4, late=0.0)
    year.rotate()
    year.misbehave(lost=0.5, broken=0.6, throttled=0.1, page=0.0)
    year.backfill(hours=0.0, kill=None)
    year.recover()
    arrived = len(year.world.destination.calls)
    year.backfill(hours=0.0, kill=None)
    assert len(year.world.destination.calls) == arrived
    year.retry(kill=None)
    assert len(year.world.destination.calls) > len(year.owed)
    year.teardown()


def test_rows_that_come_late_have_seconds_of_their_own(tmp_path: Path) -> None:
    year = Year(tmp_path)
    year.deliver_late(count=4, late=0.0)
    year.deliver_late(count=2, late=2.0)
    assert len({row["timestamp"] for row in year.owed.rows}) == len(year.owed.rows) > 6
    year.teardown()


class Forgetful(list[bytes]):
    """A list that takes nothing more."""

    def append(self, _call: bytes) -> None:
        """Forget it."""
