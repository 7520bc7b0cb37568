"""Sources of a backfill that are read in their own way, and what becomes of their rejects."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.support.command import KEY, Command
from tests.support.tracker import Tracker

KM_TOML = """
[columns]
event = "event"
exclude = ["note"]

[sites.main]
key_env = "KM_API_KEY"
[sites.members]
key_env = "MEMBERS_KEY"

[[personas]]
name = "user"

[[backfill]]
name = "plain"
files = ["plain.csv"]

[[backfill]]
name = "other"
files = ["other.txt"]
format = "csv"
encoding = "cp1252"
delimiter = "semicolon"

[backfill.columns]
event_name = "Left"
timestamp = "am"
timezone = "Europe/Berlin"
exclude = ["x"]

[[backfill.personas]]
name = "member"
column = ["wer", "cookie"]
site = "members"
[[backfill.personas]]
name = "team"
"""
PLAIN = "user,event,time,note,plan\nada,Paid,2024-03-01T09:00:00Z,n,pro\n,Paid,2024-03-01T09:00:01Z,n,pro\n"
OTHER = "wer;cookie;team;am;x;plan\n;c7;T\xe9;2024-03-01 10:00:00;1;pro\n;;;2024-03-01 10:00:01;1;pro\n"


@pytest.fixture
def folder(tmp_path: Path, importer: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with km.toml and the files of both sources."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "km.toml").write_text(KM_TOML)
    (tmp_path / "plain.csv").write_text(PLAIN)
    (tmp_path / "other.txt").write_text(OTHER, encoding="cp1252")
    importer.environment["MEMBERS_KEY"] = "members-key"
    return tmp_path


def arrived(tracker: Tracker) -> Counter[tuple[str, ...]]:
    """Key, person, event, second and plan of every call."""
    names = ("_p", "_n", "_t", "plan")
    return Counter((one.params["_k"], *(one.params.get(name, "") for name in names)) for one in tracker.seen)


FIRST = {
    (KEY, "ada", "Paid", "1709283600", "pro"): 1,
    ("members-key", "c7", "Left", "1709283600", "pro"): 1,
    (KEY, "Té", "Left", "1709283600", "pro"): 1,
}


@pytest.mark.usefixtures("folder")
def test_each_source_is_read_in_its_own_way(importer: Command, tracker: Tracker) -> None:
    """Columns, personas, sites and format of a source go before the rest of km.toml; flags before both."""
    summary = importer("backfill", "--json").ended(65).summary
    assert summary["rows"] | {"sent": 2, "rejected": 2} == summary["rows"]
    assert arrived(tracker) == FIRST
    again = importer("backfill", "--json").summary
    assert again["calls"]["planned"] == 0
    out = importer("dry-run", "--source", "other", "--timezone", "UTC", "--as-new").out
    assert "Left  2024-03-01 10:00:00 UTC" in out
    assert "ada" not in out


@pytest.mark.usefixtures("folder")
def test_one_file_as_a_source(importer: Command) -> None:
    """`--source` reads a file as a backfill would."""
    out = importer("dry-run", "other.txt", "--source", "other").ended(65).out
    assert "identify  c7" in out
    assert "plan: pro" in out
    err = importer("dry-run", "other.txt", "--source", "othr").ended(2).err
    assert err == (
        "km-cli: --source: km.toml has no [[backfill]] called 'othr'\n  next: did you mean 'other'?\n"
    )


def test_rejects_of_several_sources(folder: Path, importer: Command, tracker: Tracker) -> None:
    """They are imported source by source. Those of another source stay rejects, with the way on."""
    importer("backfill", "--rejects", "r1.jsonl").ended(65)
    lines = (folder / "r1.jsonl").read_text().replace(";;;", "zoe;;;").replace('"raw": ",', '"raw": "eve,')
    (folder / "r1.jsonl").write_text(lines)
    summary = (
        importer("import", "r1.jsonl", "--source", "other", "--rejects", "r2.jsonl", "--json")
        .ended(65)
        .summary
    )
    assert (summary["rows"]["sent"], summary["reasons"]) == (1, {"other-source": 1})
    (left,) = map(json.loads, (folder / "r2.jsonl").read_text().splitlines())
    assert (
        left["reason"]
        == "it comes from a log that is read without columns of its own: import it without --source"
    )
    assert importer("import", "r2.jsonl", "--json").ended(0).summary["rows"]["sent"] == 1
    assert {one.params["_p"] for one in tracker.seen} == {"ada", "c7", "Té", "zoe", "eve"}
    (folder / "r3.jsonl").write_text(lines.splitlines(keepends=True)[1])
    said = importer("import", "r3.jsonl").ended(2).err
    assert "its first reject comes from the [[backfill]] 'other', which has columns of its own" in said
    assert "import it with --source other" in said


def test_config_show_prints_the_keys_of_a_source(folder: Path, km: Command) -> None:
    """What it prints is itself a km.toml that makes the same calls."""
    shown = km("config", "show").ended(0).out
    (folder / "shown.toml").write_text(shown)
    words = ("dry-run", "--json", "--show", "9")
    first, second = (km(*words, "--config", one).summary for one in ("km.toml", "shown.toml"))
    assert first | {"seconds": 0} == second | {"seconds": 0}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[backfill.columns]\nevnt = 'x'", "backfill[1].columns.evnt is not a known key"),
        (
            "[[backfill.personas]]\nname = 'a'\ncolum = 'x'",
            "backfill[1].personas[1].colum is not a known key",
        ),
        ("format = 'xls'", "backfill[1].format: Invalid enum value 'xls'"),
        ("encoding = 'klingon'", "klingon"),
        ("format = 'jsonl'\ndelimiter = 'comma'", "--format jsonl has no --delimiter"),
        ("[backfill.columns]\nevent = 'a'\nevent_name = 'b'", "contradict each other"),
        (
            "[backfill.columns]\ntimezone = 'Mars'",
            "km.toml, backfill 'a', columns.timezone: 'Mars' is not a time zone",
        ),
        ("[backfill.columns]\nwhere = ['type']", "columns.where: 'type' is not a condition on a column"),
        ("[backfill.columns]\nrename = { plan = '_x' }", "Kissmetrics reserves the property '_x'"),
        ("[backfill.columns]\nconstant = { a = ' ' }", "columns.constant.a: the value is empty"),
        ("[backfill.columns]\nconstant = { a = 1, A = 2 }", "'a' and 'A' would be one property (D4)"),
    ],
)
def test_mistakes_in_a_source(importer: Command, tmp_path: Path, text: str, said: str) -> None:
    """They are reported with their place, before anything is read."""
    config = tmp_path / "km.toml"
    config.write_text(f"[[backfill]]\nname = 'a'\nfiles = ['x.csv']\n{text}\n")
    assert said in importer("backfill", "--config", config).ended(2).err


@pytest.mark.parametrize("text", ["", "=x", "in a", "type in a,,b", "type > 3"])
def test_conditions_that_are_none(importer: Command, tmp_path: Path, text: str) -> None:
    """The hint shows the three forms."""
    (tmp_path / "log.csv").write_text(PLAIN)
    err = importer("dry-run", tmp_path / "log.csv", "--where", text).ended(2).err
    assert "'type=track', 'type!=page' or 'type in track,screen'" in err
