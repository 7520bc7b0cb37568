"""A ledger that is damaged, missing or not ours ends a run with 73 and a hint, and stays as it is."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from km_cli.standin import Store
from tests.support.command import Command, Result
from tests.support.logs import COMMANDS, said
from tests.support.patience import PATIENCE
from tests.support.tracker import OK, Tracker, refuse

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


def kept(folder: Path) -> dict[str, bytes]:
    """The files of a folder. Not the lock, and no empty log, which readers of a ledger at rest leave."""
    files = {
        path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith((".lock", "-shm"))
    }
    return {name: content for name, content in files.items() if content or not name.endswith("-wal")}


def is_refused(command: Command, log: Path, tracker: Tracker, *parts: str) -> None:
    """Check that import and dry-run end with 73 and these words, send nothing, and change no file."""
    before = kept(command.state)
    for verb in COMMANDS:
        said(command(verb, log).ended(73), *parts)
        assert kept(command.state) == before
    assert tracker.seen == []


# Not a file


@pytest.mark.parametrize(
    "name", ["", ":memory:", ".", "..", "/", "/dev/null", "folder", "pipe", "log.csv/ledger.db"]
)
def test_what_is_no_file_is_refused(importer: Command, tracker: Tracker, log: Path, name: str) -> None:
    (log.parent / "folder").mkdir()
    os.mkfifo(log.parent / "pipe")
    before = sorted(os.listdir(log.parent))
    for verb in COMMANDS:
        process = importer.start(verb, "log.csv", "--ledger", name, cwd=log.parent)
        out, err = process.communicate(timeout=PATIENCE)
        said(Result(process.returncode, out, err).ended(73), "--ledger")
    assert sorted(os.listdir(log.parent)) == before
    assert tracker.seen == []


@pytest.mark.parametrize("name", [":memory:", "/dev/null"])
def test_the_local_store_needs_a_file_as_well(km: Command, log: Path, name: str) -> None:
    said(km("import", log, "--to", f"local:{name}").ended(73), name)


# Another program's


def a_table(path: Path) -> None:
    script(path, "CREATE TABLE bookmarks (url)")


def a_table_like_ours(path: Path) -> None:
    script(
        path,
        "CREATE TABLE meta (key, value); INSERT INTO meta VALUES ('version', '2'); CREATE TABLE slots (a)",
    )


def an_id_of_its_own(path: Path) -> None:
    script(path, "PRAGMA application_id = 252006675; CREATE TABLE meta (key, value)")


def a_log_that_is_needed(path: Path) -> None:
    """All its tables are in the write-ahead log: a look at it must not move them."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript("PRAGMA journal_mode = WAL; CREATE TABLE bookmarks (url);")
        copies = [(beside, beside.read_bytes()) for beside in (path, path.with_name(path.name + "-wal"))]
    for beside, content in copies:
        beside.write_bytes(content)
        beside.chmod(0o600)


def text(path: Path) -> None:
    path.write_bytes(b"Dear diary, " * 100)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def no_table(path: Path) -> None:
    """A young ledger may lose all its tables with its write-ahead log."""
    script(path, "PRAGMA journal_mode = WAL")


def script(path: Path, statements: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(statements)


@pytest.mark.parametrize(
    "make", [a_table, a_table_like_ours, an_id_of_its_own, a_log_that_is_needed, text, empty, no_table]
)
def test_what_is_no_ledger_is_left_as_it_is(
    importer: Command, tracker: Tracker, log: Path, make: Callable[[Path], None]
) -> None:
    importer.state.mkdir(parents=True)
    path = importer.state / "ledger.db"
    make(path)
    path.chmod(0o600)
    is_refused(importer, log, tracker, str(path))


def test_a_store_without_a_ledger_gets_one(km: Command, tmp_path: Path, log: Path) -> None:
    store = tmp_path / "local.db"
    Store(store).close()
    store.chmod(0o600)
    km("import", log, "--to", f"local:{store}").ended(0)


# Beside it


def strangers(folder: Path, path: Path) -> None:
    """Leave another ledger's write-ahead log beside this one."""
    other = folder / "other.db"
    shutil.copy(path, other)
    with closing(sqlite3.connect(other)) as database:
        database.executescript("PRAGMA journal_mode = WAL; DELETE FROM outbox;")
        shutil.copy(folder / "other.db-wal", path.with_name(path.name + "-wal"))


def test_a_log_of_another_ledger_is_not_taken_for_its_own(
    importer: Command, tracker: Tracker, log: Path, ledger: Path, tmp_path: Path
) -> None:
    strangers(tmp_path, ledger)
    is_refused(importer, log, tracker, "ledger.db-wal", "move it away")
    ledger.with_name("ledger.db-wal").unlink()
    importer("import", log).ended(0)
    assert len(tracker.seen) == 90


def test_a_journal_is_never_its_own(importer: Command, tracker: Tracker, log: Path, ledger: Path) -> None:
    ledger.with_name("ledger.db-journal").write_bytes(bytes.fromhex("d9d505f920a163d7") + bytes(1000))
    is_refused(importer, log, tracker, "ledger.db-journal", "move it away")


def test_a_log_without_its_ledger_is_not_a_new_one(
    importer: Command, tracker: Tracker, log: Path, ledger: Path, tmp_path: Path
) -> None:
    strangers(tmp_path, ledger)
    ledger.unlink()
    is_refused(importer, log, tracker, "ledger.db-wal", "gone")


def test_one_that_was_removed_is_new(importer: Command, tracker: Tracker, log: Path, ledger: Path) -> None:
    ledger.unlink()
    importer("import", log).ended(0)
    assert len(tracker.seen) == 120


def test_a_log_that_a_dry_run_still_reads_is_its_own(
    importer: Command, tracker: Tracker, log: Path, ledger: Path
) -> None:
    with closing(sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT sum(pending) FROM outbox").fetchone() == (90,)
        importer("import", log).ended(0)
        assert ledger.with_name("ledger.db-wal").stat().st_size
    importer("import", log).ended(0)
    assert len(tracker.seen) == 90


# Damaged


def test_a_page_of_zeros_is_found_after_an_unclean_end(
    importer: Command, tracker: Tracker, log: Path, ledger: Path
) -> None:
    """Pages that no run would read, too."""
    ledger.with_name("ledger.db.lock").write_text("123\n")
    with closing(sqlite3.connect(ledger)) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'spellings'").fetchone()
        database.execute("PRAGMA journal_mode = DELETE")
    content = bytearray(ledger.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = bytes(4096)
    ledger.write_bytes(content)
    before = kept(importer.state)
    for _ in range(2):
        said(importer("import", log).ended(73), str(ledger), "damaged")
        assert kept(importer.state).keys() == before.keys()
    assert tracker.seen == []


NONSENSE = [
    "UPDATE meta SET value = 'two'",
    "UPDATE meta SET value = x'00'",
    "UPDATE meta SET key = 'versiom'",
    "DELETE FROM meta",
    "DROP TABLE meta",
    "DROP TABLE slots",
    "DROP TABLE unreported_rejects",
    "UPDATE sites SET salt = 'salt'",
    "UPDATE sites SET fingerprint = x'00'",
    "UPDATE readings SET columns = '[1]'",
    "UPDATE readings SET columns = '{'",
    "UPDATE readings SET mapping = '[[[' || mapping",
    "UPDATE readings SET mapping = '{}'",
    "UPDATE readings SET digest = 'text'",
    "UPDATE readings SET length = 'long'",
    "UPDATE readings SET reading = 9",
    "UPDATE outbox SET body = CAST(body AS TEXT)",
    "UPDATE outbox SET body = x''",
    "UPDATE outbox SET body = x'0102'",
    "UPDATE outbox SET body = CAST(x'ff' || substr(body, 2) AS BLOB)",
    "UPDATE outbox SET body = substr(body, 1, length(body) - 9)",
    "UPDATE outbox SET site = x'ff'",
    "UPDATE outbox SET site = CAST(x'ff' AS TEXT)",
    "UPDATE outbox SET tracker = 7",
    "UPDATE outbox SET pending = 'many'",
    "INSERT INTO outbox_aliases SELECT * FROM outbox",
    "INSERT INTO outbox_aliases VALUES (5, 'tracker', 'main', 1, 'text')",
    "UPDATE slots SET calls = 'text'",
    "UPDATE slots SET calls = x'0102'",
    "UPDATE slots SET calls = x'09' || substr(calls, 2)",
    "UPDATE slots SET calls = substr(calls, 1, length(calls) - 3)",
    "UPDATE slots SET second = 'text' || second",
    "INSERT INTO unreported_rejects VALUES (x'00', 'many')",
    "UPDATE runs SET counts = '['",
    "UPDATE runs SET run = 9000000000000000000",
    "UPDATE runs SET began = 'once'",
    "UPDATE sent SET calls = 'many'",
    "UPDATE sent SET day = 'then'",
    "INSERT INTO pauses SELECT tracker, 1e300, 1, 'why' FROM sites",
    "INSERT INTO pauses SELECT tracker, 'soon', 'x', 7 FROM sites",
    "UPDATE owners SET identity = 7",
    "INSERT INTO instances SELECT person || x'01020304', 'n' FROM owners",
    "UPDATE calls_by_person SET calls = 'many'",
    "UPDATE calls_by_person SET calls = 999, is_busy = 1",
    "UPDATE calls_by_person SET calls = 999, is_busy = 1, person = CAST(person AS TEXT)",
    "UPDATE calls_by_person SET is_busy = 1; INSERT INTO instances SELECT person || x'00', 'n' FROM owners",
    "UPDATE totals SET people = 'few'",
    "UPDATE spellings SET person = 1",
    "UPDATE names SET name = CAST(name AS TEXT)",
]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE outbox SET body = CAST(substr(body, 1, 99) || 'x' || substr(body, 101) AS BLOB)",
        "UPDATE outbox SET record = record + 1000",
        "UPDATE outbox SET pending = pending + 1",
        "UPDATE outbox SET tracker = tracker || 'x'",
        "UPDATE outbox SET site = 'other'",
        "UPDATE readings SET mapping = replace(mapping, 'event', 'plan')",
        "UPDATE readings SET start = x'00'",
    ],
)
def test_a_value_that_looks_right_but_was_changed_is_damage(
    importer: Command, tracker: Tracker, log: Path, ledger: Path, statement: str
) -> None:
    """Neither a changed call is sent, nor a row under a changed mapping."""
    left = 0 if "outbox" in statement else 90
    with log.open("a") as file:
        file.write("u9,Acme,Event 9,2024-01-01T00:01:09Z,pro\n")
    script(ledger, statement)
    said(importer("import", log).ended(73), str(ledger), "damaged", "check sum")
    assert len(tracker.seen) == left


@pytest.mark.parametrize("statement", NONSENSE)
def test_nonsense_is_never_a_bug(
    importer: Command, tracker: Tracker, log: Path, ledger: Path, statement: str
) -> None:
    """Each run ends well or reports the damage, also where calls are rejected."""
    script(ledger, f"PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; {statement};")
    with log.open("a") as file:
        file.write("u1,Acme,Event 1,2024-01-01T00:00:09Z,pro\nu9,Acme,Event 9,2024-01-01T00:01:09Z,pro\n")
    tracker.behave = lambda hit, _: refuse(400) if hit.params["_p"] == "u3" else OK
    for verb in ("dry-run", "import", "import"):
        result = importer(verb, log)
        assert result.code in (0, 65, 73), result
        assert "Traceback" not in result.err
        if result.code == 73:
            said(result, str(ledger))


def flipped(ledger: Path, draw: random.Random, most: int) -> None:
    """Flip some bits of a ledger."""
    content = bytearray(ledger.read_bytes())
    for _ in range(draw.randrange(1, most)):
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    ledger.write_bytes(content)


@pytest.mark.parametrize("seed", range(6))
def test_flipped_bits_are_never_a_bug(
    importer: Command, tracker: Tracker, log: Path, ledger: Path, seed: int
) -> None:
    flips_are_never_a_bug(importer, tracker, log, ledger, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6, 60))
def test_many_flipped_bits_are_never_a_bug(
    importer: Command, tracker: Tracker, log: Path, ledger: Path, seed: int
) -> None:
    flips_are_never_a_bug(importer, tracker, log, ledger, seed)


def flips_are_never_a_bug(importer: Command, tracker: Tracker, log: Path, ledger: Path, seed: int) -> None:
    draw = random.Random(seed)
    whole = ledger.read_bytes()
    with log.open("a") as file:
        file.write("u1,Acme,Event 1,2024-01-01T00:00:09Z,pro\n")
    tracker.behave = lambda hit, _: refuse(400) if hit.params.get("_p") == "u3" else OK
    for most in (3, 30, 300):
        for beside in importer.state.glob("ledger.db*"):
            beside.unlink()
        ledger.write_bytes(whole)
        ledger.chmod(0o600)
        flipped(ledger, draw, most)
        if draw.random() < 0.5:
            ledger.with_name("ledger.db.lock").write_text("closed\n")
        for verb in ("dry-run", "import", "import"):
            result = importer(verb, log)
            assert result.code in (0, 2, 65, 69, 73, 74, 75), (seed, most, result)
            assert "Traceback" not in result.err
