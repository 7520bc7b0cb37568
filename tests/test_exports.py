"""Exports of other tools: recognised by their content, and sent as their raw rows say."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from km_cli.exports import ExportTable, columns_of, export_tables, parse_table, recognise_export
from tests.support.command import Command
from tests.support.drawing import examples
from tests.support.exported import arrivals, expected
from tests.support.people import configure
from tests.support.tracker import Tracker

DATA = Path(__file__).parent / "data" / "exports"
SAMPLES = Path(__file__).parent.parent / "samples"

FILES = [
    ("segment", "segment.jsonl", ""),
    ("mixpanel", "mixpanel.jsonl", "UTC"),
    ("mixpanel", "mixpanel.jsonl", "America/Los_Angeles"),
    ("amplitude", "amplitude.jsonl", ""),
    ("amplitude", "amplitude.csv", ""),
    ("posthog", "posthog.jsonl", ""),
    ("posthog", "posthog-text.jsonl", ""),
    ("posthog", "posthog.csv", ""),
    ("ga4", "ga4.jsonl", ""),
    ("kissmetrics", "kissmetrics.json", ""),
    ("kissmetrics-csv", "kissmetrics.csv", ""),
]
"""The table that reads a file, the file, and the zone that has to be named, "" if none."""


ACCOUNTS = {"acme", "globex"}


def flags(zone: str) -> tuple[str, ...]:
    return ("--timezone", zone) if zone else ()


def test_every_table_is_tried_on_a_file() -> None:
    assert {name for name, *_ in FILES} == set(export_tables())


@pytest.mark.parametrize(("name", "file", "zone"), FILES)
def test_an_export_arrives_as_its_rows_say(
    importer: Command, tracker: Tracker, name: str, file: str, zone: str
) -> None:
    """No flag says how to read it. A dry run plans the same calls, and a second import sends none."""
    path = DATA / file
    wanted = expected(name, path, zone or "UTC")
    rehearsed = importer("dry-run", path, *flags(zone), "--json").ended(0).summary
    assert rehearsed["calls"]["planned"] == len(wanted)
    sent = importer("import", path, *flags(zone), "--json").ended(0).summary
    assert arrivals(tracker.hits) == wanted
    assert sent["rows"]["rejected"] == 0
    assert importer("import", path, *flags(zone), "--json").ended(0).summary["calls"]["planned"] == 0
    assert len(tracker.hits) == len(wanted)


@pytest.mark.parametrize(("name", "file", "zone"), FILES)
def test_one_line_says_which_export_was_recognised(km: Command, name: str, file: str, zone: str) -> None:
    table = export_tables()[name]
    out = km("dry-run", DATA / file, *flags(zone)).ended(0).out
    assert f"{file}: read as an export of {table.title} ({name}, table {table.version})" in " ".join(
        out.split()
    )


@pytest.mark.slow
@given(st.data())
@settings(max_examples=examples(40))
def test_any_rows_of_an_export_arrive_as_they_say(shared_tracker: Tracker, data: st.DataObject) -> None:
    """Whatever rows come first, the export is recognised, and read in the same way."""
    name, file, zone = data.draw(st.sampled_from(FILES))
    lines = (DATA / file).read_text(encoding="utf-8").splitlines(keepends=True)
    header = [lines.pop(0)] if file.endswith(".csv") else []
    chosen = data.draw(st.lists(st.sampled_from(lines), unique=True, min_size=1))
    shared_tracker.forget()
    with TemporaryDirectory() as folder:
        path = Path(folder) / file
        path.write_text("".join([*header, *chosen]), encoding="utf-8")
        command = Command(Path(folder), to=shared_tracker.url)
        command("import", path, *flags(zone)).ended(0)
        assert arrivals(shared_tracker.hits) == expected(name, path, zone or "UTC")


NAMES = st.sampled_from(
    ["event", "properties", "$groups", "company", "groups", "event_params", "_p", "key", "value"]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from(["", "{", "[]", '{"company": ["a", "b"]}', "1709629200", "a.b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(NAMES, VALUES), max_size=3))
@settings(max_examples=examples(60))
def test_any_records_can_be_looked_at(records: list[dict[str, object]]) -> None:
    """Whatever a log holds, looking for an export in it raises nothing, and a column has a name."""
    assert recognise_export(records, export_tables()) in {"", *export_tables()}
    for table in export_tables().values():
        found = columns_of(table, records)
        assert found.timestamp
        assert not any(name.endswith((".", "*")) for name in found.account)


# Not every log is an export

PLAIN = [
    {"user": "ada", "account": "acme", "event": "Paid", "timestamp": "2024-03-05T09:00:00Z", "plan": "pro"},
    {
        "distinct_id": "ada",
        "event": "Paid",
        "timestamp": "2024-03-05T09:00:00Z",
        "properties": "x",
        "uuid": "1",
    },
    {
        "userId": "ada",
        "event": "Paid",
        "type": "track",
        "timestamp": "2024-03-05T09:00:00Z",
        "messageId": "1",
    },
    {"user_id": "ada", "event_type": "Paid", "event_time": "2024-03-05T09:00:00Z"},
    {"event": "Paid", "properties": {"time": "2024-03-05T09:00:00Z", "distinct_id": "ada"}},
    {"event_name": "Paid", "event_timestamp": "1709629200", "user_id": "ada", "event_params": "none"},
    {"_p": "ada", "_n": "Paid", "time": "1709629200"},
]


@pytest.mark.parametrize("record", PLAIN)
def test_a_plain_log_with_usual_names_is_no_export(record: dict[str, object]) -> None:
    assert recognise_export([record], export_tables()) == ""


@pytest.mark.parametrize(
    "name",
    [pytest.param("events.csv", marks=pytest.mark.slow), "events.jsonl", "teams.csv", "payments.csv"],
)
def test_a_sample_is_no_export(km: Command, name: str) -> None:
    """What is said of a plain log, and planned, is what --export none says and plans."""
    log, options = SAMPLES / name, ("--exclude-property", "context") if name.endswith(".jsonl") else ()
    assert km("dry-run", log, *options) == km("dry-run", log, *options, "--export", "none")


def test_one_record_of_another_form_makes_it_no_export(km: Command, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(
        (DATA / "segment.jsonl").read_text(encoding="utf-8") + '{"event":"Paid"}\n', encoding="utf-8"
    )
    assert "no column was recognised as user" in km("dry-run", log).ended(2).err


def test_none_reads_an_export_by_its_columns(km: Command) -> None:
    result = km("dry-run", DATA / "segment.jsonl", "--export", "none").ended(2)
    assert "no column was recognised as user or account" in result.err


def test_a_log_that_flags_describe_is_read_as_they_say(importer: Command, tracker: Tracker) -> None:
    """It may have been imported so for years, before km-cli knew the export."""
    columns = ("--event", "event", "--user", "distinct_id", "--timestamp", "timestamp", "--no-properties")
    result = importer("import", DATA / "posthog.jsonl", *columns, "--json").ended(0)
    assert result.summary["rows"]["sent"] == 7
    assert {call.name for call in arrivals(tracker.hits)} >= {"$identify", "$create_alias"}


@pytest.mark.parametrize(
    "km_toml",
    [
        '[columns]\nevent = "event"\nflatten = true\nexclude = ["_inserted_at"]\n',
        '[columns]\nexclude = ["properties", "person_properties", "_inserted_at"]\n',
        '[[personas]]\nname = "user"\nproperties = ["properties.plan"]\n',
    ],
)
def test_a_log_that_km_toml_describes_is_read_as_it_says(km: Command, km_toml: str) -> None:
    """These could be imported before km-cli knew the export."""
    configure(km, km_toml)
    out = km("dry-run", DATA / "posthog.jsonl").ended(0).out
    assert "read as an export" not in out
    assert "to send      7" in out


# What is said takes precedence


def test_a_flag_names_another_column_than_the_table(importer: Command, tracker: Tracker) -> None:
    path = DATA / "segment.jsonl"
    importer("import", path, "--account", "properties.plan", "--exclude-property", "properties.seats").ended(
        0
    )
    calls = arrivals(tracker.hits)
    assert {call.person for call in calls} == {"pro", "an-1", "u-1", "u-2", "u-3"}
    assert not {"seats", "plan"}.intersection(name for call in calls for name, _ in call.properties)


def test_an_export_that_is_described_in_part_is_named_in_the_hint(km: Command) -> None:
    err = km("dry-run", DATA / "segment.jsonl", "--event", "event").ended(2).err
    assert "no column was recognised as user or account" in err
    assert "next: it looks like an export of Segment: add --export segment" in " ".join(err.split())
    km("dry-run", DATA / "segment.jsonl", "--event", "event", "--export", "segment").ended(0)


def test_pages_of_segment_are_sent_if_they_are_asked_for(importer: Command, tracker: Tracker) -> None:
    """They are another part of the log, so it does not matter that the rest of it was sent."""
    path = DATA / "segment.jsonl"
    importer("import", path).ended(0)
    tracker.forget()
    importer("import", path, "--export", "segment", "--where", "type=page", "--event", "name").ended(0)
    assert [(call.person, call.name) for call in arrivals(tracker.hits)] == [("an-1", "Home")]


@pytest.mark.parametrize("options", [(), ("--export", "segment", "--timestamp", "sentAt")])
def test_the_time_may_be_one_of_arrival(
    importer: Command, tracker: Tracker, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """A log that Segment's libraries write themselves has no other time."""
    log = tmp_path / "log.jsonl"
    row = {
        "type": "track",
        "messageId": "m-1",
        "event": "Paid",
        "userId": "ada",
        "context": {},
        "sentAt": 1709629200123,
    }
    log.write_text(json.dumps(row) + "\n", encoding="utf-8")
    importer("import", log, *options).ended(0)
    assert [call[1:4] for call in arrivals(tracker.hits)] == [("ada", "Paid", 1709629200)]


def test_the_dry_run_counts_each_kind_of_row_that_is_left_out(km: Command) -> None:
    out = " ".join(km("dry-run", DATA / "segment.jsonl").ended(0).out.split())
    assert "most: type 'page' 1; type 'identify' 1; type 'group' 1" in out
    mapped = " ".join(km("dry-run", DATA / "mixpanel.jsonl", "--timezone", "UTC").ended(0).out.split())
    assert "most: event '$identify' 1; event '$create_alias' 1" in mapped


def test_the_export_may_be_named(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """These rows alone do not show what they are: they lack the fields that only the tool writes."""
    log = tmp_path / "log.jsonl"
    row = {
        "event_type": "Paid",
        "event_time": "2024-03-05 09:00:00",
        "user_id": "ada",
        "event_properties": {"n": 1},
    }
    log.write_text(json.dumps(row) + "\n", encoding="utf-8")
    importer("import", log, "--export", "amplitude").ended(0)
    assert [call[1:4] for call in arrivals(tracker.hits)] == [("ada", "Paid", 1709629200)]


def test_km_toml_names_the_export(importer: Command, tracker: Tracker) -> None:
    configure(importer, '[columns]\nexport = "amplitude"\n')
    importer("import", DATA / "amplitude.jsonl").ended(0)
    assert arrivals(tracker.hits) == expected("amplitude", DATA / "amplitude.jsonl")


@pytest.mark.parametrize(
    "personas", ["", '[[personas]]\nname = "user"\ncolumn = "who"\n[[personas]]\nname = "account"\n']
)
def test_a_source_of_a_backfill_names_its_export(
    importer: Command, tracker: Tracker, tmp_path: Path, personas: str
) -> None:
    """The rest of km.toml describes other logs."""
    (tmp_path / "mixpanel.jsonl").write_bytes((DATA / "mixpanel.jsonl").read_bytes())
    source = '[[backfill]]\nname = "mixpanel"\nfiles = ["mixpanel.jsonl"]\nexport = "mixpanel"\n'
    zone = '[backfill.columns]\ntimezone = "America/Los_Angeles"\n'
    plain = '[columns]\nevent = "what"\ntimestamp = "when"\n'
    configure(importer, plain + personas + source + zone)
    importer("backfill").ended(0)
    assert arrivals(tracker.hits) == expected("mixpanel", DATA / "mixpanel.jsonl", "America/Los_Angeles")


def test_an_unknown_export_is_named_with_those_that_are_known(km: Command) -> None:
    err = km("dry-run", DATA / "segment.jsonl", "--export", "matomo").ended(2).err
    assert "matomo" in err
    assert "segment" in err


@pytest.mark.parametrize("command", ["dry-run", "import"])
def test_times_of_mixpanel_need_a_zone(importer: Command, tracker: Tracker, command: str) -> None:
    """Older projects export them in the project's zone, and nothing in the file says so."""
    err = importer(command, DATA / "mixpanel.jsonl").ended(2).err
    assert "mixpanel.jsonl: it is read as an export of Mixpanel" in " ".join(err.split())
    assert "--timezone UTC" in err
    assert tracker.hits == []


VISITORS = {
    "segment.jsonl": "ajs-02",
    "amplitude.jsonl": "bbbb-05",
    "amplitude.csv": "bbbb-05",
    "posthog.jsonl": "000000000006",
    "posthog.csv": "000000000006",
}
"""The id of the row in each file that is of a visitor without an account."""


@pytest.mark.parametrize(("file", "visitor"), VISITORS.items())
def test_the_first_records_need_not_name_an_account(
    importer: Command, tracker: Tracker, tmp_path: Path, file: str, visitor: str
) -> None:
    """A log may begin with hundreds of visitors."""
    lines = (DATA / file).read_text(encoding="utf-8").splitlines(keepends=True)
    header = [lines.pop(0)] if file.endswith(".csv") else []
    row = next(line for line in lines if visitor in line)
    others = [row.replace(visitor, f"{number:0{len(visitor)}}") for number in range(100, 500)]
    log = tmp_path / file
    log.write_text("".join([*header, *others, *lines]), encoding="utf-8")
    importer("import", log, "--spread", "3600").ended(0)
    wanted = [call for call in expected(file.partition(".")[0], DATA / file) if call.person in ACCOUNTS]
    assert [call for call in arrivals(tracker.hits) if call.person in ACCOUNTS] == wanted


# Aliases


def test_an_alias_of_an_export_is_sent_only_if_that_is_allowed(importer: Command, tracker: Tracker) -> None:
    path = DATA / "kissmetrics.json"
    before = importer("import", path, "--json").ended(0).summary
    assert before["findings"]["alias-left-out"] == before["rows"]["skipped"] == 1
    out = importer("dry-run", path, "--ledger", importer.home / "other.db").ended(0).out
    assert "to skip      1  with an alias, which needs --allow-alias" in out
    assert not any(hit.path == "/a" for hit in tracker.hits)
    importer("import", path, "--allow-alias").ended(0)
    assert arrivals(tracker.hits) == expected("kissmetrics", path, aliases=True)


# Rejects, and files that overlap

REJECTED = {
    "segment.jsonl": ('"timestamp": "2024-03-05T09:01:10.750Z"', '"timestamp": "soon"'),
    "kissmetrics.json": ('"_p":"ada@example.com","_t":1709629220', '"_p":"guest","_t":1709629220'),
    "posthog.csv": ("2024-03-05 09:01:01.000000+00:00", "2024-02-30 09:01:01"),
}


@pytest.mark.parametrize(("file", "change"), REJECTED.items())
def test_a_corrected_reject_is_sent_as_the_export_that_it_is(
    importer: Command, tracker: Tracker, tmp_path: Path, file: str, change: tuple[str, str]
) -> None:
    good, bad = change
    text = (DATA / file).read_text(encoding="utf-8")
    log, rejects = tmp_path / file, tmp_path / "rejects.jsonl"
    log.write_text(text.replace(good, bad, 1), encoding="utf-8")
    assert log.read_text(encoding="utf-8") != text
    importer("import", log, "--rejects", rejects).ended(65)
    line = json.loads(rejects.read_text(encoding="utf-8"))
    rejects.write_text(json.dumps(line | {"raw": line["raw"].replace(bad, good)}), encoding="utf-8")
    importer("import", rejects).ended(0)
    assert arrivals(tracker.hits) == expected(file.partition(".")[0], DATA / file)


@pytest.mark.parametrize(("name", "file", "zone"), [one for one in FILES if not one[1].endswith(".csv")])
def test_two_files_of_an_export_that_overlap_send_each_row_once(
    importer: Command, tracker: Tracker, tmp_path: Path, name: str, file: str, zone: str
) -> None:
    lines = (DATA / file).read_bytes().splitlines(keepends=True)
    first, second = tmp_path / f"1-{file}", tmp_path / f"2-{file}"
    first.write_bytes(b"".join(lines[:-2]))
    second.write_bytes(b"".join(lines[2:]))
    for path in (first, second):
        importer("import", path, *flags(zone)).ended(0)
    assert arrivals(tracker.hits) == expected(name, DATA / file, zone or "UTC")


@pytest.mark.parametrize(("name", "file", "zone"), FILES)
def test_the_account_may_be_a_property_of_the_user(
    importer: Command, tracker: Tracker, name: str, file: str, zone: str
) -> None:
    """Another strategy, the same table: the calls of accounts become a property of those of users."""
    importer("import", DATA / file, "--strategy", "property", *flags(zone)).ended(0)
    users = [call for call in expected(name, DATA / file, zone or "UTC") if call.person not in ACCOUNTS]
    sent = arrivals(tracker.hits)
    assert [call[:4] for call in sent] == [call[:4] for call in users]
    named = {value for call in sent for key, value in call.properties if key == "Account"}
    assert named == (ACCOUNTS if not name.startswith("kissmetrics") else set())


# A reading keeps its table

TOY = """
title = "Toy"
version = {version}
source = "https://example.com"
[recognise.every]
toy = "text"
[columns]
event = "did"
timestamp = ["at"]
user = ["who"]
properties = {properties}
"""


def toy(version: int, properties: str) -> dict[str, ExportTable]:
    return {"toy": parse_table(TOY.format(version=version, properties=properties))}


def test_a_file_is_read_on_by_the_table_that_it_was_begun_with(
    importer: Command, tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer table is for files that are new."""
    log = tmp_path / "toy.jsonl"
    row = {"toy": "1", "did": "Paid", "at": "2024-03-05T09:00:00Z", "who": "ada", "a": "1", "b": "2"}
    log.write_text(json.dumps(row) + "\n", encoding="utf-8")
    monkeypatch.setattr("km_cli.run.exported.export_tables", lambda: toy(1, '["a"]'))
    importer("import", log).ended(0)
    monkeypatch.setattr("km_cli.run.exported.export_tables", lambda: toy(2, '["b"]'))
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row | {"at": "2024-03-05T09:01:00Z"}) + "\n")
    out = importer("import", log, "-v").ended(0).out
    assert "(toy, table 1)" in out
    assert [dict(call.properties) for call in arrivals(tracker.hits)] == [{"a": "1"}, {"a": "1"}]
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps(row | {"at": "2024-03-05T09:02:00Z"}) + "\n", encoding="utf-8")
    importer("import", other).ended(0)
    assert dict(arrivals(tracker.hits)[-1].properties) == {"b": "2"}


@pytest.mark.parametrize(
    "wrong", ["version = 1", "title = 1", TOY.format(version=1, properties='["a"]') + "x = 1"]
)
def test_a_table_with_a_mistake_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"required|Expected|unknown"):
        parse_table(wrong)


# init


@pytest.mark.parametrize(("name", "file", "zone"), FILES)
def test_init_writes_down_an_export_as_plain_columns(
    importer: Command, tracker: Tracker, name: str, file: str, zone: str
) -> None:
    """The km.toml makes the same calls without the table."""
    path, target = DATA / file, importer.home / "km.toml"
    out = Command(importer.home)("init", path, "--output", target).ended(0).out
    assert f"an export of {export_tables()[name].title}" in " ".join(out.split())
    importer("import", path, "--config", target, *flags(zone)).ended(0)
    assert arrivals(tracker.hits) == expected(name, path, zone or "UTC")
