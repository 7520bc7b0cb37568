"""`km-cli ledger`: check finds what is wrong with a ledger, backup copies it; `status` reads every format."""

from __future__ import annotations

import json
import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.make_ledgers import OLDS, UNSENT, Old
from tests.support.command import Command
from tests.support.old_ledgers import unpacked
from tests.support.people import arrived, write
from tests.support.tracker import OK, UNAVAILABLE, Tracker, held

ROWS = ("ada,Acme,Clicked,@1,1", "bob,Acme,Clicked,@1,2", "cy,,Clicked,@3,3")
CALLS = 5
BY_ID = ("--id", "plan", "--no-properties")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write(tmp_path / "log.csv", *ROWS)


@pytest.fixture
def ledger(importer: Command, tracker: Tracker, log: Path) -> Path:
    """A ledger with a call that was moved by a second, with ids, and with two pending calls."""
    tracker.behave = lambda hit, _: UNAVAILABLE if hit.params["_p"] == "Acme" else OK
    importer("import", log, "--attempts", "1", *BY_ID).ended(75)
    tracker.behave = None
    return importer.state / "ledger.db"


def edit(ledger: Path, statement: str) -> None:
    with closing(sqlite3.connect(ledger)) as database, database:
        assert database.execute(statement).rowcount


def checked(km: Command, code: int) -> dict[str, Any]:
    return json.loads(km("ledger", "check", "--json").ended(code).out)


# Check


def test_nothing_is_wrong_with_a_ledger_of_a_run(importer: Command, ledger: Path) -> None:
    assert importer("ledger", "check").ended(0).out.startswith(f"{ledger}: nothing is wrong. ")
    found = checked(importer, 0)
    assert (found["ledger"], found["problems"]) == (str(ledger), [])
    rows = found["rows"]
    assert (rows["readings"], rows["runs"], rows["slots"], rows["ids"], rows["outbox"]) == (1, 1, 5, 5, 2)


@pytest.mark.parametrize(
    ("table", "statement", "text"),
    [
        ("slots", "UPDATE slots SET calls = zeroblob(length(calls)) WHERE second % 60 = 3", "check sum"),
        ("slots", "UPDATE slots SET calls = 7 WHERE second % 60 = 3", "cannot be decoded"),
        ("slots", "DELETE FROM slots WHERE second % 60 = 2", "that second does not know it"),
        ("slots", "DELETE FROM rows", "its row 1 is missing"),
        ("outbox", "DELETE FROM slots WHERE second % 60 = 1", "stands in no slot"),
        ("outbox", "DELETE FROM readings", "its reading 1 is missing"),
        ("outbox", "UPDATE outbox SET site = 'other'", "check sum"),
        ("readings", "UPDATE readings SET mapping = '{}'", "check sum"),
        ("readings", "UPDATE readings SET rejected = rows + 1", "4 of 3 rows rejected"),
        ("rows", "UPDATE rows SET count = count + 1", "it has 3 rows, not 4"),
        ("rows", "UPDATE rows SET body = x'00'", "cannot be decoded"),
        ("runs", "UPDATE runs SET counts = 'x'", "cannot be decoded"),
        ("runs", "UPDATE runs SET ended = 0.5", "it ended before it began"),
        ("ids", "UPDATE ids SET second = 'x'", "cannot be decoded"),
        ("sent", "UPDATE sent SET calls = calls + 7", "calls by run"),
    ],
)
def test_each_kind_of_damage_is_found(
    importer: Command, ledger: Path, table: str, statement: str, text: str
) -> None:
    edit(ledger, statement)
    found = checked(importer, 73)
    assert any(one["table"] == table and text in one["text"] for one in found["problems"]), found
    result = importer("ledger", "check").ended(73)
    assert f"km-cli: the ledger {ledger}: table {table}" in result.err
    assert "next: restore a copy of it" in result.err


def test_a_damaged_page_is_found_and_the_rest_is_read(importer: Command, tmp_path: Path) -> None:
    log = write(tmp_path / "many.csv", *(f"u{n},a{n},Clicked,@{n % 60},{n}" for n in range(1000)))
    importer("import", log).ended(0)
    ledger = importer.state / "ledger.db"
    content = ledger.read_bytes()
    # A leaf of a table without rowid begins with 10 (https://www.sqlite.org/fileformat.html, 1.6): such a
    # table has the slots, and nothing is ever removed from it.
    leaves = [at for at in range(0, len(content), 4096) if content[at] == 10]
    with ledger.open("r+b") as file:
        file.seek(leaves[len(leaves) // 2])
        file.write(b"\xff" * 4096)
    found = checked(importer, 73)
    assert found["problems"]
    assert found["rows"]["readings"] == 1


def test_a_file_that_is_no_ledger_is_refused(importer: Command, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_bytes(b"not a database at all" * 100)
    for words in (("check",), ("backup", tmp_path / "copy.db")):
        assert "is not a ledger" in importer("ledger", *words, "--ledger", other).ended(73).err
    assert not (tmp_path / "copy.db").exists()


@pytest.mark.parametrize("old", [*OLDS, UNSENT], ids=[old.id for old in (*OLDS, UNSENT)])
def test_ledgers_of_all_formats_are_right_and_stay_as_they_are(km: Command, tmp_path: Path, old: Old) -> None:
    folder = unpacked(old, tmp_path)
    ledger = folder / "ledger.db"
    before = ledger.read_bytes()
    words = ("--to", f"local:{ledger}") if old.local else ("--ledger", ledger)
    assert json.loads(km("ledger", "check", *words, "--json").ended(0).out)["problems"] == []
    found = km("status", *words, "--json").ended(0).summary
    assert sum(site["sent"] + site["pending"] for site in found["sites"]) == sum(
        source["sent"] + source["pending"] for source in found["sources"]
    )
    assert ledger.read_bytes() == before


def test_a_run_may_be_at_work_meanwhile(
    importer: Command, tracker: Tracker, log: Path, tmp_path: Path
) -> None:
    tracker.behave = lambda _hit, number: held(number + 2)
    with importer.start("import", log, "--concurrency", "1") as running:
        while not tracker.seen:
            assert running.poll() is None
            time.sleep(0.01)
        found = checked(importer, 0)
        assert found["rows"]["outbox"] > 0
        importer("ledger", "backup", tmp_path / "copy.db").ended(0)
        tracker.behave = None
        tracker.answer_all()
        assert running.wait() == 0
    assert "nothing is wrong" in importer("ledger", "check", "--ledger", tmp_path / "copy.db").ended(0).out


# Backup


def test_a_copy_goes_on_where_the_ledger_was(
    importer: Command, tracker: Tracker, log: Path, ledger: Path
) -> None:
    """What was sent is known there, and what was pending is sent."""
    copy = ledger.parent / "copies" / "ledger.db"
    copy.parent.mkdir()
    out = importer("ledger", "backup", copy).ended(0).out
    assert out.startswith(f"copied {ledger} to {copy} (")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    ledger.unlink()
    copy.rename(ledger)
    importer("import", log, *BY_ID).ended(0)
    assert (len(tracker.hits), len(arrived(tracker))) == (CALLS, CALLS)


def test_nothing_is_overwritten(importer: Command, ledger: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    copy.write_text("mine")
    assert "exists already" in importer("ledger", "backup", copy).ended(2).err
    assert copy.read_text() == "mine"
    assert not ledger.with_name("copy.db.part").exists()


def test_a_copy_that_cannot_be_made_leaves_nothing(importer: Command, ledger: Path, tmp_path: Path) -> None:
    result = importer("ledger", "backup", tmp_path / "absent" / "copy.db").ended(73)
    assert f"the ledger {ledger} cannot be copied to {tmp_path}/absent/copy.db" in result.err
