"""Ledgers of older formats go on: they keep all they hold, and pending calls are sent byte for byte."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

import pytest

from km_cli.ledger import Ledger
from km_cli.ledger.format_4_record import RecordCall, RecordRow, pack_record
from km_cli.ledger.migrations import STEPS, backup_of, migrate, run
from km_cli.ledger.runs import NO_RUN
from km_cli.ledger.schema import VERSION
from km_cli.ledger.sent import Sent
from km_cli.model import NO_SECOND
from tests.make_ledgers import (
    BUSY,
    FOLLOWED,
    FOLLOWED_ROWS,
    HEADER,
    OLDS,
    UNSENT,
    Old,
    busy_rows,
    wire,
)
from tests.support.killing import Killer, Place
from tests.support.old_ledgers import (
    OPENING,
    command_of,
    dry_runs_alone,
    payloads,
    pending,
    runs,
    start_with_room,
    tracker_of,
    unpacked,
)
from tests.support.patience import PATIENCE
from tests.support.tracker import Tracker, refuse

by_name = pytest.mark.parametrize("old", OLDS, ids=[old.id for old in OLDS])
TRACKED = [old for old in OLDS if not old.local]
OLDS_OF_3 = [old for old in OLDS if old.format == 3]
LOCAL = [old for old in OLDS if old.local]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture(autouse=True)
def one_at_a_time() -> Iterator[None]:
    """Let no other process of this run use the trackers, whose addresses are those that the ledgers know."""
    with Path(tempfile.gettempdir(), f"km-cli-old-ledgers-{os.getuid()}").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def version(path: Path) -> str:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return str(database.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()[0])


@pytest.mark.parametrize("old", TRACKED, ids=[old.id for old in TRACKED])
def test_pending_calls_are_sent_as_they_stand_and_nothing_twice(tmp_path: Path, old: Old) -> None:
    """Each pending call is sent once, byte for byte; all that was not sent follows; then there is nothing."""
    folder = unpacked(old, tmp_path)
    left, arrived = pending(folder), (old.data / "arrived.txt").read_text("ascii").split()
    assert left
    with tracker_of(old) as tracker:
        first = runs(old, folder)
        assert [result.code in (0, 65) for result in first] == [True] * len(first), first
        sent = [wire(hit) for hit in tracker.seen]
        assert max(Counter(sent).values()) == 1
        assert set(left) <= set(sent)
        assert set(sent) & set(arrived) <= set(left)  # They arrived, and the ledger did not know it yet.
        tracker.forget()
        for result in runs(old, folder):
            result.ended(0)
        assert tracker.seen == []
        (folder / "ledger.db").unlink()
        runs(old, folder)
        anew = [wire(hit) for hit in tracker.seen]
    if old.name != "exports":  # Its calls depend on those that were sent before.
        assert {*sent, *arrived} == set(anew)
    assert version(backup_of(folder / "ledger.db", old.format)) == str(old.format)


def test_a_log_that_grows_is_told_apart_by_its_rows(tmp_path: Path) -> None:
    """Format 2 knows the properties that were sent, not the rows: these are read once more."""
    folder = unpacked(UNSENT, tmp_path)
    log = folder / "log.csv"
    first = log.read_text().splitlines()[1]
    with tracker_of(UNSENT) as tracker:
        with log.open("a") as file:
            file.write(first.replace("plan 0", "plan 7") + "\n")
        (result,) = runs(UNSENT, folder)
        result.ended(0)
        assert sorted(hit.params["_p"] for hit in tracker.seen) == ["Acme", "u0"]
        runs(UNSENT, folder)[0].ended(0)
        assert len(tracker.seen) == 2


def append(log: Path, *rows: str) -> None:
    with log.open("a") as file:
        file.writelines(f"{row}\n" for row in rows)


def sets_of(tracker: Tracker) -> list[tuple[str, ...]]:
    """The person, the second of the minute and the plan of each `/s` that came."""
    return [
        (hit.params["_p"], str(int(hit.params["_t"]) % 60), hit.params["plan"])
        for hit in tracker.seen
        if hit.path == "/s"
    ]


def test_a_set_that_was_sent_once_follows_changes_from_format_4(tmp_path: Path) -> None:
    """Nothing that was sent is sent again, and a row sends its value only if that is a change."""
    folder = unpacked(FOLLOWED, tmp_path)
    log, left = folder / "log.csv", pending(folder)
    assert [call for call in left if call.startswith("/s")] == ["/s?_p=Brick&_t=1704067204&_d=1&plan=free"]
    with tracker_of(FOLLOWED) as tracker:
        for result in (*runs(FOLLOWED, folder), *runs(FOLLOWED, folder)):
            result.ended(0)
        assert [wire(hit) for hit in tracker.seen] == left
        append(log, "u0,Acme,Up,2024-01-01T00:00:10Z,pro", "u0,Brick,Up,2024-01-01T00:00:11Z,max")
        tracker.forget()
        runs(FOLLOWED, folder)[1].ended(0)
        assert sets_of(tracker) == [("Brick", "11", "max")]


def test_rows_that_format_4_has_read_send_only_changes(tmp_path: Path) -> None:
    """A log that is read from its start once more has changes that format 4 did not send."""
    folder = unpacked(FOLLOWED, tmp_path)
    with tracker_of(FOLLOWED) as tracker:
        runs(FOLLOWED, folder)
        tracker.forget()
        rows = [",".join(row.split(",")[::-1]) for row in (HEADER, *FOLLOWED_ROWS)]
        (folder / "log.csv").write_text("".join(f"{row}\n" for row in rows))
        for _ in range(2):
            runs(FOLLOWED, folder)[1].ended(0)
        assert [hit.path for hit in tracker.seen] == ["/s"] * 3
        assert sets_of(tracker) == [("Acme", "1", "max"), ("Acme", "2", "pro"), ("Brick", "5", "max")]


def test_a_property_that_a_row_states_changes_the_value_of_format_4(tmp_path: Path) -> None:
    """The value of format 4 is not sent again, but for a row behind the stated value."""
    folder = unpacked(FOLLOWED, tmp_path)
    log = folder / "log.csv"
    with tracker_of(FOLLOWED) as tracker:
        runs(FOLLOWED, folder)
        tracker.forget()
        (folder / "people.csv").write_text("account,plan\nAcme,max\n")
        append(log, "u0,Acme,Up,2024-05-01T00:00:09Z,pro")
        for result in (*runs(FOLLOWED, folder), *runs(FOLLOWED, folder)):
            result.ended(0)
        assert sets_of(tracker) == [("Acme", "0", "max"), ("Acme", "9", "pro")]
        tracker.forget()
        log.write_text("\n".join([HEADER, *FOLLOWED_ROWS[:1], ""]))  # It sent the value once and for all.
        runs(FOLLOWED, folder)[1].ended(0)
        assert sets_of(tracker) == []


@pytest.mark.parametrize("old", LOCAL, ids=[old.id for old in LOCAL])
def test_a_store_that_shares_the_file_keeps_all(tmp_path: Path, old: Old) -> None:
    folder = unpacked(old, tmp_path)
    assert pending(folder)
    for result in (*runs(old, folder), *runs(old, folder)):
        result.ended(0)
    assert pending(folder) == []
    assert_store_keeps_all(folder)


def assert_store_keeps_all(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "ledger.db")) as database:
        kept = database.execute(
            "SELECT second, identity, shown FROM kept_events JOIN kept_people AS p "
            "ON p.id = person JOIN kept_names AS n ON n.id = name"
        ).fetchall()
        assert len(kept) == 48 == len(set(kept))


@by_name
def test_a_dry_run_leaves_an_old_ledger_as_it_is(tmp_path: Path, old: Old) -> None:
    """It works on a copy, the write-ahead log included, and removes that."""
    folder = unpacked(old, tmp_path)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    before = content(folder)
    for result in dry_runs_alone(old, folder, temporary):
        assert result.code in (0, 65), result
        assert "Traceback" not in result.err
    after = content(folder)
    after.pop("ledger.db-shm", None)
    assert after == before
    assert list(temporary.iterdir()) == []


@by_name
def test_the_copy_is_whole_and_for_its_owner_alone(tmp_path: Path, old: Old) -> None:
    folder = unpacked(old, tmp_path)
    left = pending(folder)
    runs(old, folder)
    kept = backup_of(folder / "ledger.db", old.format)
    assert kept.stat().st_mode & 0o777 == 0o600
    assert version(folder / "ledger.db") == str(VERSION)
    assert [path.name for path in folder.glob("ledger.db*") if "format" in path.name] == [kept.name]
    assert payloads(kept) == left


RENAMED = {"untold": "unreported_rejects", "persons": "owners", "changed": "changed_calls"}


def rows_of(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """All rows of a ledger, by the newer names of its tables."""
    with closing(sqlite3.connect(path)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            RENAMED.get(table, table): sorted(database.execute(f"SELECT * FROM {table}").fetchall(), key=repr)
            for table in tables
        }


@pytest.mark.parametrize("old", OLDS_OF_3, ids=[old.id for old in OLDS_OF_3])
def test_all_that_a_ledger_of_format_3_holds_is_kept(tmp_path: Path, old: Old) -> None:
    """Pending calls with their rows, in their order; every row of the other tables; pending calls count."""
    path = unpacked(old, tmp_path) / "ledger.db"
    before = rows_of(path)
    sources = {row: values for row, *values in before["outbox_rows"]}
    calls = sorted(before["outbox"])
    with closing(Ledger.open(path)) as ledger:
        assert {one[2] for one in calls} == {old.tracker}
        pending = [
            planned_call
            for found in (ledger.outbox.pending, ledger.outbox.aliases)
            for some in found(old.tracker, ("main", "accounts"))
            for planned_call in some
        ]
        assert len(pending) == len(calls)
        for one, call in zip(pending, sorted(calls, key=lambda call: call[7] == NO_SECOND), strict=True):
            assert one[:8] == call[3:11]
            source = ledger.outbox.source_of(one)
            origin = json.dumps(source.row.origin) if source.row.origin else None
            place = [source.reading, source.row.source, source.row.line, source.row.raw, origin]
            assert (source.run, place) == (NO_RUN, sources[call[1]])
        assert len({one.row for one in pending}) == len(sources)
        assert ledger.sent.total(old.tracker, NO_RUN) == Counter(map(Sent.of_pending, pending))
    after = rows_of(path)
    for table in before.keys() - {"meta", "outbox", "outbox_rows", "instances"}:
        assert after[table] == before[table], table
    assert before["unreported_rejects"] or old.name != "killed"
    assert before["changed_calls"] or old.name != "exports"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE outbox SET payload = CAST(replace(payload, 'plan', 'plam') AS BLOB)",
        "UPDATE outbox SET person = x'01'",
        "DELETE FROM outbox_rows",
        "UPDATE outbox_rows SET raw = 'text'",
    ],
)
def test_damage_gets_no_new_check_sum(tmp_path: Path, statement: str) -> None:
    """A pending call that was changed is found, and the ledger stays as it is."""
    old = OLDS_OF_3[0]
    folder = unpacked(old, tmp_path)
    with closing(sqlite3.connect(folder / "ledger.db")) as database:
        database.execute(statement)
        database.commit()
    left = pending(folder)
    with tracker_of(old) as tracker:
        for result in runs(old, folder):
            assert "a value in its table 'outbox' is not what km-cli wrote there" in result.ended(73).err
        assert tracker.seen == []
    assert (pending(folder), version(folder / "ledger.db")) == (left, "3")


@pytest.mark.parametrize("verb", ["dry-run", "import"])
def test_instances_are_counted_on_from_format_3(tmp_path: Path, verb: str) -> None:
    """The account with many keeps its numbers; those of the other one come from the slots (D7)."""
    folder = unpacked(BUSY, tmp_path)
    with (folder / "log.csv").open("a") as file:
        rows = busy_rows(900, 1305, "Acme") + busy_rows(1305, 2008, "Brick")
        file.write("".join(f"{row}\n" for row in rows))
    with tracker_of(BUSY):
        (done,) = runs(BUSY._replace(runs=(("log.csv", "--json"),)), folder, verb)
        (after,) = runs(BUSY._replace(runs=(("log.csv", "--json"),)), folder, "dry-run")
    summary = done.ended(0).summary
    assert summary["rows"]["sent"] == len(rows)
    assert summary["findings"]["D7"] == 600 + 405 + 300 + 703 - 2000
    held = (summary if verb == "dry-run" else after.summary)["forecast"]["main"]
    assert held["account"]["events"] == 2000
    assert held["user"]["events"] == 2008
    if verb == "import":
        assert version(backup_of(folder / "ledger.db", 3)) == "3"
        assert version(folder / "ledger.db") == str(VERSION)


# A record of format 4, byte by byte


RECORD = bytes.fromhex(
    "0000000000000006000000000000000000000000000000030000000000000004"
    "0000000800000022000000036cc3b6672e637376"
    "5b22746f6b222c205b2275736572225d2c205b2261222c202262225d2c20222c225d726177"
    "000000040000000f000000006553f100000000037070707070707070646464646464646408747474747474747475736572"
    "2f653f5f703d616461265f6e3d496e"
    "000100070000000a000000006553f1000000000071717171717171716565656565656565000000000000000000"
    "6163636f756e742f653f5f703d41636d653522e796"
)


def test_the_step_to_format_4_writes_what_format_4_has() -> None:
    """Whatever becomes of the records of later formats, the steps behind this one know these bytes."""
    calls = [
        RecordCall("user", b"/e?_p=ada&_n=In", b"p" * 8, 1_700_000_000, 3, b"d" * 8, b"t" * 8),
        RecordCall("account", b"/e?_p=Acme", b"q" * 8, 1_700_000_000, 0, b"e" * 8, b""),
    ]
    row = RecordRow(6, 3, "lög.csv", 4, b"raw", '["tok",["user"],["a","b"],","]')
    assert pack_record(7, "t", "main", row, calls) == (7, "t", "main", 2, RECORD)


# Killed, or without room


def check_pending(old: Old, left: list[str], found: list[str]) -> None:
    """Check that the same calls are pending, aliases last, and beside them only calls that are new."""
    assert [call for call in found if call in left] == ([] if old.local else with_aliases_last(left))
    arrived = set() if old.local else set((old.data / "arrived.txt").read_text("ascii").split())
    assert not arrived.intersection(found).difference(left)


def with_aliases_last(calls: list[str]) -> list[str]:
    return sorted(calls, key=lambda call: call.startswith("/a?"))


def stays_pending(old: Old) -> AbstractContextManager[object]:
    """A tracker that refuses calls at once, so that they stay pending; a store needs none."""
    return nullcontext() if old.local else tracker_of(old, lambda _hit, _number: refuse(403))


def killed_while_migrating(killer: Killer, folder: Path, old: Old, lines: Iterable[int]) -> None:
    """Kill it at each of the lines of a ledger of its own; then the next run goes on."""
    kills = 0
    for line in lines:
        here = unpacked(old, folder / str(line))
        left = pending(here)
        words, command = next(old.commands()), command_of(old, here)
        killed = killer.run(command, Place(line, OPENING), *words, cwd=here).code
        assert killed in (-signal.SIGKILL, 0, 65, 69, 75)
        kills += killed == -signal.SIGKILL
        if killed == -signal.SIGKILL:
            # A store takes calls as soon as the ledger is open.
            assert set(pending(here)) <= set(left) if old.local else sorted(pending(here)) == sorted(left)
        runs(old, here)
        check_pending(old, left, pending(here))
        if old.local:
            assert_store_keeps_all(here)
        names = {path.name for path in here.glob("ledger.db*")}
        copies = {backup_of(here / "ledger.db", number).name for number in range(old.format, VERSION)}
        assert names - copies == {"ledger.db", "ledger.db.lock"}
        assert version(here / "ledger.db") == str(VERSION)
        assert version(backup_of(here / "ledger.db", old.format)) == str(old.format)
        shutil.rmtree(here)
    assert kills


@by_name
def test_killed_at_many_lines_it_goes_on(killer: Killer, tmp_path: Path, old: Old) -> None:
    """Each ledger is killed at lines of its own, so that all lines have their turn."""
    with stays_pending(old):
        here = unpacked(old, tmp_path / "counted")
        killer.run(command_of(old, here), Place(0, OPENING), *next(old.commands()), cwd=here)
        lines = range(OLDS.index(old) + 1, killer.passed + 1, len(OLDS))
        killed_while_migrating(killer, tmp_path, old, lines)


@pytest.mark.parametrize("size", [0, 20_000, 60_000, 84_000])
def test_without_room_the_ledger_stays_as_it_is(tmp_path: Path, size: int) -> None:
    """Files cannot grow above so many bytes: it says so, and with room the next run goes on."""
    old = OLDS[0]
    folder = unpacked(old, tmp_path)
    before = (folder / "ledger.db").read_bytes()
    code, err = ended_with_room(old, folder, size)
    assert code == 73, err
    assert "next: " in err
    assert "room" in err
    assert (folder / "ledger.db").read_bytes() == before
    assert list(folder.glob("ledger.db.format*")) == []
    runs(old, folder)
    assert version(folder / "ledger.db") == str(VERSION)


def ended_with_room(old: Old, folder: Path, size: int) -> tuple[int, str]:
    """Run with files that cannot grow above so many bytes."""
    process = start_with_room(size, old, folder)
    _, err = process.communicate(timeout=PATIENCE)
    return process.returncode, err


# The chain


def small(folder: Path) -> sqlite3.Connection:
    database = sqlite3.connect(folder / "small.db", isolation_level=None)
    database.executescript("CREATE TABLE meta (key, value); INSERT INTO meta VALUES ('version', '7')")
    return database


def test_each_step_stands_or_does_not_and_names_its_format(tmp_path: Path) -> None:
    def fails(database: sqlite3.Connection) -> None:
        run(database, "CREATE TABLE second (a); INSERT INTO nowhere VALUES (1);")

    def works(database: sqlite3.Connection) -> None:
        run(database, "CREATE TABLE second (a); -- why; not\nINSERT INTO second VALUES ('x;y');")

    with closing(small(tmp_path)) as database:
        steps = {7: lambda database: run(database, "CREATE TABLE first (a)"), 8: fails}
        with pytest.raises(sqlite3.OperationalError):
            migrate(database, 7, steps)
        names = "SELECT group_concat(name) FROM sqlite_master"
        assert database.execute(names).fetchone() == ("meta,first",)
        assert database.execute("SELECT value FROM meta").fetchone() == ("8",)
        migrate(database, 8, {**steps, 8: works})
        assert database.execute("SELECT value FROM meta").fetchone() == ("9",)
        assert database.execute("SELECT a FROM second").fetchall() == [("x;y",)]


def test_a_step_that_commits_by_itself_is_found(tmp_path: Path) -> None:
    with closing(small(tmp_path)) as database, pytest.raises(AssertionError, match="from 7"):
        migrate(database, 7, {7: lambda database: database.executescript("CREATE TABLE first (a)") and None})


@pytest.mark.parametrize("number", range(3, VERSION))
def test_a_ledger_that_was_killed_between_two_steps_goes_on(tmp_path: Path, number: int) -> None:
    """Each format on the way is one that can be opened: it has all the tables of that format."""
    folder = unpacked(OLDS[0], tmp_path)
    left = pending(folder)
    with closing(sqlite3.connect(folder / "ledger.db", isolation_level=None)) as database:
        migrate(database, OLDS[0].format, {at: step for at, step in STEPS.items() if at < number})
    assert version(folder / "ledger.db") == str(number)
    Ledger.open(folder / "ledger.db").close()
    assert version(folder / "ledger.db") == str(VERSION)
    assert sorted(pending(folder)) == sorted(left)


def test_the_chain_has_no_gap() -> None:
    assert sorted(STEPS) == list(range(min(STEPS), VERSION))
