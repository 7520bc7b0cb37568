"""Corrected rejects belong to the reading and the line that they came from, whatever a person corrects."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.command import KEY, Command
from tests.support.people import configure
from tests.support.tracker import OK, Tracker, refuse
from tests.test_sets import SETS

LOG = """user,account,event,timestamp,plan
ada,Acme,Paid,2024-03-01T09:00:00Z,pro
bo,Acme,Paid,SOON,pro
"""
FIRST, SECOND = "2024-03-01T09:05:00Z", "2024-03-01T10:00:00Z"


@pytest.fixture
def rejected(importer: Command, tmp_path: Path, tracker: Tracker) -> Path:
    """The rejects of LOG: the row of line 3. The tracker has forgotten the calls of the other row."""
    (tmp_path / "log.csv").write_text(LOG)
    path = tmp_path / "rejects.jsonl"
    importer("import", tmp_path / "log.csv", "--rejects", path).ended(65)
    tracker.forget()
    return path


def corrected(path: Path, *changes: Sequence[tuple[str, str]]) -> Path:
    """Return a file with each reject once for each list of changes in its text."""
    lines = []
    for replacements in changes:
        text = path.read_text()
        for old, new in replacements:
            text = text.replace(old, new)
        lines.append(text)
    out = path.with_name("corrected.jsonl")
    out.write_text("".join(lines))
    return out


def sent(tracker: Tracker) -> set[tuple[str, str]]:
    return {(hit.params["_p"], hit.params["_t"]) for hit in tracker.hits}


ONCE = {("bo", "1709283900"), ("Acme", "1709283900")}


@pytest.mark.parametrize(
    "change",
    [("SOON", SECOND), ("Paid,SOON", f"Left,{FIRST}"), ("bo,Acme,Paid,SOON", f"cy,Acme Inc,Paid,{FIRST}")],
    ids=["another time", "another event", "other people"],
)
@pytest.mark.parametrize("is_one_file", [False, True])
def test_a_line_is_sent_once_whatever_is_corrected(
    importer: Command, tracker: Tracker, rejected: Path, change: tuple[str, str], is_one_file: bool
) -> None:
    """In two imports, and in one of a file that has the reject twice. The finding says so."""
    if is_one_file:
        result = importer("import", corrected(rejected, [("SOON", FIRST)], [change]), "--json").ended(0)
    else:
        importer("import", corrected(rejected, [("SOON", FIRST)])).ended(0)
        result = importer("import", corrected(rejected, [change]), "--json").ended(0)
    assert sent(tracker) == ONCE
    assert len(tracker.hits) == 2
    assert result.summary["findings"]["changed"] == 2
    message = "line 3, was corrected and sent before with another time, name or identity; not sent again"
    assert message in result.err


def test_a_line_that_was_sent_may_be_imported_as_it_was(
    importer: Command, tracker: Tracker, rejected: Path
) -> None:
    """That is the usual case: a person imports the same corrected file again."""
    for expected in (1, 0):
        summary = importer("import", corrected(rejected, [("SOON", FIRST)]), "--json").ended(0).summary
        assert summary["rows"]["sent"] == expected
        assert "changed" not in summary["findings"]
    assert len(tracker.hits) == 2


def rejected_again(importer: Command, rejected: Path, *flags: str) -> Path:
    """The rejects of the same file under another mapping, in a file of its own."""
    path = rejected.with_name("again.jsonl")
    importer("import", path.with_name("log.csv"), "--rejects", path, *flags).ended(65)
    return path


@pytest.mark.parametrize("is_swapped", [False, True])
@pytest.mark.parametrize("time", [FIRST, SECOND])
def test_a_line_that_was_rejected_in_two_readings_is_sent_once(
    importer: Command, tracker: Tracker, rejected: Path, time: str, is_swapped: bool
) -> None:
    """The file was read twice, under two mappings. The bytes are the same, so the line is the same."""
    again = rejected_again(importer, rejected, "--no-properties")
    one, other = (again, rejected) if is_swapped else (rejected, again)
    importer("import", corrected(one, [("SOON", FIRST)])).ended(0)
    summary = importer("import", corrected(other, [("SOON", time)]), "--json").ended(0).summary
    assert sent(tracker) == ONCE
    assert len(tracker.hits) == 2
    assert summary["findings"].get("changed", 0) == (0 if time == FIRST else 2)


def test_a_line_of_two_readings_with_other_values_is_no_conflict(
    importer: Command, tracker: Tracker, rejected: Path
) -> None:
    again = rejected_again(importer, rejected, "--no-properties")
    importer("import", corrected(rejected, [("SOON", FIRST)])).ended(0)
    result = importer("import", corrected(again, [("SOON,pro", f"{FIRST},team")]), "--json").ended(0)
    assert len(tracker.hits) == 2
    assert result.summary["findings"]["changed"] == 2


def test_another_line_of_the_same_file_is_another_event(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """Its two rejects come from two readings. Both lines are corrected to one moment, and differ."""
    log, path = tmp_path / "log.csv", tmp_path / "rejects.jsonl"
    log.write_text(LOG + "bo,Acme,Paid,LATE,team\n")
    importer("import", log, "--rejects", path).ended(65)
    again = rejected_again(importer, path, "--no-properties")
    tracker.forget()
    importer("import", corrected(path, [("SOON", FIRST)])).ended(65)
    summary = importer("import", corrected(again, [("LATE", SECOND)]), "--json").ended(65).summary
    assert len(sent(tracker)) == 4
    assert "changed" not in summary["findings"]


def test_a_part_that_was_refused_may_get_another_time(
    importer: Command, tracker: Tracker, rejected: Path
) -> None:
    """It was never sent. The other part was, and stays at its time."""
    tracker.behave = lambda hit, _: refuse(413) if hit.params["_p"] == "Acme" else OK
    importer("import", corrected(rejected, [("SOON", FIRST)])).ended(65)
    tracker.behave = None
    importer("import", corrected(rejected, [("SOON", SECOND)])).ended(0)
    accepted = {pair for pair in sent(tracker) if pair != ("Acme", "1709283900")}
    assert accepted == {("bo", "1709283900"), ("Acme", "1709287200")}


def test_two_lines_may_be_corrected_to_one_moment(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """They are two events, because they differ; each gets a second of its own."""
    log, path = tmp_path / "log.csv", tmp_path / "rejects.jsonl"
    log.write_text(LOG + "bo,Acme,Paid,SOON,team\n")
    importer("import", log, "--rejects", path).ended(65)
    tracker.forget()
    assert (
        importer("import", corrected(path, [("SOON", FIRST)]), "--json").ended(0).summary["rows"]["sent"] == 2
    )
    assert len(sent(tracker)) == 4


def test_a_profile_that_was_corrected_is_set_once(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """Rows that state properties are known by their line as well."""
    log, path = tmp_path / "people.csv", tmp_path / "rejects.jsonl"
    log.write_text("user,timestamp,plan\nada,2024-03-01T09:00:00Z,pro\nbo,SOON,pro\n")
    importer("import", log, "--profiles", "--rejects", path).ended(65)
    tracker.forget()
    for time in (FIRST, SECOND, FIRST):
        importer("import", corrected(path, [("SOON", time)]), "--profiles").ended(0)
    assert sent(tracker) == {("bo", "1709283900")}
    assert len(tracker.hits) == 1


FOLLOWED = """user,account,event,timestamp,plan
ada,Acme,In,2024-03-01T09:00:00Z,free
bo,Acme,Up,SOON,pro
ada,Acme,Up,2024-03-01T09:30:00Z,max
"""


@pytest.mark.parametrize(
    ("first", "change", "codes"),
    [
        ("SOON", [("SOON", SECOND)], 3),
        ("SOON", [("SOON,pro", f"{FIRST},team")], 3),
        (FIRST, [(FIRST, SECOND)], 1),
        (FIRST, [(",pro", ",team")], 1),
        (FIRST, [], 0),
    ],
    ids=["whole: time", "whole: value", "refused: time", "refused: value", "as it was"],
)
def test_a_property_of_a_line_is_set_once(
    importer: Command, tracker: Tracker, tmp_path: Path, first: str, change: list[tuple[str, str]], codes: int
) -> None:
    """Sent again at a later time, the value would be in force after the later row, which has another one."""
    configure(importer, SETS)
    log, path = tmp_path / "log.csv", tmp_path / "rejects.jsonl"
    log.write_text(FOLLOWED.replace("SOON", first))
    tracker.behave = lambda hit, _: refuse(413) if hit.params.get("plan") == "pro" else OK
    importer("import", log, "--rejects", path).ended(65)
    tracker.behave = None
    tracker.forget()
    importer("import", corrected(path, [("SOON", FIRST)])).ended(0)
    result = importer("import", corrected(path, change), "--json").ended(0)
    assert [hit.params["_t"] for hit in tracker.hits if hit.params.get("plan") == "pro"] == ["1709283900"]
    assert result.summary["calls"]["planned"] == 0
    assert result.summary["findings"].get("changed", 0) == codes


# Rejects of a [[backfill]] that was renamed

KM_TOML = """
[columns]
event = "event"

[[backfill]]
name = "plain"
files = ["plain.csv"]

[[backfill]]
name = "one"
files = ["log.csv"]
[backfill.columns]
event = "what"
timezone = "Europe/Berlin"
exclude = ["note"]
[[backfill.personas]]
name = "user"
column = "who"
"""
OWN = "who,what,time,note,plan\nada,Paid,2024-03-01 10:00:00,x,pro\nbo,Paid,SOON,x,pro\n"


@pytest.fixture
def renamed(importer: Command, tmp_path: Path, tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corrected reject of the [[backfill]] 'one', which is called 'two' now."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "km.toml").write_text(KM_TOML)
    (tmp_path / "log.csv").write_text(OWN)
    (tmp_path / "plain.csv").write_text("user,event,time\n")
    importer("backfill", "--rejects", "rejects.jsonl").ended(65)
    tracker.forget()
    (tmp_path / "km.toml").write_text(KM_TOML.replace('"one"', '"two"'))
    return corrected(tmp_path / "rejects.jsonl", [("SOON", "2024-03-01 10:05:00")])


def test_rejects_of_a_renamed_source_are_imported_under_its_new_name(
    importer: Command, tracker: Tracker, renamed: Path
) -> None:
    """Its columns and personas are the same, so the calls are those that are owed."""
    importer("import", renamed, "--source", "two").ended(0)
    assert sent(tracker) == {("bo", "1709283900")}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('event = "what"', 'event = "note"'), ("--source", "two")),
        (('timezone = "Europe/Berlin"', 'timezone = "UTC"'), ("--source", "two")),
        (('column = "who"', 'column = "note"'), ("--source", "two")),
        (("", ""), ("--source", "plain")),
        (("", ""), ()),
    ],
    ids=["event", "zone", "user", "another source", "no source"],
)
def test_rejects_are_not_read_in_another_way_than_their_log(
    importer: Command, tracker: Tracker, renamed: Path, change: tuple[str, str], words: tuple[str, ...]
) -> None:
    """With other columns or personas they would become other calls. The message says what to do."""
    km_toml = renamed.with_name("km.toml")
    km_toml.write_text(km_toml.read_text().replace(*change))
    result = importer("import", renamed, *words, "--rejects", "again.jsonl")
    text = result.err if result.code == 2 else renamed.with_name("again.jsonl").read_text()
    assert result.code in (2, 65)
    assert "the [[backfill]] 'one', whose own columns km.toml does not have any more" in text
    assert "import it with --source NAME" in text
    assert not tracker.hits


def test_rejects_of_a_source_whose_columns_became_those_of_km_toml(
    importer: Command, tracker: Tracker, renamed: Path
) -> None:
    """It has its name, but no columns of its own any more."""
    own = KM_TOML[KM_TOML.index("[backfill.columns]") :]
    own = own.replace("[backfill.columns]", "[columns]").replace("[[backfill.personas]]", "[[personas]]")
    source = '[[backfill]]\nname = "one"\nfiles = ["log.csv"]\n'
    renamed.with_name("km.toml").write_text(own + source)
    importer("import", renamed).ended(0)
    assert sent(tracker) == {("bo", "1709283900")}


def test_a_source_that_has_the_old_name_is_asked_for(
    importer: Command, tracker: Tracker, renamed: Path
) -> None:
    """Names decide as long as km.toml has them."""
    km_toml = renamed.with_name("km.toml")
    km_toml.write_text(km_toml.read_text() + KM_TOML[KM_TOML.index('[[backfill]]\nname = "one"') :])
    importer("import", renamed, "--source", "two", "--rejects", "again.jsonl").ended(65)
    assert "import it with --source one" in renamed.with_name("again.jsonl").read_text()
    assert not tracker.hits
    importer("import", "again.jsonl", "--source", "one").ended(0)
    assert len(tracker.hits) == 1


def test_the_rejects_keep_their_form(rejected: Path) -> None:
    """A reject names its reading and line; the key is not among its values."""
    (line,) = map(json.loads, rejected.read_text().splitlines())
    assert (line["line"], len(line["reading"])) == (3, 16)
    assert KEY not in rejected.read_text()


def test_a_row_of_two_readings_does_not_take_the_call_of_the_row_behind_it(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """The second mapping reads both lines again. The row that was sent has its call from another line."""
    configure(importer, SETS)
    head, row = "user,account,event,timestamp,plan\n", "bo,Acme,Paid,{},{}\n"
    edges = [row.format(f"2024-03-0{day}T09:00:00Z", "pro") for day in (1, 9)]
    twin, other = (row.format(FIRST, plan) for plan in ("pro", "max"))
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    first.write_text(head + edges[0] + twin + edges[1])
    second.write_text(head + edges[0] + other + twin + edges[1])
    importer("import", first).ended(0)
    tracker.forget()
    rejects = [tmp_path / "1.jsonl", tmp_path / "2.jsonl"]
    importer("import", second, "--rejects", rejects[0]).ended(65)
    importer("import", second, "--rejects", rejects[1], "--exclude-property", "plan").ended(65)
    assert tracker.hits == []
    for path in (*rejects, *rejects):
        importer("import", path, "--overlap", "separate").ended(0)
    assert sorted(hit.params["_p"] for hit in tracker.hits if "_n" in hit.params) == ["Acme", "bo"]
