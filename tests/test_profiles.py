"""Files of people and accounts without events (`--profiles`): each row sets its properties, at its time."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from tests.support.command import Command
from tests.support.tracker import Tracker

HEADER = "user,company,plan,since"
ROWS = "ada,Acme,pro,2020-01-01\nbo,,free,2021-01-01\n"
DAY = 1714521600  # 2024-05-01 UTC
AT = ("--at", "2024-05-01")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of two people, without a time."""
    path = tmp_path / "people.csv"
    path.write_text(f"{HEADER}\n{ROWS}")
    return path


def arrived(tracker: Tracker) -> list[tuple[str, ...]]:
    """Path, person, second and properties of every call."""
    return sorted(
        (one.path, *(one.params.get(name, "") for name in ("_p", "_t", "plan", "since")))
        for one in tracker.seen
    )


def test_profiles_become_sets(importer: Command, tracker: Tracker, file: Path) -> None:
    """One `/s` for each row, at the time of the flag; the same file again sends nothing."""
    assert importer("import", file, "--profiles", *AT, "--json").ended(0).summary["rows"]["sent"] == 2
    day = str(DAY)
    assert arrived(tracker) == [
        ("/s", "ada", day, "pro", "2020-01-01"),
        ("/s", "bo", day, "free", "2021-01-01"),
    ]
    assert importer("import", file, "--profiles", *AT, "--json").ended(0).summary["calls"]["planned"] == 0


def test_the_columns_belong_to_the_first_persona_of_a_row(
    importer: Command, tracker: Tracker, file: Path
) -> None:
    """A row of a user has other columns than one of the account, unless they are named."""
    file.write_text(f"{HEADER}\n{ROWS},Beta,max,2022-01-01\n")
    importer("import", file, "--profiles", *AT).ended(0)
    assert [one[1:4:2] for one in arrived(tracker)] == [("Beta", "max"), ("ada", "pro"), ("bo", "free")]
    tracker.forget()
    importer("import", file, "--profiles", *AT, "--property", "plan").ended(0)
    assert [one[1:4:2] for one in arrived(tracker)] == [("Acme", "pro")]


def test_a_later_file_is_sent_at_its_own_time(importer: Command, tracker: Tracker, file: Path) -> None:
    """As a whole: an event may have brought another value in between. The earlier file stays known."""
    importer("import", file, "--profiles", *AT).ended(0)
    later = file.with_name("later.csv")
    later.write_text(f"{HEADER}\n{ROWS.replace('pro', 'max')}")
    summary = (
        importer("import", later, "--profiles", "--at", "2024-05-02T00:00:00+02:00", "--json")
        .ended(0)
        .summary
    )
    assert (summary["rows"]["sent"], summary["rows"]["skipped"]) == (2, 0)
    second = str(DAY + 22 * 3600)
    assert [one for one in arrived(tracker) if one[2] == second] == [
        ("/s", "ada", second, "max", "2020-01-01"),
        ("/s", "bo", second, "free", "2021-01-01"),
    ]
    again = importer("import", file, "--profiles", *AT, "--user", "user", "--json").ended(0)
    assert again.summary["calls"]["planned"] == 0


def test_a_column_may_have_the_time(importer: Command, tracker: Tracker, file: Path) -> None:
    """Then each profile has its own time."""
    importer("import", file, "--profiles", "--timestamp", "since", "--timezone", "UTC").ended(0)
    assert {(one.params["_p"], one.params["_t"]) for one in tracker.seen} == {
        ("ada", "1577836800"), ("bo", "1609459200"),
    }  # fmt: skip


def test_a_persona_that_is_not_recorded_gets_no_properties(
    importer: Command, tracker: Tracker, file: Path
) -> None:
    """The account is a property of the person then."""
    file.write_text(f"{HEADER}\n{ROWS},Beta,free,2022-01-01\n")
    summary = (
        importer("import", file, "--profiles", *AT, "--strategy", "property", "--json").ended(65).summary
    )
    assert summary["reasons"] == {"no-identity": 1}
    assert {(one.params["_p"], one.params.get("Account", "")) for one in tracker.seen} == {
        ("ada", "Acme"), ("bo", ""),
    }  # fmt: skip


def test_a_source_of_profiles(importer: Command, tracker: Tracker, file: Path) -> None:
    """Beside a source of events, with the properties of each persona in km.toml."""
    (file.parent / "events.csv").write_text("user,company,event,time\nada,Acme,Paid,2024-03-01T09:00:00Z\n")
    (file.parent / "km.toml").write_text(
        "[columns]\nevent = 'event'\ntimestamp = 'time'\n"
        "[[personas]]\nname = 'user'\n[[personas]]\nname = 'account'\n"
        "[[backfill]]\nname = 'events'\nfiles = ['events.csv']\n"
        "[[backfill]]\nname = 'people'\nfiles = ['people.csv']\n"
        "[backfill.columns]\nprofiles = true\nat = 2024-05-01\n"
        "[[backfill.personas]]\nname = 'user'\nproperties = ['plan']\n"
        "[[backfill.personas]]\nname = 'account'\nproperties = []\nset = ['since']\n"
    )
    config = ("--config", file.parent / "km.toml")
    assert importer("backfill", *config, "--json").ended(0).summary["rows"]["sent"] == 3
    day = str(DAY)
    assert [one for one in arrived(tracker) if one[0] == "/s"] == [
        ("/s", "Acme", day, "", "2020-01-01"),
        ("/s", "ada", day, "pro", ""),
        ("/s", "bo", day, "free", ""),
    ]
    assert len(tracker.seen) == 5
    assert importer("backfill", *config, "--json").ended(0).summary["calls"]["planned"] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--profiles",), ("no column was recognised as timestamp", "--timestamp NAME or --at TIME")),
        (AT, ("--at '2024-05-01' would be the time of every event", "give --profiles")),
        (("--profiles", *AT, "--event", "plan"), ("--profiles and --event contradict each other",)),
        (("--profiles", *AT, "--event-name", "X"), ("--profiles and --event-name contradict each other",)),
        (("--profiles", *AT, "--timestamp", "since"), ("--at and --timestamp contradict each other",)),
        (("--profiles", "--at", "yesterday"), ("--at 'yesterday' is not a time", "2024-01-31")),
    ],
)
def test_what_is_missing_or_contradictory(
    importer: Command, file: Path, words: tuple[str, ...], said: tuple[str, ...]
) -> None:
    """The clock is never the time of a profile: it would be another one in each run."""
    err = importer("dry-run", file, *words).ended(2).err
    assert [part for part in said if part not in err] == []


@pytest.mark.parametrize(
    ("now", "what"),
    [
        (("--timezone", "Europe/Berlin"), "other times"),
        (("--timezone", "UTC", "--user", "plan"), "identities"),
    ],
)
def test_the_same_file_is_refused_under_another_meaning(
    importer: Command, tracker: Tracker, file: Path, now: tuple[str, ...], what: str
) -> None:
    """As a log of events is: the profiles would be there twice, or be those of other people."""
    usual = ("--profiles", "--timestamp", "since", "--account", "company")
    importer("import", file, *usual, "--timezone", "UTC").ended(0)
    sent = len(tracker.seen)
    assert what in importer("import", file, *usual, *now).ended(2).err
    assert len(tracker.seen) == sent
    importer("import", file, *usual, *now, "--as-new").ended(0)
    assert len(tracker.seen) > sent


@pytest.mark.parametrize(
    ("overlap", "code", "sent"), [("ask", 65, []), ("separate", 0, [DAY + 1]), ("repeats", 0, [])]
)
def test_another_file_with_other_values_for_the_same_moment(
    importer: Command, tracker: Tracker, file: Path, overlap: str, code: int, sent: list[int]
) -> None:
    """Nobody knows which is right: it is decided as for events. What both files say is known."""
    importer("import", file, "--profiles", *AT).ended(0)
    tracker.forget()
    other = file.with_name("other.csv")
    other.write_text(f"{HEADER}\n{ROWS.replace('pro', 'max')}")
    importer("import", other, "--profiles", *AT, "--overlap", overlap).ended(code)
    assert [(hit.params["_p"], int(hit.params["_t"]), hit.params["plan"]) for hit in tracker.seen] == [
        ("ada", second, "max") for second in sent
    ]
    for reject in importer.rejects():
        assert "properties of the same identity at the same moment were sent before" in reject["reason"]
        assert "people.csv line 2, with another 'plan' ('max' here)" in reject["reason"]


def test_a_conflict_is_owed_and_decided_with_the_rejects(
    importer: Command, tracker: Tracker, file: Path
) -> None:
    rows = "".join(f"u{n},,free,\n" for n in range(9))
    file.write_text(f"{HEADER}\n{ROWS}{rows}")
    importer("import", file, "--profiles", *AT).ended(0)
    tracker.forget()
    other = file.with_name("other.csv")
    other.write_text(f"{HEADER}\n{ROWS.replace('pro', 'max')}{rows}")
    importer("import", other, "--profiles", *AT).ended(65)
    assert [(one["code"], one["owed"]) for one in importer.rejects()] == [("conflict", ["user.set"])]
    assert tracker.seen == []
    rejects = next(importer.state.glob("rejects-*"))
    importer("import", rejects, "--profiles", *AT, "--overlap", "separate").ended(0)
    assert [hit.params["plan"] for hit in tracker.seen] == ["max"]
    importer("import", rejects, "--profiles", *AT, "--overlap", "separate").ended(0)
    importer("import", other, "--profiles", *AT).ended(0)
    assert len(tracker.seen) == 1


def test_one_time_for_all_is_no_doubt(importer: Command, file: Path) -> None:
    """It was asked for."""
    file.write_text(f"{HEADER}\n" + "".join(f"u{n},,free,\n" for n in range(30)))
    summary = importer("dry-run", file, "--profiles", *AT, "--json").ended(0).summary
    assert "constant-time" not in summary["findings"]


def test_the_same_file_may_be_sent_at_another_time(importer: Command, tracker: Tracker, file: Path) -> None:
    """`--at` says since when the values are true, and they may be true again."""
    importer("import", file, "--profiles", *AT).ended(0)
    importer("import", file, "--profiles", "--at", "2024-06-01").ended(0)
    assert len(tracker.seen) == 4


def test_a_property_is_named_once(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """Also if a persona sets it and all rows carry it."""
    (tmp_path / "km.toml").write_text(
        '[columns]\nproperties = ["plan", "note"]\nwithout_event = "set"\n'
        '[[personas]]\nname = "user"\nset = ["note"]\n'
    )
    log = tmp_path / "log.csv"
    log.write_text("user,event,time,plan,note\nada,,2024-05-01T09:00:00Z,max,y\n")
    importer("import", log, "--config", tmp_path / "km.toml").ended(0)
    (hit,) = tracker.seen
    query = parse_qsl(hit.query)
    assert [pair for pair in query if pair[0] in ("plan", "note")] == [("note", "y"), ("plan", "max")]
