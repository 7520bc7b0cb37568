"""Exports of other tools in less usual forms: odd records, late accounts, other flags, mistakes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from km_cli.exports import columns_of, export_tables, recognise_export
from tests.support.command import Command
from tests.support.exported import Arrival, arrivals, expected
from tests.support.people import configure
from tests.support.tracker import Tracker

DATA = Path(__file__).parent / "data" / "exports"

Record = dict[str, Any]


def jsonl(path: Path, *records: Record) -> Path:
    """Write a log, or append to it."""
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)
    return path


def segment(number: int, **more: Any) -> Record:
    """Return a call of Segment, at its own second."""
    moment = f"2024-03-05T09:{number // 60:02}:{number % 60:02}.000Z"
    times = dict.fromkeys(("timestamp", "originalTimestamp", "sentAt", "receivedAt"), moment)
    made = {
        "type": "track",
        "messageId": f"m-{number}",
        "userId": f"u{number % 4}",
        "anonymousId": f"a{number}",
    }
    return {**made, "event": "Paid", "context": {}, "properties": {"plan": "pro"}, **times, **more}


def mixpanel(number: int, **more: Any) -> Record:
    """Return an event of Mixpanel."""
    own = {"time": 1709629200 + number, "distinct_id": f"u{number}", "$insert_id": f"i{number}"}
    return {"event": "Paid", "properties": {**own, **more}}


def amplitude(number: int, **more: Any) -> Record:
    """Return an event of Amplitude."""
    own = {
        "event_type": "Paid",
        "event_time": f"2024-03-05 09:00:{number:02}.000000",
        "user_id": f"u{number}",
    }
    return {**own, "$insert_id": f"i{number}", "event_properties": {"plan": "pro"}, **more}


def people(tracker: Tracker) -> set[str]:
    return {call.person for call in arrivals(tracker.hits)}


# Which logs are exports


FLAT = {"messageId": "m-1", "type": "track", "event": "Paid", "receivedAt": "2024-03-05T09:00:00Z"}


@pytest.mark.parametrize(
    "record",
    [
        FLAT | {"user_id": "ada", "plan": "pro", "account_id": "acme"},
        FLAT | {"userId": "ada", "sentAt": "2024-03-05T09:00:00Z", "plan": "pro"},
        FLAT | {"type": "group", "email": "ada@example.com"},
        {"Identity": "ada", "Timestamp": "1709629200", "Event": "Paid", "Alias": "", "Plan": "pro"},
    ],
)
def test_usual_names_alone_are_no_export(record: Record) -> None:
    assert recognise_export([record], export_tables()) == ""


def test_every_column_of_a_csv_file_of_kissmetrics_is_sent(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """Its header may be in small letters, and it may have columns without the prefix."""
    log = tmp_path / "log.csv"
    log.write_text(
        "identity,timestamp,event,alias,Prop:plan,City\nada,1709629200,Paid,,pro,Rome\n", encoding="utf-8"
    )
    importer("import", log).ended(0)
    wanted = Arrival("/e", "ada", "Paid", 1709629200, frozenset({("plan", "pro"), ("City", "Rome")}))
    assert arrivals(tracker.hits) == [wanted]


def test_a_few_odd_records_do_not_hide_an_export(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    odd = amplitude(30)
    del odd["event_properties"]
    log = jsonl(tmp_path / "log.jsonl", *map(amplitude, range(25)), odd)
    importer("import", log).ended(0)
    assert len(tracker.hits) == 26


def test_an_export_with_many_odd_records_is_named_in_the_hint(km: Command, tmp_path: Path) -> None:
    odd = [{"event": "Paid", "properties": None} for _ in range(3)]
    log = jsonl(tmp_path / "log.jsonl", *map(mixpanel, range(4)), *odd)
    err = " ".join(km("dry-run", log).ended(2).err.split())
    assert "it looks like an export of Mixpanel: add --export mixpanel" in err


def test_octal_escapes_are_for_kissmetrics_alone(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """In any other log, a backslash before digits is a mistake, and its row is rejected."""
    log = tmp_path / "log.jsonl"
    row = r'{"user":"ada","event":"Paid","timestamp":"2024-03-05T09:00:00Z","path":"C:\101dir"}'
    log.write_text(row.replace(r"\101", "") + "\n" + row + "\n", encoding="utf-8")
    importer("import", log).ended(65)
    assert [dict(call.properties) for call in arrivals(tracker.hits)] == [{"path": "C:dir"}]


# The account

GROUPS = {"orgId": ["15"], "project": ["x"], "squad": ["q"]}


def test_the_account_does_not_depend_on_the_order_of_a_set(tmp_path: Path) -> None:
    log = jsonl(tmp_path / "log.jsonl", amplitude(1, groups=GROUPS))
    code = (
        "import sys, json; from km_cli.exports import columns_of, export_tables\n"
        "records = [json.loads(line) for line in open(sys.argv[1])]\n"
        "print(columns_of(export_tables()['amplitude'], records).account)"
    )
    outs = {
        subprocess.run(
            [sys.executable, "-c", code, str(log)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert outs == {b"('groups.orgId',)\n"}


def test_rows_that_are_left_out_do_not_name_the_account() -> None:
    """A row that sets properties of groups has other groups than events."""
    others = [amplitude(one, event_type="$groupidentify", groups={"company": ["x"]}) for one in range(3)]
    records = [*others, amplitude(4, groups={"team": ["red"]})]
    assert columns_of(export_tables()["amplitude"], records).account == ("groups.team",)


def test_user_properties_may_name_the_account_later(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """A file that was begun without accounts goes on with them."""
    rows = [
        {
            "event_name": "Paid",
            "event_timestamp": str(1709629200000000 + number * 1000000),
            "event_date": "20240305",
            "user_id": f"u{number}",
            "event_params": [],
            "user_properties": [{"key": "company", "value": {"string_value": "acme"}}] if number else [],
        }
        for number in range(3)
    ]
    log = jsonl(tmp_path / "log.jsonl", rows[0])
    importer("import", log).ended(0)
    importer("import", jsonl(log, *rows[1:])).ended(0)
    assert people(tracker) == {"u0", "u1", "u2", "acme"}


# Times, and what is said


def test_the_time_is_the_first_that_a_row_has(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    rows = [segment(number, timestamp=None) for number in range(4)]
    importer("import", jsonl(tmp_path / "log.jsonl", *rows)).ended(0)
    wrong = "2024-03-05T08:00:00Z"
    half = [
        segment(number, **({"timestamp": None} if number % 2 else {"originalTimestamp": wrong}))
        for number in range(4, 8)
    ]
    importer("import", jsonl(tmp_path / "half.jsonl", *half)).ended(0)
    assert [call.second for call in sorted(arrivals(tracker.hits), key=lambda one: one.second)] == [
        *range(1709629200, 1709629208)
    ]


# Flags and km.toml


@pytest.mark.parametrize("name", ["properties", "properties.plan"])
def test_what_is_excluded_is_not_sent(importer: Command, tracker: Tracker, tmp_path: Path, name: str) -> None:
    log = jsonl(tmp_path / "log.jsonl", segment(1))
    importer("import", log, "--export", "segment", "--exclude-property", name).ended(0)
    assert [call.properties for call in arrivals(tracker.hits)] == [frozenset()]


MISTAKES = [
    (("--exclude-property", "plan"), "did you mean 'properties.plan'?"),
    (("--exclude-property", "contextt"), "no column 'contextt'"),
    (("--account", "properties.nope"), "no column 'properties.nope'"),
    (("--where", "tpye!=page"), "did you mean 'type'?"),
]


@pytest.mark.parametrize(("flags", "message"), MISTAKES)
def test_a_misspelt_column_of_an_export_is_an_error(
    km: Command, tmp_path: Path, flags: tuple[str, ...], message: str
) -> None:
    """It would have no effect, and a private value would be sent."""
    log = jsonl(tmp_path / "log.jsonl", segment(1))
    err = " ".join(km("dry-run", log, *flags).ended(2).err.split())
    assert message in err
    assert flags[0] in err


IN_KM_TOML = [
    ('[columns]\nrename = { "plan" = "Tariff" }\n', "columns.rename"),
    (
        '[columns]\nexport = "segment"\n[[personas]]\nname = "user"\nproperties = ["plan"]\n',
        "user's properties",
    ),
]


@pytest.mark.parametrize(("km_toml", "place"), IN_KM_TOML)
def test_a_misspelt_column_of_km_toml_is_an_error_too(
    km: Command, tmp_path: Path, km_toml: str, place: str
) -> None:
    configure(km, km_toml)
    err = " ".join(km("dry-run", jsonl(tmp_path / "log.jsonl", segment(1))).ended(2).err.split())
    assert f"no column 'plan' (km.toml, {place})" in err
    assert "did you mean 'properties.plan'?" in err


def test_a_condition_is_added_to_those_of_the_table(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    rows = [
        amplitude(1, country="DE"),
        amplitude(2, country="DE", event_type="$identify"),
        amplitude(3, country="FR"),
    ]
    importer("import", jsonl(tmp_path / "log.jsonl", *rows), "--where", "country=DE").ended(0)
    assert people(tracker) == {"u1"}


def test_the_flag_goes_before_the_columns_of_another_export(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    target = importer.home / "km.toml"
    Command(importer.home)("init", jsonl(tmp_path / "s.jsonl", segment(1)), "--output", target).ended(0)
    other = jsonl(tmp_path / "a.jsonl", amplitude(1, groups={"company": "acme"}))
    err = " ".join(importer("import", other, "--config", target).ended(2).err.split())
    assert "it looks like an export of Amplitude: add --export amplitude" in err
    importer("import", other, "--config", target, "--export", "amplitude").ended(0)
    assert people(tracker) == {"u1", "acme"}


@pytest.mark.parametrize("export", ["none", "amplitude"])
def test_the_export_of_a_source_is_obeyed(
    importer: Command, tracker: Tracker, tmp_path: Path, export: str
) -> None:
    """These rows do not show which export they are, and [columns] names columns that they have too."""
    row = amplitude(1)
    del row["$insert_id"]
    jsonl(tmp_path / "a.jsonl", row | {"did": "Left", "who": "bo"})
    source = f'[[backfill]]\nname = "a"\nfiles = ["a.jsonl"]\nexport = "{export}"\n'
    columns = '[columns]\nevent = "did"\nuser = "who"\ntimestamp = "event_time"\nproperties = []\n'
    zone = '[backfill.columns]\ntimezone = "UTC"\n'
    configure(importer, columns + source + zone)
    importer("backfill").ended(0)
    assert [call[1:3] for call in arrivals(tracker.hits)] == [
        ("bo", "Left") if export == "none" else ("u1", "Paid")
    ]


# Readings, rejects and aliases


ALIAS = {"_p": "an2", "_p2": "bob", "_t": 1709629500}


def test_a_file_goes_on_without_aliases_if_they_are_not_allowed(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """An alias cannot be undone, so --allow-alias holds for one run."""
    log = tmp_path / "log.json"
    log.write_bytes((DATA / "kissmetrics.json").read_bytes())
    importer("import", log, "--allow-alias").ended(0)
    before = len(tracker.hits)
    jsonl(log, ALIAS)
    summary = importer("import", log, "--json").ended(0).summary
    assert summary["findings"]["alias-left-out"]
    assert len(tracker.hits) == before
    importer("import", log, "--allow-alias").ended(0)
    assert [hit.path for hit in tracker.hits[before:]] == ["/a"]


def test_a_file_that_was_read_to_its_end_sends_its_aliases_if_they_are_allowed(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """A backfill does not open a file again that it has read, unless the aliases in it are new."""
    log = tmp_path / "log.json"
    log.write_bytes((DATA / "kissmetrics.json").read_bytes())
    jsonl(log, ALIAS)
    os.utime(log, (1709629500, 1709629500))
    configure(importer, f'[[backfill]]\nname = "a"\nfiles = ["{log}"]\n')
    importer("backfill").ended(0)
    before = len(tracker.hits)
    for words, files in (((), "unchanged"), (("--allow-alias",), "read"), (("--allow-alias",), "unchanged")):
        assert importer("backfill", *words, "--json").ended(0).summary["files"][files] == 1
    assert {hit.path for hit in tracker.hits[before:]} == {"/a"}
    assert len({hit.wire for hit in tracker.hits}) == len(tracker.hits)


def test_a_known_event_with_a_withheld_alias_was_handled_before(importer: Command, tmp_path: Path) -> None:
    """Only a row with nothing but an alias is skipped for it."""
    event = {"_p": "ada", "_n": "Paid", "_t": 1709283600, "_p2": "an1"}
    importer("import", jsonl(tmp_path / "log.json", event)).ended(0)
    out = importer("dry-run", jsonl(tmp_path / "other.json", event, ALIAS)).ended(0).out
    assert "to skip      2  1 with an alias, which needs --allow-alias; 1 handled before" in out


@pytest.mark.parametrize("first", [(), ("--allow-alias",)])
@pytest.mark.parametrize("then", [(), ("--allow-alias",)])
def test_a_corrected_reject_has_its_alias_if_it_is_allowed(
    importer: Command, tracker: Tracker, tmp_path: Path, first: tuple[str, ...], then: tuple[str, ...]
) -> None:
    good = {"_p": "ada", "_n": "Paid", "_t": 1709629200}
    log = jsonl(tmp_path / "log.json", good, good | ALIAS | {"_t": "0"})
    importer("import", log, *first).ended(65)
    (rejects,) = importer.state.glob("rejects-*")
    rejects.write_text(rejects.read_text(encoding="utf-8").replace(r"\"0\"", "1709629500"), encoding="utf-8")
    tracker.forget()
    importer("import", rejects, *then).ended(0)
    assert sorted(hit.path for hit in tracker.hits) == (["/a", "/e"] if then else ["/e"])


def test_an_export_that_was_empty_is_still_recognised(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """Only its header was there when it was imported first."""
    lines = (DATA / "posthog.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    log = tmp_path / "posthog.csv"
    log.write_text(lines[0], encoding="utf-8")
    importer("import", log)
    log.write_text("".join(lines), encoding="utf-8")
    importer("import", log).ended(0)
    assert arrivals(tracker.hits) == expected("posthog", DATA / "posthog.csv")


# The same account from file to file


def test_all_files_of_an_export_have_the_same_account(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """In most rows of the second file, another group comes first."""
    first = jsonl(tmp_path / "1.jsonl", amplitude(1, groups={"squad": ["q"]}))
    others = [amplitude(number, groups={"project": ["x"]}) for number in range(2, 5)]
    second = jsonl(tmp_path / "2.jsonl", *others, amplitude(6, groups={"squad": ["r"], "project": ["x"]}))
    importer("import", first).ended(0)
    importer("import", second).ended(0)
    assert people(tracker) == {"u1", "u2", "u3", "u4", "u6", "q", "r"}
    tracker.forget()
    importer("import", second, "--as-new", "--ledger", tmp_path / "other.db").ended(0)
    assert "x" in people(tracker)


def test_a_file_whose_first_rows_name_no_account_has_that_of_the_last_file(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    rows = [mixpanel(number) for number in range(210)]
    late = jsonl(tmp_path / "2.jsonl", *rows[1:], mixpanel(300, company_id="globex"))
    zone = ("--timezone", "UTC")
    importer("import", jsonl(tmp_path / "1.jsonl", mixpanel(0, company_id="acme")), *zone).ended(0)
    importer("import", late, *zone).ended(0)
    assert {"acme", "globex"} <= people(tracker)


def test_a_file_that_grows_gets_its_account(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """It was begun when no row named one. No row is sent twice."""
    zone = ("--timezone", "UTC")
    log = jsonl(tmp_path / "log.jsonl", mixpanel(0))
    importer("import", log, *zone).ended(0)
    importer("import", jsonl(log, mixpanel(1, company_id="acme")), *zone).ended(0)
    assert sorted(call.person for call in arrivals(tracker.hits)) == ["acme", "u0", "u1"]


def test_a_row_of_another_log_is_rejected(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """It is no call that the table leaves out, although it has no type."""
    log = jsonl(tmp_path / "log.jsonl", *map(segment, range(52)), amplitude(1), mixpanel(2))
    summary = importer("import", log, "--json").ended(65).summary
    assert summary["rows"]["rejected"] == 2
    assert len(tracker.hits) == 52


def test_an_object_of_an_export_cannot_be_renamed(km: Command, tmp_path: Path) -> None:
    """Its members are the properties."""
    configure(km, '[columns]\nrename = { "properties.address" = "Where" }\n')
    log = jsonl(tmp_path / "log.jsonl", segment(1, properties={"address": {"city": "Rome"}}))
    assert "'properties.address' (km.toml, columns.rename) is an object" in km("dry-run", log).ended(2).err


def test_the_line_about_an_export_lists_a_few_of_many_columns(km: Command, tmp_path: Path) -> None:
    """No group is known yet, so all usual names are tried."""
    out = " ".join(km("dry-run", jsonl(tmp_path / "log.jsonl", amplitude(1))).ended(0).out.split())
    columns = "account from 'groups.account', or from 'groups.account_id' or 'groups.organization' or 5 more"
    assert f"{columns} if that is empty, event from" in out


def test_an_ignored_object_does_not_name_the_account(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """The table names the account, not the one who ignores the object."""
    log = jsonl(tmp_path / "log.jsonl", segment(1, context={"groupId": "acme"}))
    importer("import", log, "--ignore-column", "context").ended(0)
    assert people(tracker) == {"u1"}


SHARED = """
[columns]
exclude = [{}]
ignore = ["kafka_offset"]
[[backfill]]
name = "segment"
files = ["log.jsonl"]
export = "segment"
"""


@pytest.mark.parametrize("name", ["card", "properties.card", "never.seen"])
def test_what_is_excluded_from_all_logs_is_excluded_from_an_export(
    importer: Command, tracker: Tracker, tmp_path: Path, name: str
) -> None:
    """By the name of the property or of its column, also where the first rows lack it."""
    configure(importer, SHARED.format(f'"{name}"'))
    late = {"properties": {"plan": "pro", "card": "4242"}}
    jsonl(tmp_path / "log.jsonl", segment(1), segment(2, **late))
    importer("backfill").ended(0)
    cards = {value for call in arrivals(tracker.hits) for key, value in call.properties if key == "card"}
    assert len(tracker.hits) == 2
    assert cards == ({"4242"} if name == "never.seen" else set())


def test_a_misspelt_exclusion_of_the_source_itself_is_an_error(importer: Command, tmp_path: Path) -> None:
    own = '[backfill.columns]\nexclude = ["contextt"]\n'
    configure(importer, SHARED.format('"card"') + own)
    jsonl(tmp_path / "log.jsonl", segment(1))
    assert "no column 'contextt'" in " ".join(importer("backfill").ended(2).err.split())


@pytest.mark.parametrize("other", ["posthog-text.jsonl", "posthog.csv"])
@pytest.mark.parametrize("is_first", [True, False])
def test_the_same_events_in_another_form_are_not_changed(
    importer: Command, tracker: Tracker, other: str, is_first: bool
) -> None:
    """A table has the properties as one text. Nothing that was sent is another, so no finding says so."""
    first, then = (other, "posthog.jsonl") if is_first else ("posthog.jsonl", other)
    importer("import", DATA / first).ended(0)
    before = len(tracker.hits)
    summary = importer("import", DATA / then, "--json").ended(0).summary
    assert len(tracker.hits) == before
    assert summary["calls"]["planned"] == 0
    assert "changed" not in summary["findings"]


def test_an_event_that_was_changed_in_another_form_is_reported(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    importer("import", DATA / "posthog.jsonl").ended(0)
    text = (DATA / "posthog.csv").read_text(encoding="utf-8")
    log = tmp_path / "log.csv"
    log.write_text(text.replace('""plan"": ""pro""', '""plan"": ""team""', 1), encoding="utf-8")
    before = len(tracker.hits)
    summary = importer("import", log, "--json").ended(0).summary
    assert summary["findings"]["changed"] > 0
    assert len(tracker.hits) == before
