"""`km-cli ledger forget`: the log is sent again, and nothing that another log has."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from km_cli.cli.forgetting import opened_to_change
from km_cli.cli.run_forget import FORGET, _digest_event
from km_cli.ledger.checking import check_ledger
from tests.make_ledgers import BUSY, FOLLOWED, Old
from tests.support.bench import Bench, fresh
from tests.support.command import Command
from tests.support.drawing import examples
from tests.support.killing import Killer, Place
from tests.support.old_ledgers import runs, tracker_of, unpacked
from tests.support.people import configure
from tests.support.schemas import check_output
from tests.support.terminal import on_terminal
from tests.support.tracker import OK, UNAVAILABLE, Tracker

HEADER = "user,account,event,timestamp,plan"
ADA = "ada,Acme,Paid,2024-01-01T09:00:00Z,pro"
BO = "bo,Acme,Paid,2024-01-01T09:00:00.5Z,pro"
CY = "cy,Beta,Left,2024-01-02T10:00:00Z,max"
DOT = "dot,Acme,Paid,2024-01-03T11:00:00Z,pro"


def written(path: Path, *rows: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([HEADER, *rows, ""]))
    return path


@pytest.fixture
def logs(tmp_path: Path) -> tuple[Path, Path]:
    """Two logs that overlap: the second has BO, too."""
    return written(tmp_path / "one.csv", ADA, BO, CY), written(tmp_path / "two.csv", BO, DOT)


@pytest.fixture
def sent(importer: Command, tracker: Tracker, logs: tuple[Path, Path]) -> Command:
    """The command, with a ledger that has sent both logs; the tracker has forgotten them."""
    for log in logs:
        importer("import", log).ended(0)
    tracker.forget()
    return importer


def forget(km: Command, source: str | Path, *words: str, code: int = 0) -> Any:
    result = km("ledger", "forget", source, "--yes", "--json", *words).ended(code)
    if code:
        return result.err
    check_output(("ledger", "forget", str(source), "--json"), result.out)
    return json.loads(result.out)


def people_and_events(tracker: Tracker) -> Counter[tuple[str, str]]:
    return Counter((hit.params["_p"], hit.params.get("_n", "")) for hit in tracker.hits)


def state_of(km: Command) -> dict[str, list[tuple[Any, ...]]]:
    """The tables from which forecasts are made."""
    tables = ("totals", "owners", "spellings", "names")
    with closing(sqlite3.connect(km.state / "ledger.db")) as database:
        found = {name: sorted(database.execute(f"SELECT * FROM {name}")) for name in tables}
        query = (
            "SELECT site, persona, event, day, sum(calls) FROM sent GROUP BY 1, 2, 3, 4 HAVING sum(calls) > 0"
        )
        return {**found, "sent": sorted(database.execute(query))}


def intact(km: Command) -> bool:
    return not check_ledger(km.state / "ledger.db")[0]


# What is sent again, and what is not


def test_only_what_no_other_log_has_is_sent_again(
    sent: Command, tracker: Tracker, logs: tuple[Path, Path]
) -> None:
    one, two = logs
    before = state_of(sent)
    found = forget(sent, one)
    assert found["forgotten"]["calls"] == 4  # ADA's two and CY's two
    assert (found["readings"], found["still_known"]) == (1, 2)
    assert intact(sent)
    receipts = [json.loads(line) for line in sent("ledger", "export").ended(0).out.splitlines()]
    assert Counter(receipt["source"] for receipt in receipts) == {str(two): 4}
    assert {receipt["site"] for receipt in receipts} == {"main"}
    sent("import", two).ended(0)
    assert tracker.hits == []
    sent("import", one).ended(0)
    assert people_and_events(tracker) == {
        ("ada", "Paid"): 1,
        ("Acme", "Paid"): 1,
        ("cy", "Left"): 1,
        ("Beta", "Left"): 1,
    }
    assert state_of(sent) == before
    assert intact(sent)


def test_the_other_way_round(sent: Command, tracker: Tracker, logs: tuple[Path, Path]) -> None:
    """BO was sent from the first log. That it was there stays known when the second one is forgotten."""
    one, two = logs
    assert forget(sent, two)["forgotten"]["calls"] == 2
    sent("import", one).ended(0)
    assert tracker.hits == []
    sent("import", two).ended(0)
    assert people_and_events(tracker) == {("dot", "Paid"): 1, ("Acme", "Paid"): 1}


def test_both_are_forgotten_one_after_the_other(
    sent: Command, tracker: Tracker, logs: tuple[Path, Path]
) -> None:
    """A call that outlives the log that it was sent from goes with the last log that has it."""
    first = forget(sent, logs[0])["forgotten"]["calls"]
    assert first + forget(sent, logs[1])["forgotten"]["calls"] == 8
    left = state_of(sent)
    assert (left["owners"], left["spellings"], left["sent"]) == ([], [], [])
    assert all(row[2:] == (0, 0, 0) for row in left["totals"])
    assert intact(sent)
    status = sent("status", "--json").ended(0).summary
    assert (status["sites"], status["sources"]) == ([], [])
    for log in logs:
        sent("import", log).ended(0)
    assert len(tracker.hits) == 8


def test_the_forecast_is_that_of_a_fresh_ledger(
    sent: Command, tmp_path: Path, logs: tuple[Path, Path]
) -> None:
    more = written(tmp_path / "more.csv", DOT, "eve,Acme,Paid,2024-01-03T11:00:00Z,pro")
    expected = sent("dry-run", more, "--json").ended(0).summary
    forget(sent, logs[0])
    sent("import", logs[0]).ended(0)
    found = sent("dry-run", more, "--json").ended(0).summary
    for key in ("rows", "calls", "findings", "forecast"):
        assert found.get(key) == expected.get(key), key


def test_ids_and_followed_values_go_with_their_calls(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    configure(importer, '[[personas]]\nname = "user"\n[[personas]]\nname = "account"\nset = ["plan"]\n')
    rows = [f"u{n},Acme,In,2024-01-01T0{n}:00:00Z,{plan}" for n, plan in enumerate("aab")]
    log = written(tmp_path / "log.csv", *rows)
    words = ("--id", "user")
    importer("import", log, *words).ended(0)
    whole = Counter(hit.wire for hit in tracker.hits)
    assert len(tracker.hits) == 5  # 3 events and 2 changes of the plan
    assert forget(importer, log)["forgotten"] == {"calls": 5, "ids": 3, "values": 2, "rows": 0, "runs": 0}
    tracker.forget()
    importer("import", log, *words).ended(0)
    assert Counter(hit.wire for hit in tracker.hits) == whole


def test_aliases_stay_known(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    configure(importer, '[columns]\nalias = "plan"\n')
    log = written(tmp_path / "log.csv", "ada,,In,2024-01-01T09:00:00Z,ada@example.com")
    words = ("--allow-alias", "--strategy", "property")
    importer("import", log, *words).ended(0)
    aliases = [hit for hit in tracker.hits if hit.path == "/a"]
    assert len(aliases) == 1
    forget(importer, log)
    tracker.forget()
    importer("import", log, *words).ended(0)
    assert [hit.path for hit in tracker.hits] == ["/e"]
    assert intact(importer)


def test_a_file_of_a_backfill_is_opened_again(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """The ledger notes the files that were read to their end, so as not to open them again."""
    log = written(tmp_path / "logs" / "log.csv", ADA)
    configure(importer, f'[[backfill]]\nname = "logs"\nfiles = ["{tmp_path}/logs/*.csv"]\n')
    importer("backfill").ended(0)
    importer("backfill").ended(0)
    assert len(tracker.hits) == 2
    forget(importer, log)
    importer("backfill").ended(0)
    assert len(tracker.hits) == 4


def test_a_corrected_reject_goes_with_its_log(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """The call of a corrected line is one of the log that the line is in. The reject may come once more."""
    log = written(tmp_path / "log.csv", ADA, BO.replace("2024-01-01T09:00:00.5Z", "SOON"))
    rejects = tmp_path / "rejects.jsonl"
    importer("import", log, "--rejects", rejects).ended(65)
    rejects.write_text(rejects.read_text().replace("SOON", "2024-01-01T10:00:00Z"))
    words = ("import", rejects, "--rejects", tmp_path / "more")
    importer(*words).ended(0)
    assert len(tracker.hits) == 4
    assert forget(importer, log)["forgotten"]["calls"] == 4
    tracker.forget()
    importer(*words).ended(0)
    importer(*words).ended(0)
    assert people_and_events(tracker) == {("bo", "Paid"): 1, ("Acme", "Paid"): 1}
    assert intact(importer)


def test_a_local_store(km: Command, logs: tuple[Path, Path]) -> None:
    local = replace(km, to="local")
    local("import", logs[0]).ended(0)
    assert forget(local, logs[0])["forgotten"]["calls"] == 6
    assert local("import", logs[0], "--json").ended(0).summary["calls"]["planned"] == 6


@pytest.mark.slow
@pytest.mark.parametrize("old", [FOLLOWED, BUSY], ids=lambda old: old.name)
def test_logs_in_ledgers_of_older_formats(old: Old, tmp_path: Path) -> None:
    folder = unpacked(old, tmp_path)
    with tracker_of(old) as tracker:
        for result in runs(old, folder):
            result.ended(0)
        tracker.forget()
        with opened_to_change(folder / "ledger.db") as ledger:
            numbers = {reading.number for reading in ledger.readings.latest()}
            alone = ledger.count_claimed(numbers).alone
            assert ledger.forget(numbers, _digest_event, lambda _found: None).calls == alone > 0
        assert not check_ledger(folder / "ledger.db")[0]
        for result in runs(old, folder):
            result.ended(0)
        assert len(tracker.seen) >= alone
        assert not check_ledger(folder / "ledger.db")[0]


# What is refused, and what is said


def test_pending_calls_are_sent_first(importer: Command, tracker: Tracker, logs: tuple[Path, Path]) -> None:
    tracker.behave = lambda hit, _: UNAVAILABLE if hit.params["_p"] == "cy" else OK
    importer("import", logs[0], "--attempts", "1").ended(75)
    problem = forget(importer, logs[0], code=75)
    assert "1 call of" in problem
    assert "pending; nothing was forgotten" in problem
    assert "km-cli retry" in problem
    tracker.behave = None
    importer("retry").ended(0)
    assert forget(importer, logs[0])["forgotten"]["calls"] == 6


def test_a_log_is_named_by_the_end_of_its_path(sent: Command, tmp_path: Path) -> None:
    for folder, row in (("a", ADA), ("b", CY)):
        sent("import", written(tmp_path / folder / "day.csv", row)).ended(0)
    problem = forget(sent, "day.csv", code=2)
    assert "2 logs that end with day.csv" in problem
    assert f"{tmp_path}/a/day.csv, {tmp_path}/b/day.csv" in problem
    assert "did you mean" in forget(sent, "onee.csv", code=2)
    assert "knows no log ne.csv" in forget(sent, "ne.csv", code=2)
    assert forget(sent, "b/day.csv")["source"] == f"{tmp_path}/b/day.csv"
    assert forget(sent, "day.csv")["source"] == f"{tmp_path}/a/day.csv"
    assert "knows no log day.csv" in forget(sent, "day.csv", code=2)


def test_it_asks_and_without_a_terminal_it_needs_yes(sent: Command, logs: tuple[Path, Path]) -> None:
    ledger = sent.state / "ledger.db"
    before = ledger.read_bytes()
    result = sent("ledger", "forget", logs[0]).ended(2)
    assert "is going to forget" in result.err
    assert "next: add --yes" in result.err
    for answer, code in (("n\n", 130), ("y\n", 0)):
        assert ledger.read_bytes() == before
        answers = [("Forget this log? [y/N]", answer)]
        shown = on_terminal(sent, "ledger", "forget", str(logs[0]), columns=300, answers=answers)
        assert shown.code == code, shown.raw
        assert "would send 4 calls a second time" in shown.asked[0]
        assert "Nothing can be taken back (D10)" in shown.asked[0]
        assert "the key of another site" in shown.asked[0]
        assert "km-cli ledger backup PATH" in shown.asked[0]
    assert ledger.read_bytes() != before


def test_status_and_show_tell_it(sent: Command, logs: tuple[Path, Path]) -> None:
    forget(sent, logs[0])
    status = sent("status", "--json").ended(0).summary
    assert [one["source"] for one in status["sources"]] == [str(logs[1])]
    assert status["sites"][0]["sent"] == 4
    out = sent("status").ended(0).out
    assert FORGET in out
    assert "4 calls forgotten" in out
    assert "nothing is left to do" in out
    assert "forgotten: calls 4" in sent("show", "--run", "LAST").ended(0).out


def test_a_pruned_ledger_says_what_it_skips_all_the_same(
    sent: Command, tracker: Tracker, logs: tuple[Path, Path]
) -> None:
    """It cannot tell who has no call any more, so all people stay."""
    sent("ledger", "prune", "--older-than", "2024-01-02", "--yes").ended(0)
    before = state_of(sent)
    result = sent("ledger", "forget", logs[0]).ended(2)
    assert "is going to forget" in result.err
    shown = on_terminal(
        sent, "ledger", "forget", str(logs[0]), columns=300, answers=[("Forget this log? [y/N]", "y\n")]
    )
    assert shown.code == 0, shown.raw
    assert "Rows from before 2024-01-02 are skipped all the same" in shown.asked[0]
    assert intact(sent)
    assert state_of(sent)["owners"] == before["owners"]
    assert sent("import", logs[0], "--json").ended(0).summary["rows"]["pruned"] == 2
    assert people_and_events(tracker) == {("cy", "Left"): 1, ("Beta", "Left"): 1}


def test_a_ledger_that_a_run_holds_is_left_alone(sent: Command, logs: tuple[Path, Path]) -> None:
    with opened_to_change(sent.state / "ledger.db"):
        assert "another run" in forget(sent, logs[0], code=75)


def test_there_is_no_ledger_yet(importer: Command) -> None:
    assert "there is no ledger yet" in forget(importer, "log.csv", code=2)


# Killed

WATCHED = ("/ledger/forgetting.py", "/cli/run_forget.py", "/cli/forgetting.py")


@pytest.mark.slow
def test_killed_at_any_line_all_or_nothing_is_forgotten(
    sent: Command, logs: tuple[Path, Path], killer: Killer
) -> None:
    ledger = sent.state / "ledger.db"
    whole = ledger.read_bytes()
    words = ("ledger", "forget", logs[0], "--yes")
    planned = Counter[int]()
    for at in range(1, killer.count(sent, WATCHED, *words) + 1, 13):
        ledger.write_bytes(whole)
        assert killer.run(sent, Place(at, WATCHED), *words).code == -signal.SIGKILL
        sent("ledger", "check").ended(0)
        assert intact(sent)
        planned[sent("import", logs[0], "--json").ended(0).summary["calls"]["planned"]] += 1
        assert sent("import", logs[1], "--json").ended(0).summary["calls"]["planned"] == 0
    assert planned.keys() == {0, 4}


# Whatever the logs

ROWS = [
    f"{user},{account},{event},2024-01-01T00:00:{second:02}.{n:03}Z,{plan}"
    for n, (user, account, event, second, plan) in enumerate(
        product(["u", "v", ""], ["A", "B"], ["X", "Y"], [0, 1, 2], ["", "p"])
    )
]


def send(bench: Bench, name: str, rows: list[str]) -> Path:
    log = bench.write(name, "\n".join([HEADER, *rows, ""]))
    bench.send(log, "--overlap", "separate", code=0)
    return log


def events(bench: Bench) -> Counter[tuple[str, ...]]:
    """The events that came, without the seconds that they were sent with."""
    hits = [hit for hit in bench.tracker.hits if hit.path == "/e"]
    return Counter((hit.params["_p"], hit.params["_n"], hit.params.get("plan", "")) for hit in hits)


def held_by(bench: Bench) -> list[tuple[Any, ...]]:
    """How many people and events Kissmetrics will hold, as a forecast says it."""
    with closing(sqlite3.connect(bench.ledger)) as database:
        return database.execute("SELECT site, persona, people, events FROM totals ORDER BY 1, 2").fetchall()


def check(tracker: Tracker, one: list[str], two: list[str], *, first: bool) -> None:
    """Send two logs, forget one, send both: what came twice is what only the forgotten log has."""
    gone, other = (one, two) if first else (two, one)
    alone = [row for row in gone if row not in other]
    with fresh(tracker) as plain:
        if alone:
            send(plain, "alone.csv", alone)
        expected = events(plain)
    with fresh(tracker) as bench:
        logs = [send(bench, "one.csv", one), send(bench, "two.csv", two)]
        before, held = events(bench), held_by(bench)
        with opened_to_change(bench.ledger) as ledger:
            source = str(logs[not first])
            numbers = {one.number for one in ledger.readings.latest() if one.source == source}
            assert numbers
            ledger.forget(numbers, _digest_event, lambda _found: None)
        assert not check_ledger(bench.ledger)[0]
        send(bench, logs[first].name, other)
        assert events(bench) == before
        send(bench, logs[not first].name, gone)
        assert events(bench) - before == expected
        assert held_by(bench) == held
        assert not check_ledger(bench.ledger)[0]


LOGS = st.lists(st.sampled_from(ROWS), min_size=1, max_size=10, unique=True)


@pytest.mark.slow
@settings(max_examples=examples(30), deadline=None)
@given(LOGS, LOGS, st.booleans())
def test_what_only_the_forgotten_log_has_is_sent_again(
    shared_tracker: Tracker, one: list[str], two: list[str], first: bool
) -> None:
    if one != two:  # The same bytes are one reading.
        check(shared_tracker, one, two, first=first)


def test_an_example_of_that(shared_tracker: Tracker) -> None:
    check(shared_tracker, ROWS[:8], ROWS[4:12], first=True)
