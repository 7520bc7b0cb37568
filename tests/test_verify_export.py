"""`km-cli verify EXPORT` says which calls a data export of Kissmetrics has, and which it cannot have."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import km_cli.cli
from km_cli.ledger import Ledger
from km_cli.standin import Export
from km_cli.verify.export import ExportRequest, verify_export
from tests.support.command import Command, Result
from tests.support.exporting import Line, records_of, write_export
from tests.support.logs import said, written
from tests.support.people import SITES, configure, write
from tests.support.tracker import BAD, OK, UNAVAILABLE, Hit, Reaction, Tracker
from tests.test_status import files_of

DAY = 1_704_067_200
"""The first second of the day of `write`."""

ROWS = ("ada,Acme,Clicked,@1", "bob,Acme,Signed Up,@2", "cy,,Clicked,@3")
TOML = '[[personas]]\nname = "user"\n[[personas]]\nname = "account"\nset = ["plan"]\n'
SCHEMA = json.loads((Path(km_cli.cli.__file__).parent / "schemas" / "verify-export.json").read_text())


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write(tmp_path / "log.csv", *ROWS)


@pytest.fixture
def lines(importer: Command, tracker: Tracker, log: Path) -> list[Line]:
    """The export after an import of the log."""
    importer("import", log).ended(0)
    return records_of(tracker.hits)


def verify(command: Command, export: Path, *words: str | Path, code: int = 0) -> dict[str, Any]:
    """Return the object of --json, which its schema allows."""
    found = command("verify", export, "--json", *words).ended(code).summary
    assert (found["exit"], set(found)) == (code, {"ledger", "to", "exit", "export"})
    Draft202012Validator(SCHEMA).validate(found["export"])
    return found["export"]


def whose(line: Line, person: str, event: str | None = None) -> bool:
    return line["_p"] == person and event in (None, line.get("_n"))


# What is there, and what is not


def test_a_whole_export(importer: Command, tmp_path: Path, lines: list[Line]) -> None:
    found = verify(importer, write_export(tmp_path / "export", lines, 2))
    assert found["calls"] == {"found": 5, "absent": 0, "other_person": 0}
    assert (found["files"], found["records"], found["unknown"]) == (3, 5, 0)
    assert (found["first"], found["last"]) == ("2024-01-01T00:00:01Z", "2024-01-01T00:00:03Z")
    out = importer("verify", tmp_path / "export").ended(0).out.splitlines()
    assert out[-2:] == ["next", "  nothing is missing"]
    assert max(map(len, out[1:])) <= 80
    assert importer("verify", tmp_path / "export", "-q").ended(0).out == ""


def test_quiet_prints_problems_alone(importer: Command, tmp_path: Path, lines: list[Line]) -> None:
    export = write_export(tmp_path / "export", [line for line in lines if not whose(line, "bob")])
    result = importer("verify", export, "-q").ended(65)
    assert result.out == ""
    said(result, "1 acknowledged call absent from the export", "without -q")


def test_it_leaves_no_trace(importer: Command, tmp_path: Path, lines: list[Line]) -> None:
    export = write_export(tmp_path / "export", lines)
    before = files_of(importer.home)
    verify(importer, export)
    assert files_of(importer.home) == before


def test_an_absent_call_is_named_with_its_row(
    importer: Command, tmp_path: Path, lines: list[Line], log: Path
) -> None:
    """Acme is known from its other event; cy is in the log alone."""
    kept = [line for line in lines if not whose(line, "Acme", "Clicked") and not whose(line, "cy")]
    kept.append({"_p": "zoe", "_n": "Clicked", "_t": DAY + 9, "n": 1})
    export = write_export(tmp_path / "export", kept)
    found = verify(importer, export, code=65)
    assert found["calls"] == {"found": 3, "absent": 2, "other_person": 0}
    acme, cy = found["absent"]
    assert acme == {
        "time": "2024-01-01T00:00:01Z",
        "event": "Clicked",
        "persona": "account",
        "identity": "Acme",
        "source": str(log),
        "line": 2,
    }
    assert (cy["identity"], cy["line"]) == (None, 4)
    assert "--source FILE" in importer("verify", export).ended(65).out
    named = verify(importer, export, "--source", log, code=65)
    assert [one["identity"] for one in named["absent"]] == ["Acme", "cy"]
    assert [(one["event"], one["absent"], one["unknown"]) for one in found["days"]] == [
        ("Clicked", 2, 1),
        ("Signed Up", 0, 0),
    ]


def test_a_moved_call_is_named_with_its_row_and_its_own_second(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    log = write(tmp_path / "log.csv", "ada,Acme,In,@1", "bob,Acme,In,@1")
    importer("import", log).ended(0)
    lines = records_of(tracker.hits)
    (moved,) = (line for line in lines if line["_t"] == DAY + 2)
    lines.remove(moved)
    lines.append({"_p": "zoe", "_n": "Out", "_t": DAY + 5})
    (call,) = verify(importer, write_export(tmp_path / "export", lines), code=65)["absent"]
    assert (call["time"], call["identity"], call["line"]) == ("2024-01-01T00:00:02Z", "Acme", 3)


def test_a_call_under_another_person(importer: Command, tmp_path: Path, lines: list[Line]) -> None:
    for line in lines:
        if whose(line, "bob"):
            line["_p"] = "mallory"
    export = write_export(tmp_path / "export", lines)
    found = verify(importer, export, code=65)
    (one,) = found["other_person"]
    assert (one["identity"], one["other"], one["by_alias"]) == (None, "mallory", False)
    assert (found["absent"], found["not_in_ledger"]) == ([], [])
    assert Path(one["file"]).read_text().splitlines()[one["at"] - 1] == json.dumps(
        next(line for line in lines if line["_p"] == "mallory")
    )
    assert "under mallory" in importer("verify", export).ended(65).out


def test_an_alias_that_the_ledger_does_not_know_explains_a_merged_call(
    importer: Command, tmp_path: Path, lines: list[Line]
) -> None:
    """Both people did it in one second: Kissmetrics keeps it once, under the other one (D1)."""
    kept = [line for line in lines if not whose(line, "ada")]
    kept += [{"_p": "ada", "_p2": "twin", "_t": DAY}, {"_p": "twin", "_n": "Clicked", "_t": DAY + 1}]
    found = verify(importer, write_export(tmp_path / "export", kept), code=65)
    (one,) = found["other_person"]
    assert (one["identity"], one["other"], one["by_alias"]) == ("ada", "twin", True)
    assert found["aliases"] == {"found": 0, "not_shown": 0, "unknown": 1}


def test_a_call_under_an_alias_of_the_ledger_itself_is_found(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    configure(importer, '[[personas]]\nname = "user"\nalias = "old"\n')
    header = "user,event,timestamp,old"
    log = write(tmp_path / "log.csv", "old-ada,In,@1", "ada,In,@2,old-ada", header=header)
    importer("import", log, "--allow-alias").ended(0)
    lines = records_of(tracker.hits)
    for line in lines:
        line["_p"] = line["_p"].removeprefix("old-")
    found = verify(importer, write_export(tmp_path / "export", lines))
    assert found["calls"]["found"] == 2
    assert found["aliases"] == {"found": 1, "not_shown": 0, "unknown": 0}
    rest = [line for line in lines if "_p2" not in line]
    assert verify(importer, write_export(tmp_path / "rest", rest))["aliases"]["not_shown"] == 1


def test_records_that_the_ledger_does_not_know_are_no_finding(
    importer: Command, tmp_path: Path, lines: list[Line]
) -> None:
    lines += [{"_p": "zoe", "_n": "Visited", "_t": DAY + 5}, {"_p": "ada", "_t": DAY + 1, "age": 7}]
    lines += lines
    found = verify(importer, write_export(tmp_path / "export", lines))
    assert [(one["identity"], one["event"]) for one in found["not_in_ledger"]] == [
        ("ada", None),
        ("zoe", "Visited"),
    ]
    assert found["unknown"] == 2
    assert "not in the ledger" in importer("verify", tmp_path / "export").ended(0).out


def test_properties_without_an_event(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """An export without any such record may leave them out, so nothing can be said."""
    configure(importer, TOML)
    rows = ("ada,Acme,In,@1,pro", "ada,Acme,In,@2,free", "ada,Acme,In,@3,pro")
    importer("import", write(tmp_path / "log.csv", *rows)).ended(0)
    lines = sorted(records_of(tracker.hits), key=lambda line: line["_t"])
    sets = [line for line in lines if "_n" not in line]
    assert len(sets) == 3
    for line in lines:
        if "_n" in line:
            line.pop("plan", None)
    without = [line for line in lines if line not in sets]
    found = verify(importer, write_export(tmp_path / "without", without))
    assert found["calls"]["properties_not_shown"] == 3
    (call,) = verify(importer, write_export(tmp_path / "two", [*without, *sets[:1], *sets[2:]]), code=65)[
        "absent"
    ]
    assert (call["time"], call["event"], call["identity"]) == ("2024-01-01T00:00:02Z", None, "Acme")
    sets[1]["plan"] = "other"
    verify(importer, write_export(tmp_path / "other", [*without, *sets]), code=65)
    sets[1]["plan"] = 12
    verify(importer, write_export(tmp_path / "number", [*without, *sets]))


def test_names_and_people_are_compared_as_kissmetrics_folds_them(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    log = written(tmp_path, '"ada, b",,"Signed, Up: now",2024-01-01T00:00:01Z,\n')
    importer("import", log).ended(0)
    (line,) = records_of(tracker.hits)
    line |= {"_p": "ada  b", "_n": "signed  up  NOW"}
    verify(importer, write_export(tmp_path / "export", [line]))


# What cannot be checked


def test_calls_that_are_pending_or_refused_are_not_expected(
    importer: Command, tracker: Tracker, tmp_path: Path, log: Path
) -> None:
    def behave(hit: Hit, _: int) -> Reaction:
        if hit.params["_p"] == "cy":
            return BAD
        return UNAVAILABLE if hit.params["_p"] == "bob" else OK

    tracker.behave = behave
    importer("import", log, "--attempts", "1").ended(75)
    found = verify(importer, write_export(tmp_path / "export", records_of(tracker.hits)))
    assert found["calls"] == {"found": 3, "absent": 0, "other_person": 0, "pending": 1}
    assert "pending" in importer("verify", tmp_path / "export").ended(0).out


def test_calls_outside_the_times_of_the_export(importer: Command, tmp_path: Path, lines: list[Line]) -> None:
    middle = [line for line in lines if line["_t"] == DAY + 2]
    found = verify(importer, write_export(tmp_path / "export", middle))
    assert found["calls"] == {
        "found": 2,
        "absent": 0,
        "other_person": 0,
        "before_the_export": 2,
        "after_the_export": 1,
    }
    assert "older than the first record" in importer("verify", tmp_path / "export").ended(0).out


def test_calls_that_were_sent_after_the_export_was_made(
    importer: Command, tmp_path: Path, lines: list[Line]
) -> None:
    """By the time of the newest file, or by --exported-at."""
    export = write_export(tmp_path / "export", [line for line in lines if not whose(line, "bob")])
    verify(importer, export, code=65)
    found = verify(importer, export, "--exported-at", "2024-02-01")
    assert found["calls"]["sent_after_the_export"] == 1
    assert found["made"] == "2024-02-01T00:00:00Z"
    os.utime(export / "revisions" / "1.json", (1e9, 1e9))
    assert verify(importer, export)["calls"]["sent_after_the_export"] == 1
    said(importer("verify", export, "--exported-at", "soon").ended(2), "--exported-at 'soon'")


def test_a_call_that_was_left_pending_was_sent_by_the_run_that_resumed_it(
    importer: Command, tracker: Tracker, tmp_path: Path, log: Path
) -> None:
    tracker.behave = lambda hit, _: UNAVAILABLE if hit.params["_p"] == "bob" else OK
    importer("import", log, "--attempts", "1").ended(75)
    export = write_export(tmp_path / "export", records_of(tracker.hits))
    tracker.behave = None
    importer("retry").ended(0)
    with closing(sqlite3.connect(importer.state / "ledger.db")) as ledger, ledger:
        ledger.execute("UPDATE runs SET began = began - 7200, ended = ended - 7200 WHERE run = 1")
    an_hour_ago = time.time() - 3600
    os.utime(export / "revisions" / "1.json", (an_hour_ago, an_hour_ago))
    found = verify(importer, export)
    assert found["calls"] == {"found": 4, "absent": 0, "other_person": 0, "sent_after_the_export": 1}
    assert verify(importer, export, "--exported-at", "2100-01-01", code=65)["calls"]["absent"] == 1


def test_kissmetrics_own_export_ends_with_the_day_before(
    importer: Command, tracker: Tracker, tmp_path: Path, lines: list[Line]
) -> None:
    export = write_export(tmp_path / "export", [line for line in lines if not whose(line, "bob")])
    request = ExportRequest(tracker.url, "", (str(export),), ends_day_before=True)
    with closing(Ledger.overlay(importer.state / "ledger.db")) as ledger:
        found = verify_export(request, ledger, 2e9)
        assert (found.absent, found.outcomes["sent_after_the_export"]) == (0, 1)
        assert verify_export(request._replace(made=found.made + 86_400), ledger, 2e9).absent == 1


def test_calls_that_were_sent_before_the_first_revision(
    importer: Command, tmp_path: Path, lines: list[Line]
) -> None:
    export = write_export(tmp_path / "export", lines, 2, tables=False)
    (export / "revisions" / "1.json").unlink()
    with (export / "revisions" / "2.json").open("a") as file:
        file.write(json.dumps({"_p": "zoe", "_n": "Visited", "_t": 4_000_000_000}) + "\n")
        file.write(json.dumps({"_p": "zoe", "_n": "Visited", "_t": DAY}) + "\n")
    found = verify(importer, export)
    assert found["calls"]["sent_before_the_export"] == 2


# Sites


def test_an_export_of_one_of_two_sites(
    importer: Command, tracker: Tracker, tmp_path: Path, log: Path
) -> None:
    configure(importer, SITES)
    importer("import", log, "--strategy", "sites").ended(0)
    keys = {hit.params["_k"] for hit in tracker.hits}
    accounts = next(hit.params["_k"] for hit in tracker.hits if hit.params["_p"] == "Acme")
    (users,) = keys - {accounts}
    export = write_export(tmp_path / "export", records_of(h for h in tracker.hits if h.params["_k"] == users))
    said(importer("verify", export).ended(2), "accounts, main", "--site")
    assert verify(importer, export, "--site", "main")["calls"]["found"] == 3
    wrong = importer("verify", export, "--site", "accounts").ended(65).out
    assert "is it the export of site accounts?" in wrong
    said(importer("verify", export, "--site", "other").ended(2), "--site other")


def test_a_trial_of_the_same_log_in_another_site_is_not_taken_for_lost_calls(
    importer: Command, tracker: Tracker, tmp_path: Path, log: Path
) -> None:
    """Nobody can tell to which site an absent call of cy belongs, until a log names cy."""
    configure(importer, SITES)
    importer("import", log, "--site", "main").ended(0)
    mine = records_of(tracker.hits)
    importer("import", log, "--site", "accounts").ended(0)
    export = write_export(tmp_path / "export", mine)
    assert verify(importer, export, "--site", "main")["calls"] == {
        "found": 5,
        "absent": 0,
        "other_person": 0,
    }
    rest = [line for line in mine if not whose(line, "cy")]
    rest.append({"_p": "zoe", "_n": "Clicked", "_t": DAY + 9})
    lost = write_export(tmp_path / "lost", rest)
    assert verify(importer, lost, "--site", "main")["calls"]["site_unknown"] == 2
    found = verify(importer, lost, "--site", "main", "--source", log, code=65)
    assert [(one["identity"], one["line"]) for one in found["absent"]] == [("cy", 4)]


# Files


def test_the_export_of_the_stand_in(km: Command, tmp_path: Path) -> None:
    """With and without duplicates, after two calls were sent as one (--collisions keep)."""
    log = write(tmp_path / "log.csv", *ROWS, "bob,Acme,Clicked,@1,pro")
    store = tmp_path / "s.db"
    km("import", log, "--to", f"local:{store}", "--collisions", "keep").ended(0)
    for duplicates in (False, True):
        export = Export(store, duplicates=duplicates)
        folder = tmp_path / f"export-{duplicates}"
        lines = export.revision(1)
        assert lines is not None
        write_export(folder, [json.loads(line) for line in lines])
        (folder / "index.csv").write_text(export.index_csv())
        (folder / "status.csv").write_text(export.status_csv())
        found = verify(km, folder, "--to", f"local:{store}")
        assert (found["calls"]["found"], found["unknown"]) == (7, 0)


def test_details_are_written_to_a_new_file(importer: Command, tmp_path: Path, lines: list[Line]) -> None:
    kept = [line for line in lines if not whose(line, "bob")]
    export = write_export(tmp_path / "export", kept, packed=True)
    details = tmp_path / "details.jsonl"
    out = importer("verify", export, "--details", details).ended(65).out
    assert f"all calls and records are in {details}" in out
    (line,) = details.read_text().splitlines()
    assert json.loads(line)["outcome"] == "absent"
    said(importer("verify", export, "--details", details).ended(2), "exists already")
    assert details.read_text().splitlines() == [line]
    other = tmp_path / "other.jsonl"
    importer("verify", tmp_path / "nowhere", "--details", other).ended(2)
    assert not other.exists()


def test_files_can_be_named_themselves(importer: Command, tmp_path: Path, lines: list[Line]) -> None:
    one, two = tmp_path / "a.jsonl", tmp_path / "b"
    one.write_text("".join(f"{json.dumps(line)}\n\n" for line in lines[:2]))
    two.write_bytes(gzip.compress("\n".join(map(json.dumps, lines[2:])).encode()))
    found = importer("verify", one, two, "--json").ended(0).summary["export"]
    assert (found["files"], found["calls"]["found"]) == (2, 5)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "line 2: not a record"),
        ("[1]", "line 2: not a record"),
        ('{"_n": "In", "_t": 1}', "its _p is missing"),
        ('{"_p": {"a": 1}, "_t": 1}', "its _p is not a text"),
        ('{"_p": "ada", "_n": "In"}', "its _t is not a time"),
        ('{"_p": "ada", "_n": "In", "_t": "soon"}', "its _t is not a time"),
        ('{"_p": "ada", "_n": "In", "_t": true}', "its _t is not a time"),
    ],
)
def test_a_line_that_is_no_record(
    importer: Command, tmp_path: Path, lines: list[Line], text: str, problem: str
) -> None:
    path = tmp_path / "export.json"
    path.write_text(f"{json.dumps(lines[0])}\n{text}\n")
    result = importer("verify", path).ended(69)
    said(result, str(path), problem)


def test_an_export_that_is_not_whole(importer: Command, tmp_path: Path, lines: list[Line]) -> None:
    export = write_export(tmp_path / "export", lines, 1)
    (export / "revisions" / "3.json").unlink()
    said(importer("verify", export).ended(69), "revision 3 of 5 missing")
    (export / "revisions" / "5.json").unlink()
    said(importer("verify", export).ended(69), "revisions 3, 5 of 5 missing")
    (export / "status.csv").unlink()
    (export / "index.csv").write_text("Filename,Minimum Timestamp\nrevisions/6.json,1\n")
    said(importer("verify", export).ended(69), "revisions 3, 5, 6 of 6 missing")


def test_an_export_that_cannot_be_read(importer: Command, tmp_path: Path, lines: list[Line]) -> None:
    def refused(path: Path) -> Result:
        return importer("verify", path).ended(69)

    said(importer("verify", tmp_path / "nowhere").ended(2), "nowhere", "no such file")
    (tmp_path / "none").mkdir()
    said(refused(tmp_path / "none"), "no files of an export")
    export = write_export(tmp_path / "export", lines, packed=True)
    packed = export / "revisions" / "1.json.gz"
    packed.write_bytes(packed.read_bytes()[:-12])
    said(refused(export), str(packed))
    packed.write_bytes(gzip.compress(b""))
    said(refused(export), "no records")


def test_a_ledger_without_calls_to_that_place(importer: Command, tmp_path: Path, lines: list[Line]) -> None:
    export = write_export(tmp_path / "export", lines)
    said(importer("verify", export, "--to", "https://example.com").ended(2), "no calls for")
    said(importer("verify", export, "--ledger", tmp_path / "none.db").ended(2), "does not exist")
    said(importer("verify", export, "--source", tmp_path / "none.csv").ended(2), "none.csv")


def test_hostile_names_are_shown_escaped(importer: Command, tmp_path: Path, lines: list[Line]) -> None:
    lines.append({"_p": "\x1b[31mzoe", "_n": "a\nb", "_t": DAY + 5})
    result = importer("verify", write_export(tmp_path / "export", lines)).ended(0)
    assert "\x1b" not in result.out
    assert "a\\nb" in result.out
