"""Bulk files across crashes: a run that is killed at any step leaves nothing out and nothing twice."""

from __future__ import annotations

import signal
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.bulk import Call, calls_in, finished
from tests.support.command import Command
from tests.support.killing import STEPS, Killer, Place
from tests.support.patience import PATIENCE
from tests.support.people import write

pytestmark = pytest.mark.slow

ROWS = 60
OPTIONS = ("--batch-size", "15", "--part-size", "2K")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Users of a busy account, with two sets of properties that do not fit into one CSV file; one bad row."""
    names = [f"a{n}" for n in range(6)], [f"b{n}" for n in range(6)]
    header = ",".join(["user,account,event,timestamp", *names[0], *names[1]])
    rows = [
        f"u{row},Acme,In,@{row // 3}" + "," * 6 * (row % 2) + f",{row}" * 6 + "," * 6 * (1 - row % 2)
        for row in range(ROWS)
    ]
    return write(tmp_path / "log.csv", *rows, "guest,,In,@0", header=header)


def words_of(log: Path, ending: str) -> tuple[str | Path, ...]:
    return ("import", log, "--to", f"file:{log.parent}/out.{ending}", *OPTIONS)


def whole(folder: Path, log: Path, ending: str) -> Counter[Call]:
    """The calls that the files must have in the end."""
    command = Command(folder / "whole")
    to = f"file:{folder}/whole.{ending}"
    command("import", log, "--to", to).ended(65)
    calls = calls_in(folder, "whole")
    assert sum(calls.values()) == 2 * ROWS
    return calls


def check_whole(command: Command, log: Path, ending: str, calls: Counter[Call]) -> None:
    """Run to the end: every call is in the finished files once, and no other file is left."""
    code = command(*words_of(log, ending)).code
    assert code in (0, 65)
    assert calls_in(log.parent, "out") == calls
    assert list(log.parent.glob("*.part")) == []
    command(*words_of(log, ending)).ended(0)
    assert calls_in(log.parent, "out") == calls


def clean(command: Command, log: Path) -> None:
    for path in (*log.parent.glob("out*"), *command.state.glob("*")):
        path.unlink()


@pytest.mark.parametrize("ending", ["json", "csv", "json.gz", "csv.gz"])
def test_killed_at_many_steps(killer: Killer, tmp_path: Path, log: Path, ending: str) -> None:
    """Steps from the first to the last, each time over an empty ledger."""
    calls, parts = whole(tmp_path, log, ending), 7
    command = Command(tmp_path / "home")
    steps = killer.count(command, STEPS, *words_of(log, ending), code=65)
    clean(command, log)
    kills = 0
    for step in range(1, steps, max(1, steps // parts)):
        done = killer.run(command, Place(step), *words_of(log, ending))
        kills += done.code == -signal.SIGKILL  # Not every run has the same number of steps.
        assert done.code in (-signal.SIGKILL, 65), done
        check_whole(command, log, ending, calls)
        clean(command, log)
    assert kills >= parts // 2


def test_killed_again_and_again(killer: Killer, tmp_path: Path, log: Path) -> None:
    """Each run gets a few steps further than the one before, if it gets anywhere."""
    calls = whole(tmp_path, log, "csv")
    command, kills = Command(tmp_path / "home"), 0
    while killer.run(command, Place(12 + 3 * kills), *words_of(log, "csv")).code == -signal.SIGKILL:
        kills += 1
    assert kills > 1
    check_whole(command, log, "csv", calls)


def left_open(killer: Killer, command: Command, log: Path) -> Path:
    """Kill a run that has committed a batch; return the file that it leaves."""
    steps = killer.count(command, STEPS, *words_of(log, "json"), code=65)
    clean(command, log)
    for step in range(steps * 2 // 3, steps):
        assert killer.run(command, Place(step), *words_of(log, "json")).code == -signal.SIGKILL
        with closing(sqlite3.connect(command.state / "ledger.db")) as ledger:
            found = ledger.execute("SELECT max(length) FROM bulk_parts WHERE is_open").fetchone()[0]
        parts = list(log.parent.glob("*.part"))
        if found and parts:
            return parts[-1]
        clean(command, log)
    raise AssertionError("no run was killed while a file was open")


def test_an_open_file_that_is_not_as_it_was_left(killer: Killer, tmp_path: Path, log: Path) -> None:
    """Its calls count as sent, so that the run must not go on without them."""
    command = Command(tmp_path / "home")
    part = left_open(killer, command, log)
    content = part.read_bytes()
    done = finished(tmp_path, "out")
    part.unlink()
    assert "is gone: a run that was cut off left" in command(*words_of(log, "json")).ended(74).err
    part.write_bytes(content[:10])
    assert "has changed since a run that was cut off" in command(*words_of(log, "json")).ended(74).err
    part.write_bytes(b"x" + content[1:])
    err = command(*words_of(log, "json")).ended(74).err
    assert f"the bulk file {part} has changed" in err
    assert "with another --ledger and another --to" in err
    assert finished(tmp_path, "out") == done
    part.write_bytes(content + b"of a batch that was not committed")
    check_whole(command, log, "json", whole(tmp_path, log, "json"))


def test_status_names_a_file_that_was_left_until_a_run_finishes_it(
    killer: Killer, tmp_path: Path, log: Path
) -> None:
    """Its calls count as sent, also for a run that writes elsewhere: they would never be uploaded."""
    command = Command(tmp_path / "home")
    part = left_open(killer, command, log)
    command("import", log, "--to", f"file:{tmp_path}/other.json").ended(65)
    to = f"file:{tmp_path}/out.json"
    (step,) = (
        one for one in command("status", "--json", "--to", to).summary["next"] if "unfinished" in one["why"]
    )
    assert "calls count as sent in an unfinished bulk file" in step["why"]
    assert str(part.with_name("outmain0000")) in step["why"]
    assert step["what"] == f"finish it: km-cli retry --to {to}"
    command("retry", "--to", to).ended(0)
    assert "unfinished" not in command("status", "--to", to).ended(0).out
    command(*words_of(log, "json"))
    both = calls_in(tmp_path, "out") + calls_in(tmp_path, "other")
    assert both == whole(tmp_path, log, "json")


def test_two_ledgers_cannot_write_to_one_file(killer: Killer, tmp_path: Path, log: Path) -> None:
    """The second one begins a file of its own, beside that of the run that was cut off."""
    command, other = Command(tmp_path / "home"), Command(tmp_path / "other")
    part = left_open(killer, command, log)
    content, done = part.read_bytes(), finished(tmp_path, "out")
    other(*words_of(log, "json")).ended(65)
    assert part.read_bytes() == content
    assert set(done) < set(finished(tmp_path, "out"))


@pytest.mark.parametrize("ending", ["json", "csv.gz"])
def test_a_full_disk_loses_nothing(tmp_path: Path, log: Path, ending: str) -> None:
    """No file may grow over this many bytes: that of the calls, or that of the ledger."""
    calls = whole(tmp_path, log, ending)
    command = Command(tmp_path / "home")
    words = ("import", log, "--to", f"file:{tmp_path}/out.{ending}", "--batch-size", "15")
    size = 7000 if ending == "json" else 120_000
    command(*words, "--limit", "1").ended(0)  # the ledger is made
    grown = (command.state / "ledger.db").stat().st_size
    process = command.start_with_room(max(size, grown), *words)
    _, err = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in err
    assert process.returncode in (65, 74), err
    check_whole(command, log, ending, calls)
