"""Files are synced in an order in which no power failure loses them, or makes them look foreign.

The proof by power loss (`tests/proof/power_loss.py`) has found each of these orders to be wrong once.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from km_cli.destinations.part_file import PartFile
from km_cli.errors import LedgerError
from km_cli.ledger import Ledger
from km_cli.ledger.pauses import Pause
from km_cli.rejects.file import RejectsFile
from tests.support.command import Command

CLOSED = b"closed"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A ledger that was closed properly."""
    path = tmp_path / "ledger.db"
    Ledger.open(path).close()
    return path


def lock_of(ledger: Path) -> bytes:
    return ledger.with_name("ledger.db.lock").read_bytes()


def at_each_sync(monkeypatch: pytest.MonkeyPatch, look: Callable[[Path], None]) -> None:
    """Call `look` with the file or folder before each sync by Python."""
    fsync = os.fsync

    def looking(file: int) -> None:
        look(Path(f"/proc/self/fd/{file}").resolve())
        fsync(file)

    monkeypatch.setattr(os, "fsync", looking)


def test_the_log_is_gone_for_good_before_the_lock_says_so(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the log may be back while the lock says that there is none."""
    seen: list[tuple[bool, bool, bool]] = []
    log = ledger.with_name("ledger.db-wal")
    opened = Ledger.open(ledger)
    opened.pause("t", Pause(1.0, 0, "it is asked for"))
    at_each_sync(
        monkeypatch, lambda path: seen.append((path.is_dir(), log.exists(), CLOSED in lock_of(ledger)))
    )
    opened.close()
    assert (True, False, False) in seen
    assert CLOSED in lock_of(ledger)


def test_a_run_that_writes_nothing_syncs_nothing(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backfill that runs each minute and finds nothing new costs the disk nothing."""
    seen: list[Path] = []
    at_each_sync(monkeypatch, seen.append)
    Ledger.open(ledger).close()
    assert seen == []


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE horizons; DROP TABLE bulk_parts; UPDATE meta SET value = '5' WHERE key = 'version'",
        "PRAGMA journal_mode = DELETE",
    ],
    ids=["an older format", "a copy by ledger backup"],
)
def test_the_lock_says_that_a_run_is_at_work_before_the_ledger_changes(
    ledger: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Else the log of the change may be there while the lock says that there is none."""
    with closing(sqlite3.connect(ledger)) as database:
        database.executescript(change)
    before = ledger.read_bytes()
    seen: list[tuple[str, bytes, bytes]] = []
    at_each_sync(monkeypatch, lambda path: seen.append((path.name, ledger.read_bytes(), lock_of(ledger))))
    Ledger.open(ledger).close()
    with_lock = [content for name, content, lock in seen if name == "ledger.db.lock" and CLOSED not in lock]
    assert with_lock == [before]


def test_a_lock_that_cannot_be_synced_leaves_an_older_ledger_as_it_was(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(ledger)) as database:
        database.execute("PRAGMA journal_mode = DELETE")
    before = ledger.read_bytes()

    def full(_file: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LedgerError, match=r"the ledger's lock .* cannot be written: Input/output error"):
        Ledger.open(ledger)
    assert ledger.read_bytes() == before


def test_a_new_folder_for_rejects_is_synced_into_its_parents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the folder may be gone, and its rejects with it, though the ledger knows their rows."""
    seen: list[tuple[Path, bool]] = []
    rejects = tmp_path / "new" / "folder" / "rejects.jsonl"
    at_each_sync(monkeypatch, lambda path: seen.append((path, rejects.exists())))
    file = RejectsFile(rejects)
    file.write([b"{}\n"])
    file.close()
    assert [path for path, _ in seen] == [tmp_path, tmp_path / "new", rejects.parent, rejects]
    assert seen[2] == (rejects.parent, True)


@pytest.mark.parametrize("content", [bytes(512), b"?" * 512])
def test_a_torn_first_page_is_taken_from_the_log(ledger: Path, tmp_path: Path, content: bytes) -> None:
    """The power failed while the log was moved into the ledger's file. The log still has all of it."""
    opened, torn = Ledger.open(ledger), tmp_path / "torn"
    opened.pause("t", Pause(1.0, 0, "it is asked for"))
    opened._database.execute("PRAGMA user_version = 0")  # It stands in the first page.
    shutil.copytree(tmp_path, torn)
    opened.close()
    with (torn / "ledger.db").open("r+b") as file:
        file.write(content)
    Ledger.overlay(torn / "ledger.db").close()
    again = Ledger.open(torn / "ledger.db")
    assert again.pauses.by_tracker("t") is not None
    again.close()
    assert (torn / "ledger.db").read_bytes().startswith(b"SQLite format 3\0")


def test_a_torn_first_page_without_a_log_is_damage(ledger: Path) -> None:
    with ledger.open("r+b") as file:
        file.write(bytes(512))
    ledger.with_name("ledger.db-wal").write_bytes(b"no log of SQLite")
    with pytest.raises(LedgerError, match="it is not an SQLite file"):
        Ledger.open(ledger)


def test_an_empty_bulk_file_is_gone_for_good_before_the_ledger_forgets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.json.part"
    part = PartFile.create(path)
    seen: list[tuple[Path, bool]] = []
    at_each_sync(monkeypatch, lambda synced: seen.append((synced, path.exists())))
    part.remove()
    assert seen == [(tmp_path, False)]


@pytest.mark.parametrize("name", ["rejects.jsonl", "rejects.csv"])
def test_a_rejects_file_of_zeros_is_begun_anew(km: Command, tmp_path: Path, name: str) -> None:
    """After a power failure a file may have its size and not its content."""
    log, rejects = tmp_path / "log.csv", tmp_path / name
    log.write_text("timestamp,user,account,event\n2024-01-01T00:00:00Z,,,In\n", encoding="utf-8")
    words = ("import", log, "--to", f"local:{tmp_path}/local.db", "--rejects", rejects)
    km(*words).ended(65)
    size = len(rejects.read_bytes())
    rejects.write_bytes(bytes(300))
    (tmp_path / "local.db").unlink()
    km(*words).ended(65)
    assert b"\0" not in rejects.read_bytes()
    assert len(rejects.read_bytes()) == size


def test_a_file_that_begins_with_zeros_is_not_taken_for_rejects(km: Command, tmp_path: Path) -> None:
    log, rejects = tmp_path / "log.csv", tmp_path / "rejects.jsonl"
    log.write_text("timestamp,user,account,event\n2024-01-01T00:00:00Z,,,In\n", encoding="utf-8")
    for content in (bytes(300) + b"x", bytes(1 << 20)):
        rejects.write_bytes(content)
        words = ("import", log, "--to", f"local:{tmp_path}/local.db", "--rejects", rejects)
        assert "does not hold rejects" in km(*words).ended(2).err
        assert rejects.read_bytes() == content
