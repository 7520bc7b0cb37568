"""Keys of km.toml for files whose columns differ: several times, `optional`, and a pattern in `rename`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from km_cli.mapping import ColumnOptions, Mapping, TimeOptions, recognise_columns
from km_cli.model import Persona
from tests.support.command import Command
from tests.support.exported import arrivals
from tests.support.people import configure
from tests.support.tracker import Tracker

Row = dict[str, Any]


def jsonl(path: Path, *rows: Row) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def table(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def seconds(tracker: Tracker) -> dict[str, int]:
    """The second of each person's call, from 2024-03-05 09:00:00 UTC on."""
    return {call.person: call.second - 1709629200 for call in arrivals(tracker.hits)}


TIMES = '[columns]\ntimestamp = ["done", "seen", "sent"]\n'


# Several columns of the time


def test_the_time_is_in_the_first_column_that_is_not_empty(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """Row by row; none of the columns is sent as a property."""
    configure(importer, TIMES)
    moment = "2024-03-05T09:00:0{}Z".format
    log = jsonl(
        tmp_path / "log.jsonl",
        {"user": "ada", "event": "Paid", "sent": moment(3)},
        {"user": "bob", "event": "Paid", "seen": moment(2), "sent": moment(3), "done": None},
        {"user": "cyd", "event": "Paid", "seen": moment(2), "done": moment(1)},
    )
    importer("import", log).ended(0)
    assert seconds(tracker) == {"ada": 3, "bob": 2, "cyd": 1}
    assert all(not call.properties for call in arrivals(tracker.hits))
    assert importer("import", log, "--json").ended(0).summary["calls"]["planned"] == 0


@pytest.mark.parametrize(
    ("header", "cells"),
    [("user,event,done,seen,sent", "ada,Paid,,2024-03-05T09:00:02Z,"), ("user,event,seen", "ada,Paid,")],
)
def test_each_time_of_a_table_has_to_be_there_or_is_optional(
    importer: Command, tracker: Tracker, tmp_path: Path, header: str, cells: str
) -> None:
    log = table(tmp_path / "log.csv", header, cells if "done" in header else f"{cells}2024-03-05T09:00:02Z")
    configure(importer, TIMES)
    if "done" not in header:
        err = importer("import", log).ended(2).err
        assert "no column 'done' (km.toml, columns.timestamp)" in " ".join(err.split())
        configure(importer, f'{TIMES}optional = ["done", "sent"]\n')
    importer("import", log).ended(0)
    assert seconds(tracker) == {"ada": 2}


def test_the_flag_replaces_all_columns_of_the_time(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    configure(importer, TIMES)
    moment = "2024-03-05T09:00:0{}Z".format
    log = jsonl(
        tmp_path / "log.jsonl",
        {"user": "ada", "event": "Paid", "sent": moment(3), "done": moment(1)},
        {"user": "bob", "event": "Paid", "done": moment(1)},
    )
    importer("import", log, "--timestamp", "sent").ended(65)
    assert seconds(tracker) == {"ada": 3}
    (reject,) = importer.rejects()
    assert reject["line"] == 2


def test_a_corrected_reject_has_all_columns_of_the_time(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    configure(importer, TIMES)
    log = jsonl(tmp_path / "log.jsonl", {"user": "ada", "event": "Paid", "seen": "soon"})
    rejects = tmp_path / "rejects.jsonl"
    importer("import", log, "--rejects", rejects).ended(65)
    rejects.write_text(
        rejects.read_text(encoding="utf-8").replace("soon", "2024-03-05T09:00:02Z"), encoding="utf-8"
    )
    importer("import", rejects).ended(0)
    assert seconds(tracker) == {"ada": 2}


def test_other_columns_of_the_time_are_another_reading(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """They make other calls. The ledger refuses them, for Kissmetrics would hold the log twice."""
    row = {"user": "ada", "event": "Paid", "done": "", "seen": "2024-03-05T09:00:02Z"}
    log = jsonl(tmp_path / "log.jsonl", {**row, "sent": "2024-03-05T09:00:03Z"})
    configure(importer, TIMES)
    importer("import", log).ended(0)
    configure(importer, '[columns]\ntimestamp = ["done", "sent", "seen"]\n')
    assert "was sent to the site 'main' already" in " ".join(importer("import", log).ended(2).err.split())
    assert len(tracker.hits) == 1


@given(st.lists(st.sampled_from(["done", "seen", "sent"]), min_size=1, unique=True))
def test_one_column_of_the_time_is_kept_as_ever(names: list[str]) -> None:
    """Ledgers know such a mapping by its text. Of several columns, the text has all."""
    wanted = ColumnOptions(timestamp=names[0], times=tuple(names[1:]))
    found = ("user", "event", "done", "seen", "sent")
    person = (Persona("user", "main"),)
    columns = recognise_columns(wanted, person, found, "log.jsonl", tabular=False)
    mapping = Mapping(columns, TimeOptions(), "")
    assert (columns.timestamp, columns.times) == (names[0], tuple(names[1:]))
    assert Mapping.from_json(mapping.to_json()) == mapping
    assert len(json.loads(mapping.to_json())[0]) == (9 if len(names) == 1 else 19)


def test_the_settings_in_force_have_all_columns_of_the_time(km: Command) -> None:
    configure(km, f'{TIMES}optional = ["done"]\n')
    out = km("config", "show").ended(0).out
    assert 'timestamp = ["done", "seen", "sent"]' in out
    assert 'optional = ["done"]' in out
    shown = json.loads(km("config", "show", "--json").ended(0).out)
    assert shown["columns.timestamp"]["value"] == ["done", "seen", "sent"]


# Optional columns


def test_a_misspelt_column_is_still_an_error(km: Command, tmp_path: Path) -> None:
    """Only the columns that are named as optional may be absent."""
    log = jsonl(tmp_path / "log.jsonl", {"user": "ada", "event": "Paid", "time": 1709629200})
    configure(km, '[columns]\nevent = "evnt"\noptional = ["group"]\n')
    assert "did you mean 'event'?" in km("dry-run", log).ended(2).err


OPTIONAL = """
[columns]
id = "number"
exclude = ["card"]
ignore = ["offset"]
optional = ["number", "card", "offset", "org", "org_id", "uid"]
[[personas]]
name = "user"
column = ["uid", "email"]
[[personas]]
name = "account"
column = ["org", "org_id"]
"""


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_files_with_and_without_optional_columns(
    importer: Command, tracker: Tracker, tmp_path: Path, form: str
) -> None:
    """A column with a usual name does not take the place of an absent one."""
    configure(importer, OPTIONAL)
    few = {"email": "ada@x.example", "event": "Paid", "time": "1709629200", "company": "Acme Inc"}
    more = {**few, "uid": "ada", "time": "1709629300", "card": "4242", "offset": "7", "org_id": "acme"}
    for number, row in enumerate((few, more), start=1):
        path = tmp_path / f"{number}.{form}"
        if form == "csv":
            table(path, ",".join(row), ",".join(row.values()))
        else:
            jsonl(path, row)
        importer("import", path, "--json").ended(0)
    own = frozenset({("company", "Acme Inc")})
    assert [(call.person, call.second - 1709629200, call.properties) for call in arrivals(tracker.hits)] == [
        ("acme", 100, own),
        ("ada", 100, own),
        ("ada@x.example", 0, own),
    ]


def test_optional_columns_are_no_other_reading(importer: Command, tmp_path: Path) -> None:
    """A file that was read goes on where it was."""
    log = jsonl(tmp_path / "log.jsonl", {"user": "ada", "event": "Paid", "time": 1709629200})
    configure(importer, '[columns]\nevent = "event"\n')
    importer("import", log).ended(0)
    again = importer("import", log, "--json").ended(0).summary
    configure(importer, '[columns]\nevent = "event"\noptional = ["group"]\n')
    summary = importer("import", log, "--json").ended(0).summary
    assert {**summary, "seconds": 0} == {**again, "seconds": 0}


# A pattern in `rename`


def test_a_pattern_renames_all_columns_that_begin_so(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """In small or capital letters; a column that is named by itself has its own name."""
    configure(importer, '[columns]\nrename = { "Prop:*" = "*", "Prop:Plan" = "Tariff" }\n')
    log = table(tmp_path / "log.csv", "user,event,time,Prop:Plan,prop:City", "ada,Paid,1709629200,pro,Lyon")
    importer("import", log).ended(0)
    assert arrivals(tracker.hits)[0].properties == {("Tariff", "pro"), ("City", "Lyon")}


def test_a_pattern_needs_a_table(km: Command, tmp_path: Path) -> None:
    """The columns of later lines are not known beforehand."""
    log = jsonl(tmp_path / "log.jsonl", {"user": "ada", "event": "Paid", "time": 1709629200})
    configure(km, '[columns]\nrename = { "Prop:*" = "*" }\n')
    err = " ".join(km("dry-run", log).ended(2).err.split())
    assert "'Prop:*' (km.toml, columns.rename) stands for columns of a table" in err
