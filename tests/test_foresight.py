"""What the dry run foretells is what the local store then holds; what shows only over many rows is found."""

from __future__ import annotations

import csv
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from km_cli.standin import fold
from tests.conftest import SAMPLES
from tests.support.command import Command
from tests.support.foretelling import check_forecast
from tests.support.tracker import BAD, OK

HEADER = "timestamp,user,account,event,plan,seats"


rows = st.tuples(
    st.integers(0, 3),
    st.sampled_from(["ada", "bo", "cy, x", ""]),
    st.sampled_from(["Acme", "Beta: one", ""]),
    st.sampled_from(["In", "in", "Out", "Bought: it"]),
    st.sampled_from(["", "pro", "free"]),
    st.sampled_from(["", "1", "2"]),
)
flags = st.sampled_from(
    [(), ("--spread", "1"), ("--spread", "0"), ("--collisions", "keep"), ("--collisions", "reject")]
)


@settings(max_examples=60, deadline=None)
@given(first=st.lists(rows, min_size=1, max_size=15), second=st.lists(rows, max_size=15), flags=flags)
def test_the_forecast_is_what_is_then_held(
    first: list[Any], second: list[Any], flags: tuple[str, ...]
) -> None:
    with TemporaryDirectory() as name:
        for number, some in enumerate((first, second)):
            lines = [
                f'2024-03-01T09:00:0{at}Z,"{user}","{account}",{",".join(rest)}'
                for at, user, account, *rest in some
            ]
            log = Path(name, f"{number}.csv")
            log.write_text("\n".join([HEADER, *lines]) + "\n")
            check_forecast(log, Path(name, "local.db"), {fold("Acme"), fold("Beta: one")}, *flags)


def test_the_forecast_of_the_samples(tmp_path: Path) -> None:
    with (SAMPLES / "events.csv").open(encoding="utf-8", newline="") as file:
        accounts = {row["account_id"].strip() for row in csv.DictReader(file) if row["account_id"]}
    check_forecast(SAMPLES / "events.csv", tmp_path / "local.db", accounts)


def _log(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(["timestamp,user,account,event", *lines]) + "\n")
    return path


def test_instances_are_counted_over_runs(km: Command, tmp_path: Path) -> None:
    """600 in one run and 401 in another are 1,001 of one event of one account (D7)."""
    lines = [f"{1_709_283_600 + n},u{n},Acme,In" for n in range(1001)]
    first, second = _log(tmp_path / "1.csv", *lines[:600]), _log(tmp_path / "2.csv", *lines[600:])
    local = ("--to", f"local:{tmp_path / 'x.db'}", "--json")
    assert "D7" not in km("import", first, *local).ended(0).summary["findings"]
    assert km("dry-run", second, *local).ended(0).summary["findings"]["D7"] == 1
    assert km("import", second, *local).ended(0).summary["findings"]["D7"] == 1


def test_spellings_and_names_are_known_over_runs(km: Command, tmp_path: Path) -> None:
    local = ("--to", f"local:{tmp_path / 'x.db'}", "--json")
    km("import", _log(tmp_path / "1.csv", "1709283600,ada@a.example,Acme,In"), *local).ended(0)
    later = _log(
        tmp_path / "2.csv", "1709283601,ADA@a.example,Acme,In", "1709283602,bo,\uff21\uff23\uff2d\uff25,In"
    )
    found = km("import", later, *local).ended(0)
    assert found.summary["findings"]["alike-ids"] == 2


def test_strict_sends_nothing_if_anything_would_be_lost(
    importer: Command, tracker: Any, tmp_path: Path
) -> None:
    bad = _log(tmp_path / "bad.csv", "1709283600,ada,Acme,Saved: draft")
    result = importer("import", bad, "--strict").ended(65)
    assert "--strict" in result.err
    assert "D4 1" in result.err
    assert tracker.seen == []
    importer("dry-run", bad, "--strict").ended(65)
    importer("dry-run", bad).ended(0)
    fine = _log(tmp_path / "fine.csv", "1709283600,ada,Acme,Saved", "1709283600,bo,Acme,Saved")
    importer("import", fine, "--strict").ended(0)
    assert len(tracker.seen) == 4
    importer("import", bad).ended(0)
    assert len(tracker.seen) == 6


def test_strict_counts_rejects_too(importer: Command, tracker: Any, tmp_path: Path) -> None:
    log = _log(tmp_path / "log.csv", "1709283600,ada,Acme,Saved", "1709283600,guest,Acme,Saved")
    assert "rejected rows 1" in importer("import", log, "--strict").ended(65).err
    assert tracker.seen == []


def test_strict_needs_files(importer: Command) -> None:
    result = importer("import", "-", "--strict", stdin=b"").ended(2)
    assert "standard input can be read only once" in result.err


def test_the_worst_are_named_with_the_cure(km: Command, tmp_path: Path) -> None:
    lines = [f"170928{n:04},u{n % 3},EMPTY,In" for n in range(50)] + ["1709290001,u1,unknown,In"]
    told = km("dry-run", _log(tmp_path / "log.csv", *lines)).ended(0).out
    assert "most: 'EMPTY' 50; 'unknown' 1" in told
    assert "do: Take it out of the log" in told


@pytest.mark.parametrize("code", ["D1", "d7", "I3", "reserved"])
def test_a_rule_is_explained_by_a_real_run(km: Command, code: str) -> None:
    told = km("rules", code).ended(0).out
    for part in (
        "cure: ",
        "a log that shows it",
        "km-cli dry-run log",
        "all data that Kissmetrics would hold",
    ):
        assert part in told
    assert "/tmp" not in told


@pytest.mark.parametrize(
    ("code", "first", "shown"),
    [
        ("D6", "D6: ", "in older versions: time"),
        ("time", "time: ", "older versions had this code also for: D6"),
        ("d4", "D4: ", "older versions had this code also for: D4-ids, D4-long"),
        ("D4-ids", "D4-ids: ", "in older versions: D4"),
        ("D5", "D5: ", "older versions had this code also for: D5-bytes"),
        ("w3", "W3: ", "severity: fact"),
    ],
)
def test_codes_of_older_versions_are_explained(km: Command, code: str, first: str, shown: str) -> None:
    """A rule's own code goes first; it says what else had this code."""
    told = km("rules", code).ended(0).out
    assert told.startswith(first)
    assert f"  {shown}" in told


def test_rows_without_a_persona_are_explained(km: Command) -> None:
    """Their code has the persona's name in it; a misspelt code is another matter."""
    told = km("rules", "no-contact").ended(0).out
    assert told.startswith("no-contact: Rows that name no contact make no calls for that persona.")
    assert "did you mean no-event?" in km("rules", "no-evnt").ended(2).err


@pytest.mark.parametrize("code", ["changed", "conflict", "members", "refused"])
def test_a_rule_without_an_example_is_explained(km: Command, code: str) -> None:
    told = km("rules", code).ended(0).out
    assert told.startswith(f"{code}: ")
    assert "cure: " in told
    assert "a log that shows it" not in told


@pytest.mark.parametrize("code", ["D2-full", "D7-property", "D5-bytes"])
def test_a_long_example_shows_the_finding(km: Command, code: str) -> None:
    told = km("rules", code).ended(0).out
    dry, _, held = told.partition("km-cli dry-run log")[2].partition("all data that Kissmetrics would hold")
    assert f"({code})" in "".join(dry.split())
    assert held
    assert max(map(len, told.splitlines())) <= 410


def test_the_rule_of_the_last_thousand_holds_as_many(km: Command) -> None:
    """What it says is dropped is not among what is held; each of its users has one."""
    told = km("rules", "D7").ended(0).out
    held = told.partition("all data that Kissmetrics would hold")[2].splitlines()
    assert held[1:4] == [
        "  2024-03-01 09:00:00  u0 did In",
        "  2024-03-01 09:00:01  Acme did In",
        "  2024-03-01 09:00:01  u1 did In",
    ]
    shown = [line for line in held if line.strip() and "more lines" not in line]
    more = next(line for line in held if "more lines" in line).split()[1].replace(",", "")
    assert len(shown) + int(more) == 1001 + 1000


def test_rules_are_listed_and_the_nearest_is_named(km: Command) -> None:
    listed = km("rules").ended(0).out
    words = [line.split()[1] for line in listed.splitlines() if not line.startswith(" ") and "  " in line]
    assert list(dict.fromkeys(words)) == ["rejected", "lost", "merged", "changed", "note", "fact"]
    assert "did you mean crossover?" in km("rules", "crosover").ended(2).err


def test_instances_are_counted_however_a_run_ends(km: Command, tmp_path: Path) -> None:
    """Parts of a log, 500 rows a run (D7)."""
    log = _log(tmp_path / "log.csv", *[f"{1_709_283_600 + n},u{n},Acme,In" for n in range(1200)])
    flags = ("--to", f"local:{tmp_path / 'x.db'}", "--limit", "500", "--json")
    found = [km("import", log, *flags).ended(0).summary["findings"].get("D7", 0) for _ in range(3)]
    assert found == [0, 0, 200]


def test_what_is_refused_is_not_foretold_any_more(importer: Command, tracker: Any, tmp_path: Path) -> None:
    log = _log(tmp_path / "log.csv", "1709283600,ada,Acme,In", "1709283601,ada,Acme,Bad")
    tracker.behave = lambda hit, _: BAD if "Bad" in hit.query else OK
    importer("import", log).ended(65)
    told = importer("dry-run", _log(tmp_path / "none.csv"), "--json").ended(0).summary["forecast"]["main"]
    assert {persona: held["events"] for persona, held in told.items()} == {"user": 1, "account": 1}
    tracker.behave = None
    (rejects,) = importer.state.glob("rejects-*")
    importer("import", rejects).ended(0)
    told = importer("dry-run", tmp_path / "none.csv", "--json").ended(0).summary["forecast"]["main"]
    assert {persona: held["events"] for persona, held in told.items()} == {"user": 2, "account": 2}


def test_an_alias_makes_one_person_of_two(km: Command, tmp_path: Path) -> None:
    (tmp_path / "km.toml").write_text('[[personas]]\nname = "user"\nalias = "other"\n')
    log = tmp_path / "log.csv"
    log.write_text("timestamp,user,other,event\n1709283600,anon,,In\n1709283700,ada,anon,Paid\n")
    flags = (
        "--config",
        tmp_path / "km.toml",
        "--allow-alias",
        "--to",
        f"local:{tmp_path / 'x.db'}",
        "--json",
    )
    told = km("dry-run", log, *flags).ended(0).summary["forecast"]["main"]["user"]
    kept = km("import", log, *flags).ended(0).summary["kept"]
    assert (told["people"], told["events"]) == (kept["people"], kept["events"]) == (1, 2)


def test_values_that_merge_are_told_when_calls_are_kept(km: Command, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("timestamp,user,event,plan\n1709283600,ada,In,pro\n1709283600,ada,in,free\n")
    found = km("dry-run", log, "--collisions", "keep", "--json").ended(0).summary["findings"]
    assert (found["D1-merged"], found["D2-lost"]) == (1, 1)
