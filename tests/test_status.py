"""`km-cli status` says how things stand without a trace, and `km-cli retry` sends what is pending."""

from __future__ import annotations

import json
import os
import shlex
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Command
from tests.support.people import ACCOUNT_KEY, SITES, arrived, configure, write
from tests.support.terminal import Terminal
from tests.support.tracker import BAD, OK, UNAVAILABLE, Hit, Reaction, Tracker, held, too_many

ROWS = ("ada,Acme,Clicked,@1", "bob,Acme,Signed Up,@2", "cy,,Clicked,@3")
CALLS = 5
"""How many calls these rows become."""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write(tmp_path / "log.csv", *ROWS)


def status(km: Command) -> dict[str, Any]:
    return km("status", "--json").ended(0).summary


def files_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    """All files of a folder, with the times at which they were written."""
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


# How things stand


def test_after_an_import_nothing_is_left_to_do(importer: Command, tracker: Tracker, log: Path) -> None:
    importer("import", log).ended(0)
    found = status(importer)
    assert found["sites"] == [
        {
            "to": tracker.url,
            "site": "main",
            "sent": CALLS,
            "pending": 0,
            "first_day": "2024-01-01",
            "last_day": "2024-01-01",
        }
    ]
    (source,) = found["sources"]
    assert (source["source"], source["line"], source["bytes"]) == (str(log), 4, log.stat().st_size)
    assert (source["rows"], source["rejected"], source["sent"], source["pending"]) == (3, 0, CALLS, 0)
    assert [(one["persona"], one["calls"]) for one in source["calls"]] == [("user", 3), ("account", 2)]
    (run,) = found["runs"]
    assert (run["command"], run["exit"], run["calls"]["acknowledged"]) == ("import", 0, CALLS)
    assert found["bytes"] == (importer.state / "ledger.db").stat().st_size
    assert (found["process"], found["pauses"], found["rejects"], found["next"]) == (None, [], [], [])


def test_for_people(importer: Command, tracker: Tracker, log: Path) -> None:
    importer("import", log).ended(0)
    lines = importer("status").ended(0).out.splitlines()
    assert f"  {tracker.url}, main  5 calls    events from 2024-01-01 to 2024-01-01" in lines
    assert any(line.startswith(f"  {log}  read to line 4  ") for line in lines)
    assert lines[-2:] == ["next", "  nothing is left to do"]


def test_it_leaves_no_trace(importer: Command, log: Path) -> None:
    importer("import", log).ended(0)
    before = files_of(importer.home)
    importer("status").ended(0)
    assert files_of(importer.home) == before


def test_each_site_has_its_own_numbers(importer: Command, log: Path) -> None:
    configure(importer, SITES)
    importer("import", log, "--strategy", "sites").ended(0)
    assert [(one["site"], one["sent"]) for one in status(importer)["sites"]] == [("accounts", 2), ("main", 3)]


def test_only_the_latest_logs_are_listed_unless_all_are_asked_for(importer: Command, tmp_path: Path) -> None:
    logs = [write(tmp_path / f"{n}.csv", f"u{n},,In,@{n}") for n in range(12)]
    importer("import", *logs).ended(0)
    out = importer("status").ended(0).out
    assert (f"  {logs[11]}  " in out, f"  {logs[1]}  " in out) == (True, False)
    assert "  and 2 more: -v lists all\n" in out
    assert f"  {logs[1]}  " in importer("status", "-v").ended(0).out
    assert len(status(importer)["sources"]) == 12


def test_a_place_without_a_ledger_is_named(km: Command) -> None:
    for command in ("status", "retry"):
        result = km(command).ended(2)
        assert f"{km.state}/ledger.db does not exist" in result.err


# What is wrong, and what to do next


def test_rejects_are_named_with_their_file_until_it_is_removed(importer: Command, tmp_path: Path) -> None:
    log = write(tmp_path / "log.csv", *ROWS, ",,Clicked,@4", "guest,,Clicked,@5")
    place = tmp_path / "bad.jsonl"
    importer("import", log, "--rejects", place).ended(65)
    found = status(importer)
    assert found["rejects"] == [{"file": str(place), "run": 1, "rows": 2}]
    assert found["sources"][0]["rejected"] == 2
    (step,) = found["next"]
    assert step["why"] == f"2 rows rejected, in {place}"
    place.unlink()
    assert status(importer)["next"] == []


def test_a_table_of_rejects_is_named_with_the_file_beside_it(importer: Command, tmp_path: Path) -> None:
    log = write(tmp_path / "log.csv", *ROWS, ",,Clicked,@4")
    with log.open("a") as file:
        file.write("too,many,fields,2024-01-01T00:00:09Z,pro,here\n")
    place = tmp_path / "bad.csv"
    importer("import", log, "--rejects", place).ended(65)
    assert {one["file"]: one["rows"] for one in status(importer)["rejects"]} == {
        str(place): 1,
        f"{place}.jsonl": 1,
    }


def test_pending_calls_are_counted_by_site_and_log_and_retry_sends_them(
    importer: Command, tracker: Tracker, log: Path
) -> None:
    tracker.behave = lambda hit, _: UNAVAILABLE if hit.params["_p"] == "Acme" else OK
    importer("import", log, "--attempts", "1").ended(75)
    found = status(importer)
    assert (found["pending"], found["sites"][0]["sent"], found["sites"][0]["pending"]) == (2, 3, 2)
    assert (found["sources"][0]["sent"], found["sources"][0]["pending"]) == (3, 2)
    unfinished = {
        "why": "the last import ended with exit 75, and may not have read all",
        "what": "run `km-cli import` again as before: it continues where that run ended",
    }
    assert found["next"] == [
        unfinished,
        {"why": "2 calls are pending", "what": f"send them: km-cli retry --to {tracker.url}"},
    ]
    tracker.behave = None
    log.unlink()
    summary = importer("retry", "--json").ended(0).summary
    assert (summary["rows"]["read"], summary["calls"]["resumed"]) == (0, 2)
    assert (len(tracker.hits), len(arrived(tracker))) == (CALLS, CALLS)
    found = status(importer)
    assert (found["pending"], found["next"]) == (0, [unfinished])
    assert [run["command"] for run in found["runs"]] == ["retry", "import"]


def test_a_run_that_refused_a_log_is_named_until_one_ends_well(importer: Command, log: Path) -> None:
    importer("import", log).ended(0)
    importer("import", log, "--event-name", "Other").ended(2)
    (step,) = status(importer)["next"]
    assert step == {
        "why": "the last import ended with exit 2, and may not have read all",
        "what": "run `km-cli import` again as before: it says what is wrong",
    }
    importer("import", log).ended(0)
    assert status(importer)["next"] == []


def test_retry_with_nothing_to_do_says_so_and_writes_nothing(importer: Command, log: Path) -> None:
    importer("import", log).ended(0)
    before = files_of(importer.home)
    assert importer("retry", "-v").ended(0).out == f"nothing is pending in {importer.state}/ledger.db\n"
    assert importer("retry", "--json").ended(0).summary["calls"]["acknowledged"] == 0
    assert importer("retry").ended(0).out == ""
    assert files_of(importer.home) == before


def test_retry_sends_to_every_site_whose_key_is_there(importer: Command, tracker: Tracker, log: Path) -> None:
    """Those of a trial site need its name; without it, the calls stay and are named."""
    importer.environment["KM_ACCOUNT_API_KEY"] = ACCOUNT_KEY
    tracker.behave = lambda _hit, _number: UNAVAILABLE
    importer("import", log, "--strategy", "sites", "--attempts", "1").ended(75)
    tracker.behave = None
    del importer.environment["KM_ACCOUNT_API_KEY"]
    assert "KM_ACCOUNT_API_KEY is not set" in importer("retry").ended(2).err
    assert tracker.hits == []
    importer.environment["KM_ACCOUNT_API_KEY"] = ACCOUNT_KEY
    importer("retry").ended(0)
    assert len(arrived(tracker)) == CALLS


def test_calls_of_a_site_that_is_not_known_stay_pending(
    importer: Command, tracker: Tracker, log: Path
) -> None:
    tracker.behave = lambda _hit, _number: UNAVAILABLE
    importer("import", log, "--site", "test", "--attempts", "1").ended(75)
    tracker.behave = None
    result = importer("retry").ended(75)
    assert "5 calls to the site 'test' still pending" in result.err
    assert tracker.hits == []
    importer("retry", "--site", "test").ended(0)
    assert len(arrived(tracker)) == CALLS


def test_what_retry_sends_may_be_refused_and_is_a_reject_then(
    importer: Command, tracker: Tracker, log: Path
) -> None:
    tracker.behave = lambda _hit, _number: UNAVAILABLE
    importer("import", log, "--attempts", "1").ended(75)
    tracker.behave = lambda hit, _: BAD if hit.params["_p"] == "bob" else OK
    importer("retry").ended(65)
    (reject,) = importer.rejects()
    assert (reject["code"], reject["line"]) == ("refused", 3)
    assert status(importer)["sources"][0]["refused"] == 1


def test_a_pause_is_named_with_its_end_and_its_reason(importer: Command, tracker: Tracker, log: Path) -> None:
    tracker.behave = lambda _hit, _number: too_many("3600")
    importer("import", log).ended(75)
    (pause,) = status(importer)["pauses"]
    assert pause["to"] == tracker.url
    assert "asks to wait 3600 s" in pause["reason"]
    assert f"  backfills send no calls to {tracker.url} until " in importer("status").ended(0).out


def test_a_run_at_work_is_named_and_not_disturbed(importer: Command, tracker: Tracker, log: Path) -> None:
    """Then it is killed: the next step is to run the command again."""
    tracker.behave = lambda _hit, _number: held()
    with importer.start("import", log, "--concurrency", "1") as running:
        running_status = _when_it_has_begun(importer, tracker)
        assert running_status["process"] == running.pid
        assert running_status["next"] == [
            {"why": f"a run is at work (import), process {running.pid}", "what": "wait for its end"}
        ]
        running.kill()
    found = status(importer)
    assert "import  killed" in importer("status").ended(0).out
    assert found["process"] is None
    assert [step["why"] for step in found["next"]] == [
        "the last run was killed, or the machine went down",
        "5 calls are pending",
    ]
    tracker.answer_all()
    tracker.behave = None
    importer("retry").ended(0)
    (step,) = status(importer)["next"]
    assert step["why"] == "the last import (run 1) was killed, or the machine went down"
    importer("import", log).ended(0)
    assert status(importer)["next"] == []


def test_rejects_of_a_run_at_work_are_not_said_to_be_of_one_that_was_cut_off(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    log = write(tmp_path / "log.csv", *ROWS, ",,Clicked,@4")
    place = tmp_path / "bad.jsonl"
    tracker.behave = lambda _hit, _number: held()
    with importer.start("import", log, "--rejects", place) as running:
        whys = [step["why"] for step in _when_it_has_begun(importer, tracker)["next"]]
        running.kill()
    tracker.answer_all()
    assert f"a run that is at work, or was cut off, rejected 1 row, in {place}" in whys


def _when_it_has_begun(importer: Command, tracker: Tracker) -> dict[str, Any]:
    """Wait until the run has sent a call, which the ledger has by then."""
    while not tracker.seen:
        time.sleep(0.01)
    return status(importer)


def test_the_number_of_a_killed_run_may_be_that_of_another_process(importer: Command, log: Path) -> None:
    """After a restart of the machine, or in a new container, even `status` itself may have it."""
    importer("import", log).ended(0)
    (importer.state / "ledger.db.lock").write_text(f"{os.getpid():<31}\n")
    found = status(importer)
    assert (found["process"], found["next"]) == (None, [])


def test_pending_calls_for_another_destination_are_sent_there(
    importer: Command, tracker: Tracker, log: Path
) -> None:
    """One ledger has the calls for all trackers, and a retry sends to one."""
    tracker.behave = lambda hit, _: UNAVAILABLE if hit.params["_p"] == "Acme" else OK
    importer("import", log, "--attempts", "1").ended(75)
    tracker.behave = None
    url, importer.to = tracker.url, ""
    unfinished, step = status(importer)["next"]
    assert step == {"why": "2 calls are pending", "what": f"send them: km-cli retry --to {url}"}
    importer(*shlex.split(step["what"])[3:]).ended(0)
    assert len(arrived(tracker)) == CALLS
    assert status(importer)["next"] == [unfinished]


def test_unreported_rejects_of_a_killed_run_are_named_once(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    log = write(tmp_path / "log.csv", *ROWS, ",,Clicked,@4")
    place = tmp_path / "bad.jsonl"

    def kill(_hit: Hit, _number: int) -> Reaction:
        running.kill()
        return held()

    tracker.behave = kill
    with importer.start("import", log, "--rejects", place) as running:
        running.wait()
    tracker.behave = None
    found = status(importer)
    assert found["unreported_rejects"] == [{"file": str(place), "rows": 1}]
    whys = [step["why"] for step in found["next"]]
    assert f"a run that was cut off rejected 1 row, in {place}" in whys
    assert f"1 row rejected, in {place}" not in whys


@pytest.mark.parametrize("columns", [40, 80])
def test_on_a_terminal_it_fits_the_window(importer: Command, log: Path, columns: int) -> None:
    importer("import", log).ended(0)
    terminal = Terminal(
        importer, "status", columns=columns, environment={"XDG_STATE_HOME": str(importer.home / "state")}
    )
    assert terminal.ended() == 0
    assert all(len(line) <= columns for line in terminal.shown.splitlines())
    assert "nothing is left to do" in terminal.shown


def test_the_json_of_an_older_run_has_no_rejects(importer: Command, log: Path) -> None:
    importer("import", log).ended(0)
    assert json.loads(importer("show", "--run", "LAST", "--json").out)["run"].keys() == {
        *("number", "command", "began", "ended", "exit", "killed", "rows", "calls")
    }
