"""The proof by system calls hits the calls that it names, and sees what a disturbed run leaves behind."""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from km_cli.ledger.damage import Database
from tests.proof.scenes import SCENES, Stage, after_all, played, undisturbed
from tests.proof.strace import counted
from tests.proof.syscalls import _is_said, disturbed, places, surveyed

LINES = """\
7 openat(AT_FDCWD, "/a", O_RDONLY) = 3</a>
7 write(3</a>, "x", 1) = 1
8 sendto(4<socket:[1]>, "GET", 3, 0, NULL, 0 <unfinished ...>
7 write(3</a>, "y", 1) = 1
8 <... sendto resumed>) = 3
8 write(3</a>, "z", 1) = 1
7 --- SIGCHLD {si_signo=SIGCHLD} ---
7 +++ exited with 0 +++
"""


def test_calls_are_counted_by_name_and_thread() -> None:
    found = counted(LINES.splitlines())
    numbers = {place: len(lines) for place, lines in found.items()}
    assert numbers == {("openat", 1): 1, ("write", 1): 2, ("sendto", 1): 1, ("write", 2): 1}


@pytest.mark.parametrize(
    ("err", "is_said"),
    [
        ("km-cli: the ledger cannot be written: disk I/O error\n  next: repair the disk\n", True),
        ("km-cli: log.csv: Input/output error\n  next: run again\n", True),
        ("km-cli: log.csv: Input/output error\n", False),
        ("km-cli: something went wrong\n  next: run again\n", False),
        ("km-cli: something went wrong\nInput/output error\n  next: run again\n", False),
    ],
)
def test_an_error_has_to_be_named_with_a_next_step(err: str, is_said: bool) -> None:
    assert _is_said(err, "EIO") == is_said


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A ledger with ten pending calls."""
    with played(SCENES["resume"], tmp_path) as stage:
        yield stage


needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
needs_curl = pytest.mark.skipif(find_spec("pycurl") is None, reason="needs pycurl")


@needs_strace
@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "call", "number", "sent"),
    [("killed-before", "sendto", 3, 2), ("killed-after", "sendto", 3, 3), ("EIO", "fdatasync", 1, None)],
)
def test_the_call_is_hit(stage: Stage, how: str, call: str, number: int, sent: int | None) -> None:
    """With one call in flight, a kill before the third one leaves two at the tracker, after it three."""
    scene = SCENES["resume"]
    assert {"sendto", "fdatasync", "pwrite64", "unlink"} <= {name for name, _ in places(scene)}
    ended = disturbed(scene, stage, how, call, number)
    assert ended.is_hit
    if sent is None:
        assert ended.result.code == 74
    else:
        assert ended.result.code == -signal.SIGKILL
        stage.tracker.stop()  # It has read all that came.
        assert len(stage.tracker.seen) == sent
        stage.tracker.start()
    assert after_all(scene, stage) == []


@needs_strace
@needs_curl
@pytest.mark.slow
def test_a_thread_that_cannot_be_woken_sends_a_little_later(tmp_path: Path) -> None:
    """The first `sendto` of the run wakes the thread that sends."""
    scene = SCENES["resume-curl"]
    with played(scene, tmp_path) as stage:
        ended = disturbed(scene, stage, "EIO", "sendto", 1)
        assert ended.is_hit
        ended.result.ended(undisturbed(scene).code)
        assert after_all(scene, stage) == []


@pytest.mark.slow
def test_a_lost_call_and_a_call_too_many_are_seen(stage: Stage) -> None:
    """The judge is not blind."""
    scene = SCENES["resume"]
    scene.run(stage).ended(0)
    assert after_all(scene, stage) == []
    lost = stage.tracker.hits.pop()
    stage.tracker.seen.remove(lost)
    assert any(text.startswith("lost: ") for text in after_all(scene, stage))
    assert any(text.startswith("never sent: ") for text in after_all(scene, stage))


# The order of things, which a kill alone does not show: what was written is there after it, synced or not


def _first(lines: list[str], pattern: str, begin: int = 0) -> int:
    """Return the number of the first line from `begin` on that has a pattern."""
    found = (number for number, line in enumerate(lines[begin:], begin) if re.search(pattern, line))
    number = next(found, -1)
    assert number >= 0, f"behind call {begin} there is none with {pattern}"
    return number


@needs_strace
@pytest.mark.slow
def test_rejects_and_the_batch_are_synced_before_a_call_leaves(tmp_path: Path) -> None:
    """Promise 1: the rejects of the first batch, the lock, the batch in the ledger's log, the first call."""
    scene = SCENES["import"]
    with played(scene, tmp_path) as stage:
        lines = surveyed(scene, stage)
    rejects = _first(lines, r"write\(.*/rejects-.*km_cli_reject")
    synced = _first(lines, r"fsync\(.*/rejects-", rejects)
    batch = _first(lines, r"pwrite64\(.*/ledger\.db-wal>", synced)
    durable = _first(lines, r"fdatasync\(.*/ledger\.db-wal>", batch)
    assert durable < _first(lines, r"sendto\(.*GET /e")
    assert not [line for line in lines[:synced] if re.search(r"pwrite64\(.*/ledger\.db-wal>", line)]


@pytest.mark.slow
def test_a_failed_commit_sends_nothing_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each commit of a run fails in turn: each call that left stands in the ledger."""
    scene, execute = SCENES["import"], Database.execute
    for at in count(1):
        commits = count(1)

        def failing(database: Database, sql: str, *values: Any, at: int = at, commits: Any = commits) -> Any:
            if sql == "COMMIT" and next(commits) == at:
                raise sqlite3.OperationalError("disk I/O error")
            return execute(database, sql, *values)

        folder = tmp_path / str(at)
        folder.mkdir()
        with played(scene, folder) as stage:
            with monkeypatch.context() as patched:
                patched.setattr(Database, "execute", failing)
                code = scene.run(stage).code
            if next(commits) <= at:
                break
            assert code in (65, 73, 74)  # 65: the run had ended, and only its counts were still written.
            assert len({hit.wire for hit in stage.tracker.seen}) <= _sent(stage)
            assert after_all(scene, stage) == []
    assert at > 4


def _sent(stage: Stage) -> int:
    """Return how many calls the ledger has as sent or pending."""
    path = stage.command.state / "ledger.db"
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path)) as ledger:
        return int(ledger.execute("SELECT COALESCE(SUM(calls), 0) FROM sent").fetchone()[0])
