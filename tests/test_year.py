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


class Forgetful(list[bytes]):
    """A list that takes nothing more."""

    def append(self, _call: bytes) -> None:
        """Forget it."""
