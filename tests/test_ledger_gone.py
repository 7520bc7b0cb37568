"""A ledger that vanishes ends the run; a new one is whole or absent; each run notes how it ended."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path

import pytest

from km_cli.errors import LedgerError
from km_cli.ledger import Ledger
from tests.support.command import Command, Result
from tests.support.killing import Killer, Place
from tests.support.logs import said
from tests.support.old_ledgers import OPENING
from tests.support.patience import PATIENCE
from tests.support.tracker import OK, Hit, Reaction, Tracker, refuse

HEADER = "user,account,event,timestamp,plan\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Sixty rows, a hundred and twenty calls."""
    rows = (f"u{n % 7},Acme,Event {n % 3},2024-01-01T00:00:{n:02}Z,pro\n" for n in range(60))
    path = tmp_path / "log.csv"
    path.write_text(HEADER + "".join(rows), encoding="utf-8")
    return path


@pytest.fixture
def ledger(importer: Command, tracker: Tracker, log: Path) -> Path:
    """A ledger with pending calls that was closed properly."""
    tracker.behave = lambda _hit, number: OK if number < 30 else refuse(403)
    importer("import", log, "--concurrency", "1").ended(69)
    tracker.behave = None
    tracker.forget()
    return importer.state / "ledger.db"


# Gone while a run uses it


class Meddles:
    """A tracker's behaviour that does something to the ledger when a request arrives, once."""

    def __init__(self, at: int, meddle: Callable[[], object], delay: float = 0.005) -> None:
        self._at = at
        self._delay = delay
        self._meddle = meddle

    def __call__(self, _hit: Hit, number: int) -> Reaction:
        if number == self._at:
            self._meddle()
        return Reaction(delay=self._delay)


def remove(path: Path) -> None:
    path.unlink()


def remove_all(path: Path) -> None:
    for beside in path.parent.glob("ledger.db*"):
        beside.unlink()


def remove_the_log(path: Path) -> None:
    path.with_name("ledger.db-wal").unlink()


def replace_by_a_copy(path: Path) -> None:
    copied = path.with_name("copied")
    shutil.copy(path, copied)
    copied.replace(path)


def cut_short(path: Path) -> None:
    os.truncate(path, 4096)


def empty_it(path: Path) -> None:
    os.truncate(path, 0)


def move_away_the_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


@pytest.mark.parametrize(
    "meddle",
    [remove, remove_all, remove_the_log, replace_by_a_copy, cut_short, empty_it, move_away_the_folder],
)
def test_a_ledger_that_vanishes_ends_the_run(
    importer: Command, tracker: Tracker, log: Path, ledger: Path, meddle: Callable[[Path], None]
) -> None:
    """Nothing more is planned, and the hint warns that calls may be sent again."""
    tracker.behave = Meddles(20, lambda: meddle(ledger))
    result = importer("import", log, "--concurrency", "1", "--batch-size", "5").ended(74)
    said(result, str(ledger), "sent again")


def test_a_new_ledger_that_vanishes_ends_the_run(importer: Command, tracker: Tracker, log: Path) -> None:
    # Slow enough that not all calls are sent before the next receipts are to become durable.
    tracker.behave = Meddles(20, lambda: remove_all(importer.state / "ledger.db"), delay=0.05)
    result = importer("import", log, "--concurrency", "1", "--batch-size", "5").ended(74)
    said(result, "was removed while a run used it")
    assert len(tracker.seen) < 120


# A new one


def test_killed_while_it_is_created_it_is_new_or_whole(
    importer: Command, tracker: Tracker, log: Path, killer: Killer
) -> None:
    """There is never an empty file under the ledger's name."""
    ledger = importer.state / "ledger.db"
    lines = killer.count(importer, OPENING, "import", log)
    for line in range(1, lines + 1, 10):
        shutil.rmtree(importer.state.parent, ignore_errors=True)
        killed = killer.run(importer, Place(line, OPENING), "import", log)
        assert killed.code == -signal.SIGKILL
        assert not ledger.exists() or ledger.stat().st_size > 4096
        tracker.forget()
        importer("import", log).ended(0)
        assert not ledger.with_name("ledger.db.new").exists()


@pytest.mark.parametrize("size", [0, 1000, 30_000, 60_000])
def test_without_room_for_a_new_one_there_is_none(
    importer: Command, tracker: Tracker, log: Path, size: int
) -> None:
    process = importer.start_with_room(size, "import", log)
    out, err = process.communicate(timeout=PATIENCE)
    said(Result(process.returncode, out, err).ended(73), "make room")
    assert tracker.seen == []
    importer("import", log).ended(0)
    assert len(tracker.seen) == 120


def test_a_new_state_folder_is_durable_with_all_its_parents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each folder that holds a new name is synced, the outermost one included."""
    synced, real = set(), os.fsync

    def fsync(file: int) -> None:
        synced.add(Path(f"/proc/self/fd/{file}").resolve())
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    Ledger.open(tmp_path / "a" / "b" / "c" / "ledger.db").close()
    assert synced >= {tmp_path, tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "c"}


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_disk_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Such disks are rare, so flock is made to fail."""

    def flock(_file: int, _how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(LedgerError, match="cannot be locked") as caught:
        Ledger.open(tmp_path / "ledger.db")
    assert "disk of this machine" in caught.value.hint
    assert caught.value.exit == 73


def content(ledger: Path) -> dict[str, list[tuple[object, ...]]]:
    """All rows of a ledger, by table."""
    with closing(sqlite3.connect(ledger)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: database.execute(f"SELECT * FROM {table}").fetchall() for table in tables}


def test_a_run_that_finds_nothing_new_notes_only_itself(importer: Command, log: Path, ledger: Path) -> None:
    importer("import", log).ended(0)
    before = content(ledger)
    importer("import", log).ended(0)
    after = content(ledger)
    runs, ended = before.pop("runs"), after.pop("runs")
    assert ended[:-1] == runs
    assert after == before
    assert ledger.with_name("ledger.db.lock").read_text().strip() == "closed"


def test_a_killed_run_leaves_word_of_it(importer: Command, tracker: Tracker, log: Path) -> None:
    running: Future[subprocess.Popen[str]] = Future()
    tracker.behave = Meddles(10, lambda: running.result().kill())
    process = importer.start("import", log)
    running.set_result(process)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGKILL
    lock = importer.state / "ledger.db.lock"
    assert lock.read_text().strip() == str(process.pid)
    tracker.behave = None
    importer("import", log).ended(0)
    assert lock.read_text().strip() == "closed"


def test_a_relative_state_folder_is_ignored(km: Command, tracker: Tracker, log: Path) -> None:
    km.environment["XDG_STATE_HOME"] = "state-of-here"
    km("import", log, "--to", tracker.url).ended(0)
    assert (km.home / ".local" / "state" / "km-cli" / "ledger.db").exists()
    assert not Path("state-of-here").exists()
