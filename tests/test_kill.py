"""Kill anywhere, run again: nothing is lost, what is sent twice is byte-identical, nobody acts as another."""

from __future__ import annotations

import random
import signal
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from km_cli.standin import Store
from tests.conftest import SAMPLES
from tests.support.command import Command
from tests.support.oracle import expected, fold, fold_id, judged, merged
from tests.support.patience import PATIENCE
from tests.support.resuming import CSV, check_arrived, finished, part_of_the_samples
from tests.support.tracker import OK, Hit, Reaction, Tracker, flaky

SHARE = 0.02  # of requests that meet a fault: five in a row would open the breaker


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is imported."""
    return part_of_the_samples(tmp_path_factory.mktemp("log"))


class Kills:
    """A tracker's behaviour that kills the process when request number `at` arrives."""

    def __init__(self, seed: int) -> None:
        self._faults = flaky(seed, SHARE)
        self.process: subprocess.Popen[str] | None = None
        self.at = 0

    def __call__(self, hit: Hit, number: int) -> Reaction:
        if self.process is not None and number >= self.at:
            self.process.kill()
        return self._faults(hit, number)


def options(draw: random.Random) -> list[str]:
    """Nothing about an attempt may change a call."""
    return [
        "--batch-size",
        str(draw.choice((3, 40, 100, 500))),
        "--concurrency",
        draw.choice(("1", "4", "16", "auto")),
    ]


def kill_at_a_request(command: Command, log: Path, tracker: Tracker, draw: random.Random, most: int) -> bool:
    """Run until a request arrives; tell whether it was killed by then."""
    behave = tracker.behave
    assert isinstance(behave, Kills)
    behave.at = len(tracker.seen) + draw.randrange(1, most)
    behave.process = process = command.start("import", log, *options(draw))
    process.communicate(timeout=PATIENCE)
    behave.process = None
    return process.returncode == -signal.SIGKILL


def kill_after_a_while(command: Command, log: Path, draw: random.Random, longest: float) -> bool:
    """Run for a while; tell whether it was killed by then."""
    process = command.start("import", log, *options(draw))
    try:
        process.wait(draw.uniform(0.05, longest))
    except subprocess.TimeoutExpired:
        process.kill()
    process.communicate()
    return process.returncode == -signal.SIGKILL


def check_rejects(command: Command, log: Path) -> None:
    """Every bad row is in the rejects files, and no other; twice if it was killed between two disks."""
    bad = judged(log, **CSV)
    assert {reject["line"] for reject in command.rejects()} == {*bad.lines, *(one.line for one in bad.owed)}


def killed_and_resumed(tmp_path: Path, tracker: Tracker, log: Path, seed: int, kills: int) -> None:
    """Kill it so often, at requests and at moments by turns; when it got to its end, check it, start anew."""
    draw = random.Random(seed)
    share = max(2, len(expected(log, **CSV)) // kills)
    tracker.behave = Kills(seed)
    importer = Command(tmp_path / "0", to=tracker.url)
    killed = whole = 0
    while killed < kills:
        at_a_moment = killed % 3 == 2
        if (
            kill_after_a_while(importer, log, draw, 1.2)
            if at_a_moment
            else kill_at_a_request(importer, log, tracker, draw, share)
        ):
            killed += 1
            continue
        check_whole(importer, tracker, log)
        whole += 1
        assert whole <= kills, "it is hardly ever killed: the log is too short"
        tracker.forget()
        importer = Command(tmp_path / str(whole), to=tracker.url)
    check_whole(importer, tracker, log)


def check_whole(importer: Command, tracker: Tracker, log: Path) -> None:
    """Nothing is missing, nothing is wrong, and nothing is left to send."""
    finished(importer, log)
    check_arrived(tracker, log)
    check_rejects(importer, log)
    sent = len(tracker.seen)
    importer("import", log).ended(0)
    assert len(tracker.seen) == sent


@pytest.mark.usefixtures("transport")
def test_killed_ten_times(tmp_path: Path, tracker: Tracker, log: Path) -> None:
    killed_and_resumed(tmp_path, tracker, log, 0, 10)


@pytest.mark.slow
@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_a_hundred_times(tmp_path: Path, tracker: Tracker, seed: int) -> None:
    """Twice twenty-five times, by each library."""
    killed_and_resumed(tmp_path, tracker, SAMPLES / "events.csv", seed, 25)


# The embedded store: it and the ledger are one file


def kept(path: Path) -> set[tuple[str | int, ...]]:
    """What the store keeps, in the oracle's form."""
    with closing(Store(path)) as store:
        events = {(one.person, fold(one.event), one.second) for one in store.events()}
        values = {(one.person, fold(one.name), one.second, one.value) for one in store.properties()}
        assert store.kept().merged["D1"] == 0
    return {*events, *values}


def should_be_kept(log: Path) -> set[tuple[str | int, ...]]:
    """The same, worked out."""
    return {(fold_id(str(person)), *rest) for person, *rest in merged(expected(log, **CSV))}


def killed_beside_the_store(tmp_path: Path, log: Path, seed: int, kills: int) -> None:
    draw = random.Random(seed)
    store = tmp_path / "local.db"
    command = Command(tmp_path, to=f"local:{store}")
    killed = 0
    while killed < kills:
        if kill_after_a_while(command, log, draw, 1.0):
            killed += 1
            continue
        assert kept(store) == should_be_kept(log)
        for path in tmp_path.glob("local.db*"):
            path.unlink()
    finished(command, log)
    assert kept(store) == should_be_kept(log)
    command("import", log).ended(0)


def test_killed_beside_the_store(tmp_path: Path, log: Path) -> None:
    killed_beside_the_store(tmp_path, log, 0, 5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 4))
def test_killed_beside_the_store_many_times(tmp_path: Path, seed: int) -> None:
    killed_beside_the_store(tmp_path, SAMPLES / "events.csv", seed, 12)


# A full disk


def run_with_room(command: Command, log: Path, size: int) -> tuple[int, str]:
    """Run with files that cannot grow above so many bytes."""
    process = command.start_with_room(size, "import", log, "--batch-size", "50")
    _, err = process.communicate(timeout=PATIENCE)
    return process.returncode, err


@pytest.mark.parametrize("size", [200_000, 350_000, 500_000])
def test_a_full_disk_loses_nothing(importer: Command, tracker: Tracker, log: Path, size: int) -> None:
    code, err = run_with_room(importer, log, size)
    assert (code, "Traceback" in err) == (74, False), err
    assert 0 < len(tracker.seen) < len(expected(log, **CSV))
    tracker.behave = lambda _hit, _number: OK
    finished(importer, log)
    check_arrived(tracker, log)


@pytest.mark.parametrize("size", [200_000, 350_000, 500_000])
def test_a_full_disk_beside_the_store_loses_nothing(tmp_path: Path, log: Path, size: int) -> None:
    store = tmp_path / "local.db"
    command = Command(tmp_path, to=f"local:{store}")
    code, err = run_with_room(command, log, size)
    assert (code, "Traceback" in err) == (74, False), err
    assert kept(store) < should_be_kept(log)
    finished(command, log)
    assert kept(store) == should_be_kept(log)
