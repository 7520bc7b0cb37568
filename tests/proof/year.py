"""A simulated year: files that grow, rotate and are exported anew, a destination with faults, and kills.

A case is a seed: hypothesis draws what happens in some weeks, five times over, and holds it against a
dictionary of the calls that are owed. When it fails, it prints the shortest course of events that fails.
"""

from __future__ import annotations

import gc
import gzip
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.proof.base import Passed, Proof
from tests.proof.owed import Owed
from tests.proof.simulation import CALM, Mood, Simulation

BEGIN = 1_800_000_000.0
HOUR, DAY = 3_600.0, 86_400.0
_TO = "https://tracker.example"
_KM_TOML = """\
[[backfill]]
name = "app"
files = ["logs/*"]

[[backfill]]
name = "exports"
files = ["exports/*.csv"]
overlap = "repeats"
optional = true
"""
_COLUMNS = ("user", "account", "event", "timestamp", "plan", "n")
_LEDGER, _BYTES_A_CALL = 600_000, 600
"""The size of a ledger is at most the first, and the second for each call."""

_SETTLING, _NIGHTS = 2, 7
"""Nights after which caches are full, and nights in which nothing may grow any more."""
_LEDGER_A_WEEK = 4 * 4_096
"""Each run is noted in the ledger."""
_BLOCKS_A_NIGHT = 50
"""A run leaves up to 20 blocks of memory in Python's own caches, and many more if a part of it stays."""


class Year(RuleBasedStateMachine):
    """What can happen on the machine where km-cli runs every day."""

    def __init__(self, parent: Path) -> None:
        super().__init__()
        self.folder = Path(mkdtemp(prefix="year-", dir=parent))
        for name in ("logs", "exports", "corrected", "state"):
            (self.folder / name).mkdir()
        (self.folder / "km.toml").write_text(_KM_TOML)
        self.world = Simulation(self.folder, 0, BEGIN)
        self.owed = Owed()
        self.settled = 0
        """The rows before this one have been sent, by a run that ended well."""
        self.corrections: list[Path] = []
        self.rest = b""
        self.exports = 0
        self.is_calm = True
        """No pending call may have arrived: nothing has gone wrong since a run that left none pending."""
        self.copies = 0
        self._append(self._line())

    # What an application does to its logs

    @rule(count=st.integers(1, 6), cut=st.integers(0, 20), spoilt=st.integers(0, 9))
    def log(self, count: int, cut: int, spoilt: int) -> None:
        """It writes rows, the last line not always to its end. Now and then the time of a row is missing."""
        lines = b"".join(self._line(is_bad=at == spoilt) for at in range(count))
        data = self.rest + lines
        at = max(0, len(data) - cut)
        self.rest = data[at:]
        self._append(data[:at])

    @rule()
    def rotate(self) -> None:
        """As logrotate does: log → log.1 → log.2.gz → gone."""
        log, first, second = (self._log(name) for name in ("app.jsonl", "app.jsonl.1", "app.jsonl.2.gz"))
        if not log.exists() or (first.exists() and not self._is_settled):
            return  # What no run has read may not go.
        if first.exists():
            second.write_bytes(gzip.compress(first.read_bytes(), mtime=0))
            self._touch(second)
        self._append(self._finished())
        log.rename(first)

    @precondition(lambda self: self._log("app.jsonl").exists())
    @rule()
    def copy_and_truncate(self) -> None:
        """The other way of logrotate."""
        log = self._log("app.jsonl")
        self._append(self._finished())
        self.copies += 1
        shutil.copy2(log, self._log(f"copy-{self.copies}.jsonl"))
        os.truncate(log, 0)
        self._touch(log)

    @rule(count=st.integers(1, 4), late=st.floats(0, 40 * DAY))
    def deliver_late(self, count: int, late: float) -> None:
        """Another machine's rows arrive in a file of their own, days after they were written."""
        lines = b"".join(self._line(late) for _ in range(count))
        path = self._log(f"late-{len(self.owed.rows)}.jsonl")
        path.write_bytes(lines)
        self._touch(path)

    @precondition(lambda self: self.owed.arrived(self.settled))
    @rule(data=st.data(), drifts=st.booleans())
    def export(self, data: st.DataObject, drifts: bool) -> None:
        """Rows that were sent come again, as CSV; in some of them a value has changed since.

        The first and the last row have not changed. Files that meet in one second are taken for files of one
        rotated log, so that a changed row of that second would be another event.
        """
        known = st.sampled_from(self.owed.arrived(self.settled))
        numbers = data.draw(st.lists(known, min_size=1, max_size=8, unique=True))
        self.exports += 1
        path = self.folder / "exports" / f"{self.exports}.csv"
        lines = [",".join(_COLUMNS)]
        numbers.sort(key=lambda number: int(str(self.owed.rows[number]["timestamp"])))
        for at, number in enumerate(numbers):
            row = dict(self.owed.rows[number])
            if drifts and at % 2 and at < len(numbers) - 1:
                row["plan"] = f"drifted {self.exports}"
            lines.append(",".join(str(row[column]) for column in _COLUMNS))
        path.write_text("\n".join(lines) + "\n")
        self._touch(path)

    # What becomes of the destination

    @rule(hours=st.floats(0, 30))
    def fail_for_hours(self, hours: float) -> None:
        """It is away."""
        self.world.destination.mood = Mood(away_until=self.world.now() + hours * HOUR)

    @rule(
        lost=st.sampled_from((0.0, 0.1, 0.5)),
        broken=st.sampled_from((0.0, 0.2, 0.6)),
        throttled=st.sampled_from((0.0, 0.1)),
        page=st.sampled_from((0.0, 0.1, 0.9)),
    )
    def misbehave(self, lost: float, broken: float, throttled: float, page: float) -> None:
        """Its answers get lost, connections break, it throttles, something else answers."""
        self.world.destination.mood = Mood(lost=lost, broken=broken, throttled=throttled, page=page)

    @rule()
    def recover(self) -> None:
        """It is as it should be."""
        self.world.destination.mood = CALM

    # What people and cron do

    @rule(
        hours=st.one_of(st.sampled_from((0.0, 0.001, 0.01)), st.floats(0.1, 48)),
        kill=st.one_of(st.none(), st.integers(1, 60)),
    )
    def backfill(self, hours: float, kill: int | None) -> None:
        """Cron runs a backfill, which may be killed."""
        self._day(hours)
        self._run(("backfill", "--config", self.folder / "km.toml", "--to", _TO, "--batch-size", "3"), kill)

    @rule(days=st.integers(2, 10))
    def pass_days(self, days: int) -> None:
        """Every day the application writes a row, and cron runs a backfill in the night."""
        for _ in range(days):
            self.log(count=1, cut=0, spoilt=9)
            self.backfill(hours=24, kill=None)

    @rule(kill=st.one_of(st.none(), st.integers(1, 30)))
    def retry(self, kill: int | None) -> None:
        """A person sends what is pending."""
        if (self.world.state / "km-cli" / "ledger.db").exists():
            self._run(("retry", "--to", _TO, "--config", self.folder / "km.toml"), kill)

    @rule(kill=st.one_of(st.none(), st.integers(1, 30)))
    def correct(self, kill: int | None) -> None:
        """A person corrects the rejects, and imports them."""
        lines = list(self.owed.corrected(sorted((self.world.state / "km-cli").glob("rejects-*"))))
        if lines:
            path = self.folder / "corrected" / f"{len(self.corrections)}.jsonl"
            path.write_text("".join(lines))
            self.corrections.append(path)
        for path in self.corrections[-2:]:
            self._run(("import", path, "--to", _TO, "--config", self.folder / "km.toml"), kill)

    def teardown(self) -> None:
        """In the end all is well for long enough, and everything that is owed has arrived."""
        try:
            self._end_well()
            self.rest_for_a_week()
        finally:
            shutil.rmtree(self.folder)

    # The model

    def _end_well(self) -> None:
        self.world.destination.mood = CALM
        if self.rest:
            self._append(self._finished())
        for _ in range(2):
            self.backfill(hours=30, kill=None)
            self.correct(kill=None)
        for path in self.corrections:
            self._run(("import", path, "--to", _TO, "--config", self.folder / "km.toml"), None)
        assert not self.owed.missing(), f"lost: {self.owed.missing()}"
        calls, ledger = len(self.owed), self._ledger_size()
        assert ledger < _LEDGER + _BYTES_A_CALL * calls, f"the ledger has {ledger:,} bytes for {calls} calls"

    def rest_for_a_week(self) -> None:
        """Nothing new happens: no call is sent, and neither the ledger nor the memory grows."""
        calls = len(self.world.destination.calls)
        for _ in range(_SETTLING):
            self.backfill(hours=24, kill=None)
        ledger, blocks = self._ledger_size(), _memory_blocks()
        for _ in range(_NIGHTS):
            self.backfill(hours=24, kill=None)
        assert len(self.world.destination.calls) == calls, "calls of a week without news"
        grown = self._ledger_size() - ledger
        assert grown <= _LEDGER_A_WEEK, f"the ledger grew by {grown:,} bytes in a week without news"
        more = _memory_blocks() - blocks
        assert more <= _NIGHTS * _BLOCKS_A_NIGHT, f"{more:,} more blocks of memory after a week without news"

    def _ledger_size(self) -> int:
        return (self.world.state / "km-cli" / "ledger.db").stat().st_size

    def _run(self, words: tuple[str | Path, ...], kill: int | None) -> None:
        destination = self.world.destination
        before, opened = len(destination.calls), len(os.listdir("/proc/self/fd"))
        was_calm = destination.mood.is_calm
        code = self.world.run(words, kill or 10**9)
        assert len(os.listdir("/proc/self/fd")) <= opened, "files stay open"
        self.owed.take(destination.calls[before:], is_calm=self.is_calm and was_calm)
        is_done = code in (0, 65)
        self.is_calm = was_calm and (is_done or (self.is_calm and code is not None))
        if is_done and words[0] == "backfill":
            self.settled = len(self.owed.rows)
        if code is None and len(destination.calls) < before:
            raise AssertionError("the simulation forgot calls of an earlier run")

    @property
    def _is_settled(self) -> bool:
        return self.settled == len(self.owed.rows)

    def _line(self, late: float = 0.0, *, is_bad: bool = False) -> bytes:
        return self.owed.line(self.world.now() - late, is_bad=is_bad)

    def _finished(self) -> bytes:
        rest, self.rest = self.rest, b""
        return rest

    def _append(self, data: bytes) -> None:
        path = self._log("app.jsonl")
        with path.open("ab") as file:
            file.write(data)
        self._touch(path)

    def _touch(self, path: Path) -> None:
        os.utime(path, (self.world.now(), self.world.now()))

    def _log(self, name: str) -> Path:
        return self.folder / "logs" / name

    def _day(self, hours: float) -> None:
        """Let time pass. A line that is begun does not stay so for longer than a minute."""
        if self.rest and hours > 0.01:
            self._append(self._finished())
        self.world.move_to(self.world.now() + hours * HOUR)


def _cases(first: int) -> Iterator[str]:
    number = first
    while True:
        yield str(number)
        number += 1


def _run(case: str, folder: Path) -> Passed:
    asked = settings(
        max_examples=5,
        stateful_step_count=40,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    seconds = 0.0

    class Counted(Year):
        """Counts the time that passes in all courses of events."""

        def teardown(self) -> None:
            nonlocal seconds
            super().teardown()
            seconds += self.world.now() - BEGIN

    run_state_machine_as_test(seed(int(case))(lambda: Counted(folder)), settings=asked)
    return Passed(seconds / DAY)


def _memory_blocks() -> int:
    gc.collect()
    return sys.getallocatedblocks()


PROOF = Proof("year", "weeks of cron with faults, kills, rotations and exports", _cases, _run, 8, unit="days")
