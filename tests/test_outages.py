"""Outages where there is no terminal: one line when one lasts, and one when calls get through again."""

from __future__ import annotations

import os
import re
from io import BytesIO, TextIOWrapper
from pathlib import Path
from unittest.mock import patch

import pytest

from km_cli.cli import group
from km_cli.cli.outcome import exit_code_of
from km_cli.run.clock import SystemClock
from tests.support.command import Command
from tests.support.inprocess import environment
from tests.support.logs import written
from tests.support.tracker import OK, UNAVAILABLE, Hit, Reaction, Tracker

TOLD = re.compile(
    r"km-cli: HTTP 503 Service Unavailable for \d+ s, (next try in \d+ s|trying again now)\n"
    r"km-cli: calls get through again, after (\d+ s|\d+ min)\n"
)


class Ahead(SystemClock):
    """The real time, and as much as a test adds to it."""

    seconds = 0.0

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return super().monotonic() + self.seconds


class Outage:
    """A tracker's behaviour: from its tenth request on it fails for so many seconds of the command's clock.

    It goes on to fail until the command has said `until`: no result depends on which of them is quicker.
    """

    def __init__(self, clock: Ahead, err: BytesIO, seconds: float, until: bytes) -> None:
        self._clock = clock
        self._err = err
        self._seconds = seconds
        self._until = until

    def __call__(self, _hit: Hit, number: int) -> Reaction:
        if number < 10:
            return OK
        if self._clock.seconds < self._seconds:
            self._clock.seconds += 20.0
            return UNAVAILABLE
        return OK if self._until in self._err.getvalue() else UNAVAILABLE


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "km.toml").write_text('[[backfill]]\nname = "all"\nfiles = ["log.csv"]\n')
    return written(tmp_path, "".join(f"u{n},,In,{1_700_000_000 + n},\n" for n in range(30)))


def said(km: Command, tracker: Tracker, *words: str | Path, seconds: float, until: bytes) -> str:
    """Run a command that meets an outage; return all that it wrote to standard error."""
    clock, err = Ahead(), BytesIO()
    tracker.behave = Outage(clock, err, seconds, until)
    stream = TextIOWrapper(err, encoding="utf-8", write_through=True)
    with patch.dict(os.environ, km.surroundings(), clear=True):
        own = environment(km.surroundings(), stderr=stream, clock=clock)
        code = exit_code_of(group, [*map(str, words), "--to", tracker.url, "--concurrency", "1"], own)
    assert code == 0, err.getvalue()
    assert len({hit.wire for hit in tracker.hits}) == 30
    return err.getvalue().decode()


SLOW_ONES = [pytest.param(one, marks=pytest.mark.slow) for one in ("import --json", "backfill")]


@pytest.mark.parametrize("command", ["import", *SLOW_ONES])
def test_an_outage_that_lasts_has_a_line_and_its_end_another(
    km: Command, tracker: Tracker, log: Path, command: str
) -> None:
    words = ("backfill", "--config", log.with_name("km.toml")) if command == "backfill" else ("import", log)
    more = command.split()[1:]
    found = said(km, tracker, *words, *more, seconds=70.0, until=b"503")
    assert TOLD.fullmatch(found)


def test_a_short_outage_is_not_mentioned(km: Command, tracker: Tracker, log: Path) -> None:
    assert said(km, tracker, "import", log, seconds=20.0, until=b"") == ""


def test_nothing_is_said_with_q(km: Command, tracker: Tracker, log: Path) -> None:
    assert said(km, tracker, "import", log, "-q", seconds=70.0, until=b"") == ""
