"""Minutely backfills by a clock of its own: files grow and rotate, answers get lost, runs are killed."""

from __future__ import annotations

import gzip
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.clockwork import Clockwork
from tests.support.command import Command
from tests.support.nightly import Logs, Nights, arrived_once
from tests.support.tracker import Tracker, flaky

MIDNIGHT = 1_790_000_000
_ALLOWED = {0, 69, 75, -9}
"""Well; the destination was unavailable, or told us to wait; killed. Nothing else may happen."""


class Writer:
    """What an application and its log rotation do to the files in a minute."""

    def __init__(self, logs: Logs, draw: random.Random) -> None:
        self._logs = logs
        self._draw = draw
        self._rest = b""
        self._now = 0.0

    def minute(self, number: int, now: float) -> None:
        """Log some rows, half a line at times; now and then do what is done to logs."""
        self._now = now
        for step in self._steps(number):
            step()
        self._touch("app.log", self._rest + self._cut(self._logs.lines(self._draw.randrange(4))))

    def end(self, now: float) -> None:
        """Finish the line that is begun."""
        self._now = now
        self._touch("app.log", self._rest)
        self._rest = b""

    def _cut(self, data: bytes) -> bytes:
        """Return what of it is written in this minute; the rest is in the next."""
        at = self._draw.randrange(len(data) + 1) if self._draw.random() < 0.3 else len(data)
        self._rest = data[at:]
        return data[:at]

    def _touch(self, name: str, data: bytes) -> None:
        self._logs.append(name, data)
        os.utime(self._logs.path(name), (self._now, self._now))

    def _steps(self, number: int) -> list[Callable[[], None]]:
        steps: list[tuple[int, Callable[[], None]]] = [
            (31, self._rename),
            (47, self._copy_and_truncate),
            (23, self._export),
        ]
        return [step for every, step in steps if number % every == every - 1]

    def _rename(self) -> None:
        """As logrotate does: log → log.1 → log.2.gz → log.3.gz → gone."""
        path = self._logs.path
        if path("app.log.2.gz").exists():
            path("app.log.2.gz").rename(path("app.log.3.gz"))
        if path("app.log.1").exists():
            path("app.log.2.gz").write_bytes(gzip.compress(path("app.log.1").read_bytes(), mtime=0))
            path("app.log.1").unlink()
        if path("app.log").exists():
            self._touch("app.log", self._rest)
            self._rest = b""
            path("app.log").rename(path("app.log.1"))

    def _copy_and_truncate(self) -> None:
        path = self._logs.path("app.log")
        if path.exists():
            self._touch("app.log", self._rest)
            self._rest = b""
            shutil.copy2(path, self._logs.path("copy.log"))
            os.truncate(path, 0)

    def _export(self) -> None:
        """The rows of the last half hour, or so, once more, in another form."""
        rows = range(max(0, self._logs.rows - 60), self._logs.rows)
        self._logs.path("export.csv").write_bytes(self._logs.csv(rows))


class Passed(NamedTuple):
    """What minutes left behind: the sizes of the ledger and the memory of runs (KiB), one each."""

    sizes: list[int]
    memory: list[int]
    logs: Logs
    kills: int


def minutes(tmp_path: Path, tracker: Tracker, count: int, seed: int, share: float) -> Passed:
    """Let so many minutes pass, with a run in each; a share of them is killed, if they last that long."""
    draw = random.Random(seed)
    command = Command(tmp_path, to=tracker.url)
    logs = Logs(tmp_path / "logs")
    nights, writer = Nights(command, logs, 'files = ["logs/"]'), Writer(logs, draw)
    sizes, memory, kills = [], [], 0
    tracker.behave = flaky(seed, 0.01)
    with Clockwork(command, *nights.words[1:], now=MIDNIGHT) as clockwork:
        for number in range(count):
            writer.minute(number, clockwork.now)
            code = clockwork.run(kill=draw.uniform(0.0, clockwork.took) if draw.random() < share else None)
            assert code in _ALLOWED, clockwork.said
            assert clockwork.said == "" or code != 0
            kills += code == -9
            sizes.append((command.state / "ledger.db").stat().st_size if number else 0)
            memory.append(clockwork.memory)
            clockwork.now += 60
        writer.end(clockwork.now)
        tracker.behave = None
        for _ in range(2):
            clockwork.now += 600
            assert clockwork.run() == 0, clockwork.said
    return Passed(sizes, memory, logs, kills)


def check(tracker: Tracker, logs: Logs) -> None:
    """What arrived is what was written: each call in one form, whole."""
    assert arrived_once(tracker) == logs.calls()


@pytest.mark.slow
def test_two_hours(tmp_path: Path, tracker: Tracker) -> None:
    _, _, logs, kills = minutes(tmp_path, tracker, 120, seed=1, share=0.2)
    check(tracker, logs)
    assert kills


@pytest.mark.slow
def test_a_day(tmp_path: Path, tracker: Tracker) -> None:
    """And neither memory nor the ledger grows by more than what is new."""
    sizes, memory, logs, kills = minutes(tmp_path, tracker, 1440, seed=2, share=0.05)
    check(tracker, logs)
    assert kills > 10
    morning, evening = sizes[719], sizes[1439] - sizes[719]
    assert evening < 1.5 * morning
    most = 400 * logs.rows + 500 * 1440
    assert sizes[-1] < most, "samples/README.md tells of 270 bytes a row, 2 KB a file, and 400 bytes a run"
    assert max(memory[720:]) < 1.2 * max(memory[:720])
