"""The km.toml that `init` writes for an export reads what the table reads, in this file and in later ones."""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from km_cli.exports import columns_of, export_tables, export_toml
from tests.support.command import Command
from tests.support.drawing import examples
from tests.support.exported import Arrival, arrivals
from tests.support.tracker import Tracker

DATA = Path(__file__).parent / "data" / "exports"

LACKING = [
    ("segment.jsonl", ("context.groupId", "properties", "originalTimestamp")),
    ("segment.jsonl", ("timestamp",)),
    ("mixpanel.jsonl", ("properties.$insert_id", "properties.plan")),
    ("amplitude.jsonl", ("groups", "device_id", "$insert_id", "processed_time")),
    ("amplitude.csv", ("groups", "device_id", "$insert_id", "processed_time")),
    ("posthog.jsonl", ("properties.$groups", "properties.$group_0", "uuid", "created_at")),
    ("posthog-text.jsonl", ("uuid",)),
    ("posthog.csv", ("uuid", "set", "site_url")),
    ("ga4.jsonl", ("user_id", "user_properties")),
    ("kissmetrics.json", ("_n", "_p2")),
    ("kissmetrics.csv", ("Event", "Alias", "Prop:Plan Name")),
]
"""A file of each export, and the columns that its first file may lack."""


def without(record: Any, path: str) -> None:
    """Take a member out of a record, if it is there."""
    key, dot, rest = path.partition(".")
    if isinstance(record, dict) and key in record:
        if dot:
            without(record[key], rest)
        else:
            del record[key]


def lacking(path: Path, columns: Iterable[str], made: Path) -> Path:
    """Write a file again without these columns."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        with made.open("w", encoding="utf-8", newline="") as file:
            kept = [name for name in rows[0] if name not in columns]
            writer = csv.DictWriter(file, kept, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        return made
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line.replace("\\303\\274", "ü"))
        for column in columns:
            without(record, column)
        lines.append(json.dumps(record))
    made.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return made


def sent(tracker: Tracker, home: Path, file: Path, *options: str | Path) -> list[Arrival]:
    """Import a file with an empty ledger; return the calls that arrived. Rows may be rejected."""
    home.mkdir()
    tracker.forget()
    result = Command(home, to=tracker.url)("import", file, "--timezone", "UTC", *options, "--json")
    assert result.code in (0, 65), result.err
    return arrivals(tracker.hits)


@pytest.mark.parametrize(("name", "columns"), LACKING)
@pytest.mark.parametrize("is_first", [True, False])
def test_both_read_a_file_that_lacks_columns_and_a_whole_one(
    shared_tracker: Tracker, tmp_path: Path, name: str, columns: tuple[str, ...], is_first: bool
) -> None:
    """Whichever of the two files `init` looks at."""
    part = lacking(DATA / name, columns, tmp_path / f"part{Path(name).suffix}")
    files = (part, DATA / name) if is_first else (DATA / name, part)
    target = tmp_path / "km.toml"
    Command(tmp_path)("init", files[0], "--output", target).ended(0)
    for number, file in enumerate(files):
        by_table = sent(shared_tracker, tmp_path / f"table-{number}", file)
        by_columns = sent(shared_tracker, tmp_path / f"columns-{number}", file, "--config", target)
        assert by_columns == by_table
        assert by_table


def test_an_alias_of_a_later_file_is_sent_if_it_is_allowed(shared_tracker: Tracker, tmp_path: Path) -> None:
    """The first file has no column of aliases."""
    part = lacking(DATA / "kissmetrics.csv", ("Alias",), tmp_path / "part.csv")
    target = tmp_path / "km.toml"
    Command(tmp_path)("init", part, "--output", target).ended(0)
    whole = DATA / "kissmetrics.csv"
    calls = sent(shared_tracker, tmp_path / "columns", whole, "--config", target, "--allow-alias")
    assert calls == sent(shared_tracker, tmp_path / "table", whole, "--allow-alias")
    assert "/a" in {call.path for call in calls}


def test_all_files_of_an_export_are_looked_at(shared_tracker: Tracker, tmp_path: Path) -> None:
    """The first one names no account, and the second one does."""
    first = lacking(DATA / "mixpanel.jsonl", ("properties.company",), tmp_path / "1.jsonl")
    second, target = tmp_path / "2.jsonl", tmp_path / "km.toml"
    second.write_bytes((DATA / "mixpanel.jsonl").read_bytes())
    Command(tmp_path)("init", first, second, "--output", target).ended(0)
    assert 'column = "properties.company"' in target.read_text(encoding="utf-8")
    assert sent(shared_tracker, tmp_path / "one", second, "--config", target)


# Files with different columns


PLAIN = '{"user": "ada", "event": "Paid", "time": "2024-03-05T09:00:00Z"}\n'


@pytest.mark.parametrize(
    ("other", "says"),
    [("plain.jsonl", "is not"), ("amplitude.jsonl", "is an export of Amplitude")],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_an_export_and_another_file_are_refused(km: Command, other: str, says: str, is_first: bool) -> None:
    """One km.toml would read the rows of one of them wrongly, and nothing would say so."""
    path = km.home / other
    text = (DATA / other).read_text(encoding="utf-8") if "amplitude" in other else PLAIN
    path.write_text(text, encoding="utf-8")
    files = (DATA / "segment.jsonl", path) if is_first else (path, DATA / "segment.jsonl")
    err = " ".join(km("init", *files, "--output", km.home / "km.toml").ended(2).err.split())
    assert says in err
    assert "segment.jsonl" in err
    assert "run init for each of them" in err
    assert not (km.home / "km.toml").exists()


def test_a_file_without_rows_is_of_any_export(km: Command) -> None:
    empty = km.home / "empty.jsonl"
    empty.write_text("", encoding="utf-8")
    out = km("init", empty, DATA / "segment.jsonl", "--output", km.home / "km.toml").ended(0).out
    assert "an export of Segment" in " ".join(out.split())


# Text as TOML


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
@settings(max_examples=examples(60))
def test_any_name_comes_back(name: str) -> None:
    """TOML does not take control characters as they are, DEL among them."""
    table = export_tables()["kissmetrics"]
    found = columns_of(table, [])._replace(user=(name,), timestamp=name, account=(name, f"{name}2"))
    config = tomllib.loads(export_toml(table, found, name))
    assert config["columns"]["timestamp"] == name
    assert config["personas"][1]["column"] == [name, f"{name}2"]


def test_a_control_character_is_escaped(km: Command) -> None:
    """Also in the name of a file, which stands in a comment."""
    log = km.home / "a\x7fb.jsonl"
    log.write_bytes((DATA / "amplitude.jsonl").read_bytes())
    km("init", log, "--output", km.home / "km.toml").ended(0)
    text = (km.home / "km.toml").read_text(encoding="utf-8")
    assert "a\\u007Fb.jsonl" in text
    assert text.replace("\n", "").isprintable()
