"""`km-cli ledger prune`: nothing older than the horizon is sent twice, and nothing newer is lost."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from km_cli.cli.forgetting import opened_to_change
from km_cli.ledger.checking import check_ledger
from km_cli.run.horizon import horizon_of
from tests.make_ledgers import FOLLOWED
from tests.support.bench import Bench, fresh
from tests.support.command import Command
from tests.support.drawing import examples
from tests.support.killing import Killer, Place
from tests.support.old_ledgers import runs, tracker_of, unpacked
from tests.support.people import configure
from tests.support.terminal import on_terminal
from tests.support.tracker import OK, UNAVAILABLE, Tracker

HEADER = "user,account,event,timestamp,plan"
DAYS = ("2024-01-01", "2024-01-02", "2024-01-03")
LOG = (
    "ada,Acme,Paid,2024-01-01T09:00:00Z,pro",
    "bo,Acme,Paid,2024-01-01T23:59:59Z,pro",
    "cy,Acme,Paid,2024-01-01T23:59:59.5Z,max",
    "ada,Acme,Paid,2024-01-02T00:00:00Z,pro",
    "bo,Acme,Paid,2024-01-03T09:00:00Z,pro",
)


def written(path: Path, *rows: str, header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *rows, ""]))
    return path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return written(tmp_path / "log.csv", *LOG)


@pytest.fixture
def sent(importer: Command, tracker: Tracker, log: Path) -> Command:
    """The command, with a ledger that has sent LOG; the tracker has forgotten it."""
    importer("import", log).ended(0)
    tracker.forget()
    return importer


def prune(km: Command, day: str, *words: str, code: int = 0) -> dict[str, object]:
    result = km("ledger", "prune", "--older-than", day, "--yes", "--json", *words).ended(code)
    return json.loads(result.out) if result.out else {"problem": result.err}


def shuffled(log: Path, name: str = "again.csv") -> Path:
    """Return the same rows in a file with other bytes, which is no reading that is known."""
    header, *rows = log.read_text().splitlines()
    Random(7).shuffle(rows)
    return written(log.with_name(name), *(f"{row},x" for row in rows), header=f"{header},{name}")


def rows_of(ledger: Path, table: str) -> int:
    with closing(sqlite3.connect(ledger)) as database:
        return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


# What is forgotten, and what stays


def test_old_rows_are_skipped_and_counted_and_newer_ones_are_known(
    sent: Command, tracker: Tracker, log: Path
) -> None:
    """A row at the horizon itself is newer. A call that was moved across the horizon leaves its mark."""
    found = prune(sent, DAYS[1])
    assert found["horizon"] == "2024-01-02T00:00:00Z"
    assert found["forgotten"] == {"calls": 6, "ids": 0, "values": 0, "rows": 0, "runs": 0}
    assert not check_ledger(sent.state / "ledger.db")[0]
    summary = sent("import", shuffled(log), "--json").ended(0).summary
    others = {"read": 5, "sent": 0, "skipped": 5, "rejected": 0, "held": 0, "pending": 0}
    assert summary["rows"] == {**others, "pruned": 3}
    assert summary["findings"]["pruned"] == 3
    assert tracker.hits == []
    log.write_text(log.read_text() + "dot,Acme,Paid,2024-01-02T00:00:00Z,max\n")
    assert "pruned" not in sent("import", log, "--json").ended(0).summary["rows"]
    # Acme's second 00:00:00 was taken by a call of the day before, and 00:00:01 by the row at the horizon.
    assert {(hit.params["_p"], int(hit.params["_t"]) % 60) for hit in tracker.hits} == {
        ("dot", 0),
        ("Acme", 2),
    }


def test_a_dry_run_says_it_and_a_new_reader_of_the_screen_is_told(sent: Command, log: Path) -> None:
    prune(sent, DAYS[1])
    out = sent("dry-run", shuffled(log)).ended(0).out
    assert "3 older than the ledger's horizon" in out
    assert "import with --as-new" in out
    assert sent("import", shuffled(log), "-v").ended(0).out.count("older than the ledger's horizon") == 2


def test_as_new_sends_old_rows_although_the_file_was_read(sent: Command, tracker: Tracker, log: Path) -> None:
    """They may be there twice then, so --as-new is the word for it. Newer rows are known all the same."""
    prune(sent, DAYS[1])
    summary = sent("import", log, "--as-new", "--json").ended(0).summary
    assert (summary["rows"]["sent"], summary["rows"]["skipped"]) == (3, 2)
    assert len(tracker.hits) == 6
    tracker.forget()
    assert sent("import", shuffled(log), "--json").ended(0).summary["rows"]["pruned"] == 3
    assert tracker.hits == []


def test_the_file_gets_smaller(importer: Command, tmp_path: Path) -> None:
    rows = [f"u{n % 50},a{n % 7},In,2024-01-0{n % 2 + 1}T00:{n // 60:02}:{n % 60:02}Z," for n in range(500)]
    log = written(tmp_path / "big.csv", *sorted(rows, key=lambda row: row.split(",")[3]))
    importer("import", log, "--batch-size", "100").ended(0)
    found = prune(importer, DAYS[1])
    assert found["forgotten"]["calls"] == 500  # type: ignore[index]
    assert found["forgotten"]["rows"] == 200  # type: ignore[index]
    assert int(str(found["bytes_after"])) < 0.7 * int(str(found["bytes_before"]))
    assert rows_of(importer.state / "ledger.db", "slots") == 500


def test_the_latest_value_of_a_property_stays(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """A persona's `set` sends changes only: what was set before the horizon is still set behind it."""
    configure(importer, '[[personas]]\nname = "user"\n[[personas]]\nname = "account"\nset = ["plan"]\n')
    rows = [f"ada,Acme,In,2024-01-01T0{n}:00:00Z,{plan}" for n, plan in enumerate(["a", "b", "c", "c"])]
    log = written(tmp_path / "log.csv", *rows)
    importer("import", log).ended(0)
    assert prune(importer, DAYS[1])["forgotten"] == {"calls": 11, "ids": 0, "values": 2, "rows": 0, "runs": 0}
    tracker.forget()
    late = written(
        tmp_path / "late.csv", "ada,Acme,In,2024-01-02T00:00:00Z,c", "ada,Acme,In,2024-01-02T01:00:00Z,d"
    )
    importer("import", late).ended(0)
    assert [hit.params["plan"] for hit in tracker.hits if hit.path == "/s"] == ["d"]


def test_a_corrected_line_is_not_sent_again_behind_the_horizon(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """The ids of corrected lines stay, with their calls; the ids of the log itself are forgotten."""
    log = written(tmp_path / "log.csv", "ada,Acme,Paid,2024-01-01T09:00:00Z,1", "bo,Acme,Paid,SOON,2")
    rejects = tmp_path / "rejects.jsonl"
    words = ("--id", "plan", "--no-properties")
    importer("import", log, "--rejects", rejects, *words).ended(65)
    text = rejects.read_text()
    for day in DAYS[::2]:
        rejects.write_text(text.replace("SOON", f"{day}T10:00:00Z"))
        importer("import", rejects, *words, "--rejects", tmp_path / "more").ended(0)
        assert len(tracker.hits) == 4
        prune(importer, DAYS[1])
    assert rows_of(importer.state / "ledger.db", "ids") == 2
    assert not check_ledger(importer.state / "ledger.db")[0]


def test_an_id_is_known_only_behind_the_horizon(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """The page says so: an id whose event was dated anew, from before the horizon to after it, is new."""
    log = written(
        tmp_path / "log.csv", "ada,Acme,In,2024-01-01T09:00:00Z,1", "bo,Acme,In,2024-01-02T09:00:00Z,2"
    )
    words = ("--id", "plan", "--no-properties")
    importer("import", log, *words).ended(0)
    assert prune(importer, DAYS[1])["forgotten"] == {"calls": 2, "ids": 2, "values": 0, "rows": 0, "runs": 0}
    tracker.forget()
    moved = written(
        tmp_path / "moved.csv",
        *(f"{who},Acme,In,2024-01-02T10:00:00Z,{n}" for n, who in ((1, "ada"), (2, "bo"))),
    )
    importer("import", moved, *words).ended(65)
    assert {hit.params["_p"] for hit in tracker.hits} == {"ada", "Acme"}


@pytest.mark.slow
def test_properties_that_format_4_has_set_stay_known(tmp_path: Path) -> None:
    folder = unpacked(FOLLOWED, tmp_path)
    ledger = folder / "ledger.db"
    with tracker_of(FOLLOWED) as tracker:
        for result in runs(FOLLOWED, folder):
            result.ended(0)
        tracker.forget()
        pruned(ledger, horizon_of("2024-01-02", 2e9))
        assert not check_ledger(ledger)[0]
        row = "u0,Acme,Up,2024-01-03T00:00:00Z,pro"
        (folder / "log.csv").write_text((folder / "log.csv").read_text() + row + "\n")
        for result in runs(FOLLOWED, folder):
            result.ended(0)
        assert [hit.path for hit in tracker.seen] == ["/e", "/e"]


def test_the_limit_of_1000_is_still_foreseen(km: Command, tmp_path: Path) -> None:
    """Instances are counted before their slots are forgotten (D7)."""
    old = [f",Acme,In,2024-01-01T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z," for n in range(450)]
    new = [row.replace(DAYS[0], DAYS[2]) for row in old]
    more = [row.replace(DAYS[0], "2024-02-01") for row in old]
    local = replace(km, to="local")
    local("import", written(tmp_path / "old.csv", *old)).ended(0)
    prune(local, DAYS[1])
    local("import", written(tmp_path / "new.csv", *new)).ended(0)
    summary = local("dry-run", written(tmp_path / "more.csv", *more), "--json").ended(0).summary
    assert summary["findings"]["D7"] == 350


def test_another_meaning_is_seen_although_the_log_begins_before_the_horizon(
    sent: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """The first rows that are compared are those that the ledger may know."""
    rows = [f"u{n},Acme,In,2024-01-0{1 + (n > 209)} 12:{n // 60:02}:{n % 60:02}," for n in range(260)]
    log = written(tmp_path / "long.csv", *rows)
    sent("import", log, "--timezone", "UTC").ended(0)
    prune(sent, DAYS[1])
    tracker.forget()
    again = sent("import", shuffled(log), "--timezone", "Europe/Berlin").ended(2)
    assert "this log was sent to the site 'main' already" in again.err
    assert tracker.hits == []


def test_a_ragged_row_is_no_bug_where_meanings_are_compared(sent: Command, tmp_path: Path) -> None:
    prune(sent, DAYS[1])
    log = written(tmp_path / "ragged.csv", "ada,Acme", LOG[0], LOG[4].replace("Paid", "Left"), *LOG[1:])
    assert sent("import", log, "--json").ended(65).summary["rows"]["pruned"] == 3


def test_runs_before_the_horizon_are_forgotten_and_their_calls_stay_counted(sent: Command) -> None:
    ledger = sent.state / "ledger.db"
    with closing(sqlite3.connect(ledger)) as database, database:
        database.execute("UPDATE runs SET began = 86400, ended = 86401")
    assert prune(sent, DAYS[1])["forgotten"]["runs"] == 1  # type: ignore[index]
    status = sent("status", "--json").ended(0).summary
    assert [run["command"] for run in status["runs"]] == ["ledger prune"]
    assert status["sites"][0]["sent"] == 10
    assert status["sites"][0]["first_day"] == DAYS[0]


# What is said


def test_status_and_show_tell_it(sent: Command) -> None:
    before = sent("status", "--json").ended(0).summary
    assert "horizon" not in before
    prune(sent, DAYS[1])
    assert sent("status", "--json").ended(0).summary["horizon"] == "2024-01-02T00:00:00Z"
    out = sent("status").ended(0).out
    assert "pruned: it skips rows older than 2024-01-02 00:00:00 UTC" in out
    assert "6 calls forgotten" in out
    assert "nothing is left to do" in out
    assert "forgotten: calls 6" in sent("show", "--run", "LAST").ended(0).out


def test_a_prune_hides_no_import_that_failed(sent: Command, tmp_path: Path) -> None:
    sent("import", written(tmp_path / "bad.csv", *["x,y,z,never,"] * 30)).ended(2)
    with closing(sqlite3.connect(sent.state / "ledger.db")) as database, database:
        database.execute("UPDATE runs SET exit = 74")
    prune(sent, DAYS[1])
    assert "the last import ended with exit 74" in sent("status").ended(0).out


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("13 months",), "is neither an age nor a date"),
        (("2024-13-01",), "is neither an age nor a date"),
        (("99999y",), "is neither an age nor a date"),
        (("2999-01-01",), "is in the future"),
        (("0d",), "is neither an age nor a date"),
    ],
)
def test_a_wrong_horizon_is_refused(sent: Command, words: tuple[str, ...], problem: str) -> None:
    before = (sent.state / "ledger.db").read_bytes()
    assert problem in sent("ledger", "prune", "--yes", "--older-than", *words).ended(2).err
    assert (sent.state / "ledger.db").read_bytes() == before


@pytest.mark.parametrize(
    ("asked", "day"),
    [
        ("1d", "2024-03-30"),
        ("2w", "2024-03-17"),
        ("1mo", "2024-02-29"),
        ("13mo", "2023-02-28"),
        ("4y", "2020-03-31"),
        ("2024-03-31", "2024-03-31"),
    ],
)
def test_an_age_is_a_day(asked: str, day: str) -> None:
    now = 1711843200 + 50_000  # 2024-03-31
    assert horizon_of(asked, now) == horizon_of(day, now)
    assert horizon_of(asked, now) % 86_400 == 0


def test_the_horizon_only_moves_forward(sent: Command) -> None:
    prune(sent, DAYS[1])
    assert "only moves forward" in str(prune(sent, DAYS[0], code=2)["problem"])
    assert prune(sent, DAYS[1])["forgotten"]["calls"] == 0  # type: ignore[index]
    assert prune(sent, DAYS[2])["forgotten"]["calls"] == 2  # type: ignore[index]


def test_a_prune_that_makes_the_file_smaller_has_ended(importer: Command, tmp_path: Path) -> None:
    """The file was cut short by the run itself, so that nothing is lost."""
    rows = [f"u{number},,In,{1_600_000_000 + number}" for number in range(1000)]
    importer("import", written(tmp_path / "many.csv", *rows, header="user,account,event,timestamp")).ended(0)
    found = prune(importer, DAYS[1])
    assert found["bytes_after"] < found["bytes_before"]  # type: ignore[operator]
    run = importer("status", "--json").ended(0).summary["runs"][0]
    assert (run["command"], run["exit"]) == ("ledger prune", 0)


def test_pending_calls_are_sent_first(importer: Command, tracker: Tracker, log: Path) -> None:
    tracker.behave = lambda hit, _: UNAVAILABLE if hit.params["_p"] == "cy" else OK
    importer("import", log, "--attempts", "1").ended(75)
    problem = str(prune(importer, DAYS[1], code=75)["problem"])
    assert "1 call before 2024-01-02 is pending; nothing was forgotten" in problem
    assert prune(importer, DAYS[0])["forgotten"]["calls"] == 0  # type: ignore[index]
    tracker.behave = None
    importer("retry").ended(0)
    assert prune(importer, DAYS[1])["forgotten"]["calls"] == 6  # type: ignore[index]


def test_it_asks_and_without_a_terminal_it_needs_yes(sent: Command) -> None:
    ledger = sent.state / "ledger.db"
    before = ledger.read_bytes()
    result = sent("ledger", "prune", "--older-than", DAYS[1]).ended(2)
    assert "is going to forget 6 calls" in result.err
    assert "next: add --yes" in result.err
    for answer, code in (("n\n", 130), ("y\n", 0)):
        assert ledger.read_bytes() == before
        answers = [("Forget these calls? [y/N]", answer)]
        shown = on_terminal(sent, "ledger", "prune", "--older-than", DAYS[1], columns=200, answers=answers)
        assert shown.code == code, shown.raw
        assert "km-cli ledger backup PATH" in shown.asked[0]
        assert ("nothing was changed" in shown.screen) is (code == 130)
    assert ledger.read_bytes() != before


def test_a_ledger_that_a_run_holds_is_left_alone(sent: Command) -> None:
    with opened_to_change(sent.state / "ledger.db"):
        assert "another run" in str(prune(sent, DAYS[1], code=75)["problem"])


# Killed

WATCHED = ("/ledger/pruning.py", "/cli/run_prune.py", "/cli/forgetting.py", "/ledger/horizons.py")


@pytest.mark.slow
def test_killed_at_any_line_all_is_known_and_the_next_prune_ends_it(
    sent: Command, tracker: Tracker, log: Path, killer: Killer
) -> None:
    """Either nothing is forgotten, or all of it with the horizon."""
    whole = (sent.state / "ledger.db").read_bytes()
    words = ("ledger", "prune", "--older-than", DAYS[1], "--yes")
    lines = killer.count(sent, WATCHED, *words)
    for at in range(1, lines + 1, 13):
        (sent.state / "ledger.db").write_bytes(whole)
        assert killer.run(sent, Place(at, WATCHED), *words).code == -signal.SIGKILL
        assert sent("import", log, "--json").ended(0).summary["calls"]["planned"] == 0
        sent("import", shuffled(log)).ended(0)
        prune(sent, DAYS[1])
        assert sent("import", shuffled(log, f"{at}.csv"), "--json").ended(0).summary["rows"]["pruned"] == 3
        assert not check_ledger(sent.state / "ledger.db")[0]
    assert tracker.hits == []


# Whatever the log


class Drawn(NamedTuple):
    """Rows, how many of them are sent before the prune, the horizon, and how the log comes again."""

    rows: list[str]
    before: int
    horizon: int
    order: list[int]
    pieces: list[int]
    kind: str


BEGIN = 1_704_067_200


@st.composite
def drawn(draw: st.DrawFn) -> Drawn:
    """A log with events of one second and of one person; each row has a moment of its own."""
    people = st.tuples(st.sampled_from(["u", "v", ""]), st.sampled_from(["A", "B", ""])).filter(any)
    cells = st.tuples(people, st.sampled_from(["X", "Y"]), st.integers(0, 4), st.sampled_from(["", "p", "q"]))
    rows = [
        f"{user},{account},{event},2024-01-01T00:00:{second:02}.{n:03}Z,{plan},{n}"
        for n, ((user, account), event, second, plan) in enumerate(
            draw(st.lists(cells, min_size=2, max_size=14))
        )
    ]
    if draw(st.booleans()):
        rows.sort(key=lambda row: row.split(",")[3])
    cuts = draw(st.sets(st.integers(1, len(rows) - 1), max_size=3))
    return Drawn(
        rows,
        draw(st.integers(1, len(rows))),
        BEGIN + draw(st.integers(0, 5)),
        draw(st.permutations(range(len(rows)))),
        sorted(cuts),
        draw(st.sampled_from(["plain", "id", "set"])),
    )


def pruned(ledger: Path, second: int) -> None:
    """Prune at any second; the command takes days."""
    with opened_to_change(ledger) as opened:
        opened.prune(second, 2e9, lambda _found: None)


def second_of(row: str) -> int:
    return BEGIN + int(row.split(",")[3][17:19])


def send_all(bench: Bench, kind: str, files: Iterable[list[str]]) -> None:
    flags = {"id": ("--id", "n", "--exclude-property", "n"), "set": ()}.get(kind, ("--exclude-property", "n"))
    toml = '[[personas]]\nname = "user"\nproperties = []\n[[personas]]\nname = "account"\nset = ["plan"]\n'
    config = ("--config", bench.write("km.toml", toml if kind == "set" else ""))
    for rows in files:
        log = bench.write(f"{len(bench.rejects)}.csv", "\n".join([HEADER + ",n", *rows, ""]))
        bench.send(log, *flags, *config, "--overlap", "separate", code=0)


def events(bench: Bench) -> Counter[tuple[str, ...]]:
    """The events that came, without the seconds that they were sent with."""
    hits = [hit for hit in bench.tracker.hits if hit.path == "/e"]
    return Counter((hit.params["_p"], hit.params["_n"], hit.params.get("plan", "")) for hit in hits)


def check(tracker: Tracker, one: Drawn) -> None:
    """Send a part, prune, send all in other files; compare with a fresh import of what should be there."""
    sent = one.rows[: one.before]
    left = [row for row in one.rows[one.before :] if second_of(row) >= one.horizon]
    with fresh(tracker) as plain:
        send_all(plain, one.kind, [sent + left])
        expected = events(plain)
    with fresh(tracker) as bench:
        send_all(bench, one.kind, [sent])
        pruned(bench.ledger, one.horizon)
        bounds = [0, *one.pieces, len(one.rows)]
        again = [one.rows[begin:end] for begin, end in pairwise(bounds)]
        send_all(bench, one.kind, [[one.rows[at] for at in one.order], one.rows, *again])
        assert events(bench) == expected
        assert len(bench.wires()) == len(bench.tracker.hits), "a call came twice, byte for byte"
        assert not check_ledger(bench.ledger)[0]


PHASES = set(Phase) - {Phase.explain}
Test = Callable[[Tracker, Drawn], None]


@pytest.mark.slow
@settings(max_examples=examples(40), deadline=None, phases=PHASES)
@given(drawn())
def test_nothing_old_is_sent_twice_and_nothing_new_is_lost(shared_tracker: Tracker, one: Drawn) -> None:
    check(shared_tracker, one)


def test_an_example_of_that(shared_tracker: Tracker) -> None:
    rows = [f"u,A,X,2024-01-01T00:00:0{n // 2}.{n:03}Z,p,{n}" for n in range(6)]
    check(shared_tracker, Drawn(rows, 4, BEGIN + 1, [5, 0, 4, 1, 3, 2], [2, 3], "plain"))
