"""Personas of one's own from file to wire: their events, names, properties, and what is set once for them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.command import Command
from tests.support.people import HEADER, SITES, arrived, configure, seconds, sentences, write
from tests.support.tracker import BAD, OK, Tracker

TWO = '[[personas]]\nname = "user"\n[[personas]]\nname = "account"\n'


# Levels


LEVELS = f"""
{SITES}
[[personas]]
name = "user"
[[personas]]
name = "organisation"
column = "org"
events = ["Invited"]
rename = "Org {{event}}"
[[personas]]
name = "contact"
events = {{ invited = "Was Invited" }}
link = {{ "Invited By" = "user", Team = "organisation" }}
prefix = "contact "
[[personas]]
name = "second organisation"
column = "partner"
events = ["Invited"]
site = "accounts"
properties = []
"""
LEVELS_HEADER = "user,org,contact,partner,event,timestamp,plan"


def test_levels_as_one_would_write_them_by_hand(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    configure(importer, LEVELS)
    rows = ["ada,Acme,bo,Beta,Invited,@0,pro", "ada,Acme,bo,Beta,Left,@1", ",Acme,,,Invited,@2"]
    importer("import", write(tmp_path / "log.csv", *rows, header=LEVELS_HEADER), "--concurrency", "1").ended(
        0
    )
    assert sentences(tracker.seen) == [
        "ada did Invited, plan pro",
        "Acme did Org Invited, plan pro",
        "contact bo did Was Invited, plan pro, Invited By ada, Team Acme",
        "Beta did Invited @accounts",
        "ada did Left",
        "Acme did Org Invited",
    ]


def test_levels_in_json(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    configure(
        importer,
        f'{TWO}column = "company.id"\nset = ["company.name"]\n'
        '[columns]\ntimestamp = "at"\nproperties = ["plan"]\n',
    )
    log = tmp_path / "log.jsonl"
    company = '"company": {"id": 7, "name": "Acme", "size": 12}'
    log.write_text(f'{{"user": "ada", "event": "In", "at": 1704067200, "plan": "pro", {company}}}\n')
    importer("import", log).ended(0)
    assert arrived(tracker) == ["7 did In, plan pro", "7 has company.name Acme", "ada did In, plan pro"]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize(
    ("everybody", "user", "account", "sent"),
    [
        ("", "", 'set = ["plan"]\nproperties = ["plan"]', {"ada": {"size", "note"}, "Acme": {"plan"}}),
        ("", 'properties = ["size"]', 'properties = ["size"]', {"ada": {"size"}, "Acme": {"size"}}),
        ("", 'properties = ["size"]', "properties = []", {"ada": {"size"}, "Acme": set()}),
        ('exclude = ["note"]', "", 'properties = ["note"]', {"ada": {"plan", "size"}, "Acme": {"note"}}),
        ('properties = ["plan"]', "", 'properties = ["note"]', {"ada": {"plan"}, "Acme": {"note"}}),
        ("properties = []", "", 'properties = ["note"]', {"ada": set(), "Acme": {"note"}}),
    ],
)
def test_what_each_ones_records_carry(
    importer: Command,
    tracker: Tracker,
    tmp_path: Path,
    form: str,
    everybody: str,
    user: str,
    account: str,
    sent: dict[str, set[str]],
) -> None:
    """The same in every format."""
    levels = f'[[personas]]\nname = "user"\n{user}\n[[personas]]\nname = "account"\n{account}\n'
    configure(importer, f"[columns]\n{everybody}\n{levels}")
    log = write(tmp_path / "log.csv", "ada,Acme,In,@0,a,b,c", header=f"{HEADER},size,note")
    if form == "jsonl":
        names, values = (line.split(",") for line in log.read_text().splitlines())
        log = tmp_path / "log.jsonl"
        log.write_text(json.dumps(dict(zip(names, values, strict=True))) + "\n")
    importer("import", log).ended(0)
    records = [hit.params for hit in tracker.hits if hit.path == "/e"]
    assert {one["_p"]: {name for name in one if name[0] != "_"} for one in records} == sent


def test_a_dry_run_shows_the_levels(km: Command, tmp_path: Path) -> None:
    configure(km, LEVELS)
    log = write(tmp_path / "log.csv", "ada,Acme,bo,Beta,Invited,@0,pro", header=LEVELS_HEADER)
    lines = [
        line.split("  (")[0].split("  2")[0].strip() for line in km("dry-run", log).ended(0).out.splitlines()
    ]
    shown = [line for line in lines if line.startswith(("identify", "record"))]
    assert shown == [
        "identify  ada",
        "record  Invited",
        "identify  Acme",
        "record  Org Invited",
        "identify  contact bo",
        "record  Was Invited",
        "identify  Beta",
        "record  Invited",
        "identify  ada",
    ]


def test_what_each_column_is_taken_for_is_shown(km: Command, tmp_path: Path) -> None:
    configure(
        km,
        '[[personas]]\nname = "user"\nalias = "was"\n[[personas]]\nname = "account"\nset = ["plan", "size"]\n'
        'properties = []\n[[personas]]\nname = "team"\nproperties = ["note"]\n',
    )
    log = write(tmp_path / "log.csv", "ada,Acme,In,@0", header=f"{HEADER},size,was,team,note")
    first, *_ = km("dry-run", log, "--allow-alias").ended(0).out.splitlines()
    assert first.split(": ", 1)[1] == (
        "user from 'user', alias of the user from 'was', account from 'account', team from 'team', "
        "event from 'event', time from 'timestamp'; all other columns are properties of the user; "
        "properties of the account: none; properties of the team: note; "
        "set for each account when they change: plan, size"
    )


@pytest.mark.parametrize(
    ("left_out", "said"),
    [("a", "'a'"), ("a b", "'a' and 'b'"), ("a b c d", "'a', 'b' and 2 more")],
)
def test_columns_that_are_left_out_are_said(km: Command, tmp_path: Path, left_out: str, said: str) -> None:
    log = write(tmp_path / "log.csv", "ada,Acme,In,@0", header=f"{HEADER},a,b,c,d,e")
    flags = [word for name in left_out.split() for word in ("--exclude-property", name)]
    first, *_ = km("dry-run", log, *flags).ended(0).out.splitlines()
    assert first.endswith(f"; all other columns are properties, without {said}")


def test_what_no_persona_may_do_is_skipped_and_said(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """Skipped rows are no faults, but a row without those who may do its event is rejected."""
    configure(
        importer,
        '[[personas]]\nname = "user"\nevents = ["In"]\n[[personas]]\nname = "account"\nevents = []\n',
    )
    log = write(tmp_path / "log.csv", "ada,Acme,in,@0", "ada,Acme,Out,@1", ",Acme,In,@2")
    out = importer("dry-run", log).ended(65).out
    assert re.search(r"to skip +1  with an event that no persona does\n", out)
    result = importer("import", log, "--json").ended(65)
    summary = result.summary
    assert (summary["rows"]["sent"], summary["rows"]["skipped"], summary["rows"]["rejected"]) == (1, 1, 1)
    assert summary["findings"]["no-persona"] == 1
    assert "lost: no persona has 'Out' among its events, and no skip names it" in result.err
    write(log, "ada,Acme,in,@0", "ada,Acme,Out,@1", "bob,Acme,Up,@2", "eve,Acme,In,@3")
    out = importer("dry-run", log, "--skip", "Up").ended(0).out
    assert "1 left out by the selection; 1 with an event that no persona does; 1 handled before" in out
    assert arrived(tracker) == ["ada did in"]


LISTS = """
[columns]
skip = ["Heartbeat"]
[[personas]]
name = "user"
events = ["In", "Out"]
[[personas]]
name = "account"
events = ["Paid"]
set = ["plan"]
"""


def test_an_event_in_no_list_is_a_finding_with_its_names(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """A row that only sets a property loses its event all the same; --strict sends nothing."""
    configure(importer, LISTS)
    rows = ["ada,Acme,Saved,@0,pro", "ada,,Saved,@1,", "bo,,Typo,@2,", "bo,,Heartbeat,@3,", "bo,,In,@4,"]
    log = write(tmp_path / "log.csv", *rows)
    out = importer("dry-run", log).ended(0).out
    assert "most: 'Saved' 2; 'Typo' 1" in out
    assert "do: Add it to a persona's events in km.toml, or to skip (columns)" in out
    assert re.search(r"to skip +3  1 left out by the selection; 2 with an event that no persona does\n", out)
    result = importer("import", log, "--strict").ended(65)
    assert "no-persona 3" in result.err
    assert tracker.seen == []
    summary = importer("import", log, "--json").ended(0).summary
    assert summary["findings"] | {"no-persona": 3, "left-out": 1} == summary["findings"]
    assert sorted({hit.params["_p"] for hit in tracker.hits}) == ["Acme", "bo"]


def test_an_event_that_is_skipped_or_in_a_list_is_no_finding(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """What km.toml skips stays out when a flag skips more."""
    configure(importer, LISTS)
    log = write(tmp_path / "log.csv", "ada,,In,@0,", "bo,,heartbeat,@1,", "cy,,Typo,@2,")
    summary = importer("import", log, "--strict", "--skip", "Typo", "--json").ended(0).summary
    assert summary["findings"].keys() == {"left-out", "no-account", "no-such-event"}  # the last is Paid
    assert summary["findings"]["left-out"] == 2
    assert arrived(tracker) == ["ada did In"]


def test_an_event_that_one_list_leaves_to_others_is_a_note_per_name(
    importer: Command, tmp_path: Path
) -> None:
    """Only rows that name an account are counted; the note is no fault."""
    configure(importer, LISTS.replace('"Out"', '"Out", "Paid"'))
    rows = [f"u{n},Acme,{event},@{n},pro" for n, event in enumerate(("In", "In", "Out", "Paid"))]
    log = write(tmp_path / "log.csv", *rows, "ada,,In,@9,")
    out = importer("dry-run", log).ended(0).out
    assert "first: 'In' is not among the events of account, but of another persona (rows: 2)" in out
    assert "most: 'In' 2; 'Out' 1" in out
    summary = importer("import", log, "--strict", "--json").ended(0).summary
    assert summary["findings"]["left-to-others"] == 2
    assert "no-persona" not in summary["findings"]


def test_an_empty_list_is_meant(importer: Command, tmp_path: Path) -> None:
    """A persona that does nothing and only has properties set leaves nothing to others."""
    configure(
        importer,
        '[[personas]]\nname = "user"\n[[personas]]\nname = "account"\nevents = []\nset = ["plan"]\n',
    )
    log = write(tmp_path / "log.csv", "ada,Acme,In,@0,pro")
    assert importer("dry-run", log, "--json").ended(0).summary["findings"] == {}


def test_a_misspelt_skip_in_km_toml_is_told(importer: Command, tmp_path: Path) -> None:
    """A name that is only missing from this log is not reported."""
    configure(importer, '[columns]\nskip = ["Heartbaet", "Debug"]\n')
    log = write(tmp_path / "log.csv", "ada,,Heartbeat,@0,")
    result = importer("dry-run", log, "--json").ended(0)
    assert "km.toml, columns.skip: no row has the event 'Heartbaet'; did you mean 'Heartbeat'?" in result.err
    assert "Debug" not in result.err


def test_a_prefix_keeps_equal_ids_apart(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """Integers for both in one site."""
    configure(importer, f'{TWO}prefix = "acct "\nlink = {{ "Last User" = "user" }}\n')
    log = write(tmp_path / "log.csv", "1,1,In,@0", "2,1,In,@1", "1,2,In,@2")
    importer("import", log).ended(0)
    assert sorted(sentences(tracker.hits)) == [
        "1 did In",
        "1 did In",
        "2 did In",
        "acct 1 did In, Last User 1",
        "acct 1 did In, Last User 2",
        "acct 2 did In, Last User 1",
    ]


def test_a_prefix_that_makes_another_persons_id_does_not(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    configure(importer, f'{TWO}prefix = "acct "\n')
    importer("import", write(tmp_path / "log.csv", "acct 1,1,In,@0", "acct 2,3,In,@1", "ada,2,In,@2")).ended(
        65
    )
    assert [(one["line"], one["code"]) for one in importer.rejects()] == [(2, "I2"), (4, "I2")]
    assert arrived(tracker) == ["acct 2 did In", "acct 3 did In"]


@pytest.mark.parametrize("placeholder", ["guest", "null"])
def test_a_prefix_does_not_make_a_placeholder_valid(
    importer: Command, tracker: Tracker, tmp_path: Path, placeholder: str
) -> None:
    configure(importer, f'{TWO}prefix = "acct "\n')
    importer("import", write(tmp_path / "log.csv", f"ada,{placeholder},In,@0")).ended(65)
    assert tracker.seen == []


def test_another_persona_sends_its_own_calls_only(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    log = write(
        tmp_path / "log.csv", "ada,Acme,In,@0,pro,Sales", "bob,Acme,Out,@0,,", header=f"{HEADER},team"
    )
    configure(importer, TWO)
    importer("import", log).ended(0)
    tracker.forget()
    configure(importer, f'{TWO}[[personas]]\nname = "team"\nrename = "Team {{event}}"\n')
    importer("import", log).ended(0)
    assert arrived(tracker) == ["Sales did Team In, plan pro"]


def test_a_refused_part_is_owed_by_its_persona(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    configure(importer, LEVELS)
    log = write(tmp_path / "log.csv", "ada,Acme,bo,Beta,Invited,@0,pro", header=LEVELS_HEADER)
    tracker.behave = lambda hit, _: BAD if hit.params["_p"] in ("contact bo", "Beta") else OK
    importer("import", log).ended(65)
    assert [sorted(one["owed"]) for one in importer.rejects()] == [["contact", "second organisation"]]
    tracker.behave = None
    tracker.forget()
    importer("import", next(importer.state.glob("rejects-*"))).ended(0)
    assert arrived(tracker) == [
        "Beta did Invited @accounts",
        "contact bo did Was Invited, plan pro, Invited By ada, Team Acme",
    ]


WITH_ALL = f"""{SITES}
[[personas]]
name = "user"
link = {{ Account = "account" }}
alias = "was"
[[personas]]
name = "account"
site = "accounts"
prefix = "acct "
properties = ["size"]
set = ["plan"]
alias = "once"
[[personas]]
name = "team"
events = ["In", "Out"]
rename = "Team {{event}}"
set = ["size"]
"""


@pytest.mark.parametrize("nth", [2, 3, 5])
def test_what_is_refused_comes_with_the_rejects(
    importer: Command, tracker: Tracker, tmp_path: Path, nth: int
) -> None:
    """Every so many calls are refused; with the rejects imported it is as if none had been."""
    configure(importer, WITH_ALL)
    rows = [
        f"u{n % 7},a{n % 3},{('In', 'Out', 'Up')[n % 3]},@{n % 5},p{n % 3},t{n % 2},s{n},w{n % 7},o{n % 3}"
        for n in range(25)
    ]
    log = write(tmp_path / "log.csv", *rows, header=f"{HEADER},team,size,was,once")
    other = tmp_path / "other"
    Command(other, to=tracker.url, environment=importer.environment)(
        "import", log, "--allow-alias", "--concurrency", "1"
    ).ended(0)
    whole = sorted(sentences(tracker.hits))
    tracker.forget()
    tracker.behave = lambda _hit, number: BAD if number % nth == 0 else OK
    importer("import", log, "--allow-alias", "--concurrency", "1").ended(65)
    assert len(tracker.hits) < len(whole)
    for _ in range(20):
        rejects = max(importer.state.glob("rejects-*"), key=lambda path: path.stat().st_mtime_ns)
        if importer("import", rejects, "--allow-alias", "--concurrency", "1").code == 0:
            break
    assert sorted(sentences(tracker.hits)) == whole


# Columns that are followed; tests/test_sets.py has more of them


SETS = f'{TWO}set = ["plan"]\n'


def has(tracker: Tracker) -> list[str]:
    """What was set, in the order of arrival."""
    return [call for call in sentences(tracker.seen) if " has " in call]


def test_it_is_known_across_runs_files_and_rewritten_logs(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    configure(importer, SETS)
    first = write(tmp_path / "first.csv", "ada,Acme,In,@0,pro")
    importer("import", first).ended(0)
    importer("import", write(tmp_path / "second.csv", "ada,Acme,Out,@1,pro", "bob,Acme,In,@2,max")).ended(0)
    importer("import", write(first, "bob,Acme,Up,@3,free", "ada,Acme,In,@0,pro")).ended(0)
    importer("import", first).ended(0)
    assert has(tracker) == [f"Acme has plan {value}" for value in ("pro", "max", "free")]


def test_a_dry_run_knows_what_is_set(importer: Command, tmp_path: Path) -> None:
    configure(importer, SETS)
    log = write(tmp_path / "log.csv", "ada,Acme,In,@0,pro")
    assert "set " in importer("dry-run", log).ended(0).out
    importer("import", log).ended(0)
    again = write(tmp_path / "again.csv", "ada,Acme,Out,@1,pro")
    assert importer("dry-run", again, "--json").ended(0).summary["calls"]["planned"] == 2


def test_a_column_added_later_sends_only_that(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    log = write(
        tmp_path / "log.csv", "ada,Acme,In,@0,pro,12", header="user,account,event,timestamp,plan,size"
    )
    configure(importer, TWO)
    importer("import", log).ended(0)
    tracker.forget()
    for columns in ('["plan"]', '["plan", "size"]'):
        configure(importer, f"{TWO}set = {columns}\n")
        importer("import", log).ended(0)
    assert sentences(tracker.seen) == ["Acme has plan pro", "Acme has size 12"]


def test_a_value_that_clashes_moves(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """Another value of the property stands in that second already (D2)."""
    configure(importer, f'{TWO}properties = ["plan"]\n')
    log = write(tmp_path / "log.csv", "ada,Acme,In,@0,free")
    importer("import", log).ended(0)
    configure(importer, f'{TWO}properties = []\nset = ["plan"]\n')
    other = write(tmp_path / "other.csv", "bob,Acme,Out,@0,pro")
    result = importer("import", other, "--json").ended(0)
    assert seconds(tracker)["Acme has plan pro"] == 1
    assert result.summary["findings"]["D2"] == 1


def test_without_a_second_it_is_owed(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    configure(importer, f'{TWO}properties = ["plan"]\n')
    importer("import", write(tmp_path / "log.csv", "ada,Acme,In,@0,free")).ended(0)
    configure(importer, f'{TWO}properties = []\nset = ["plan"]\n')
    other = write(tmp_path / "other.csv", "bob,Acme,Out,@0,pro")
    importer("import", other, "--collisions", "reject").ended(65)
    assert [(one["code"], one["owed"]) for one in importer.rejects()] == [("D2-full", ["account.set"])]
    assert has(tracker) == []
    importer("import", next(importer.state.glob("rejects-*"))).ended(0)
    assert has(tracker) == ["Acme has plan pro"]


def test_refused_it_is_sent_again_with_the_reject(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    configure(importer, SETS)
    log = write(tmp_path / "log.csv", "ada,Acme,In,@0,pro", "ada,Acme,Out,@1,pro")
    tracker.behave = lambda hit, _: BAD if hit.path == "/s" else OK
    importer("import", log).ended(65)
    assert [(one["line"], one["code"], one["owed"]) for one in importer.rejects()] == [
        (2, "refused", ["account.set"])
    ]
    tracker.behave = None
    tracker.forget()
    importer("import", next(importer.state.glob("rejects-*"))).ended(0)
    assert sentences(tracker.seen) == ["Acme has plan pro"]
    importer("import", log).ended(0)
    assert len(tracker.seen) == 1


def test_corrected_it_is_sent_alone(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """The record carries the same column and was sent as it was: it is not owed, and not sent again."""
    configure(importer, f'{TWO}properties = ["plan"]\nset = ["plan"]\n')
    tracker.behave = lambda hit, _: BAD if hit.path == "/s" else OK
    importer("import", write(tmp_path / "log.csv", "ada,Acme,In,@0,wrong")).ended(65)
    tracker.behave = None
    tracker.forget()
    rejects = next(importer.state.glob("rejects-*"))
    rejects.write_text(rejects.read_text().replace(",wrong", ",right"))
    importer("import", rejects).ended(0)
    assert sentences(tracker.seen) == ["Acme has plan right"]


@pytest.mark.parametrize("apart", [False, True])
def test_refused_it_is_sent_with_a_later_row(
    importer: Command, tracker: Tracker, tmp_path: Path, apart: bool
) -> None:
    """However the rows are divided among files."""
    configure(importer, SETS)
    tracker.behave = lambda hit, _: BAD if "wrong" in hit.query else OK
    rows = ["ada,Acme,In,@0,wrong", *(f"ada,Beta,In,@{n},pro" for n in range(1, 40)), "ada,Acme,In,@50,right"]
    files = [rows[:-1], rows[-1:]] if apart else [rows]
    logs = [write(tmp_path / f"{at}.csv", *some) for at, some in enumerate(files)]
    importer("import", *logs, "--batch-size", "1", "--concurrency", "1").ended(65)
    assert "Acme has plan right" in has(tracker)


def test_what_no_persona_has_any_more_stays_owed(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    tracker.behave = lambda hit, _: BAD if "Acme" in hit.query else OK
    importer("import", write(tmp_path / "log.csv", "ada,Acme,In,@0,pro")).ended(65)
    rejects = next(importer.state.glob("rejects-*"))
    rejects.write_text(rejects.read_text().replace('"owed": ["account"]', '"owed": ["company"]'))
    tracker.behave = None
    again = tmp_path / "again.jsonl"
    importer("import", rejects, "--rejects", again).ended(65)
    (reject,) = [json.loads(line) for line in again.read_text().splitlines()]
    assert (reject["code"], reject["owed"]) == ("owed", ["company"])


def test_two_personas_have_their_own(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """Also of one id in two sites."""
    configure(
        importer,
        f'{SITES}[[personas]]\nname = "user"\nset = ["plan"]\n'
        '[[personas]]\nname = "account"\nset = ["plan"]\nsite = "accounts"\n',
    )
    importer("import", write(tmp_path / "log.csv", "1,1,In,@0,pro")).ended(0)
    assert sorted(has(tracker)) == ["1 has plan pro", "1 has plan pro @accounts"]


def test_it_is_set_for_whom_no_event_is_recorded(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    configure(importer, f'{TWO}events = []\nset = ["plan"]\n')
    importer("import", write(tmp_path / "log.csv", "ada,Acme,In,@0,pro", "bob,Acme,Out,@0,pro")).ended(0)
    assert arrived(tracker) == ["Acme has plan pro", "ada did In", "bob did Out"]


def test_a_log_may_only_set(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """A list of accounts, for example: it has no actor."""
    configure(importer, '[[personas]]\nname = "account"\nevents = []\nset = ["plan"]\n')
    log = write(tmp_path / "log.csv", "Acme,Listed,@0,pro", header="account,event,timestamp,plan")
    importer("import", log).ended(0)
    assert arrived(tracker) == ["Acme has plan pro"]


def test_a_reserved_column_cannot_be_set(km: Command, tmp_path: Path) -> None:
    configure(km, f'{TWO}set = ["KM_PLAN"]\n')
    assert "account.set" in km("dry-run", write(tmp_path / "log.csv", "ada,Acme,In,@0")).ended(2).err


# Corrected rejects


def _corrected(command: Command, tmp_path: Path, *flags: str) -> Path:
    """Import a log with one bad row; return the rejects, corrected."""
    log = tmp_path / "log.csv"
    log.write_text("user,account,event,time,plan\nu1,a1,In,1709283600,x\nguest,a1,In,1709283600,x\n")
    command("import", log, *flags).ended(65)
    (rejects,) = command.state.glob("rejects-*")
    rejects.write_text(rejects.read_text().replace('"raw": "guest', '"raw": "u2'))
    return rejects


def test_other_personas_than_the_logs_are_refused(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """The account would become a person of the first site."""
    rejects = _corrected(importer, tmp_path, "--strategy", "property")
    sent = len(tracker.seen)
    for command in ("import", "dry-run"):
        result = importer(command, rejects).ended(2)
        assert "come from an import with other personas" in result.err
        assert "--strategy, --site and --config" in result.err
    assert len(tracker.seen) == sent
    importer("import", rejects, "--strategy", "property").ended(0)
    assert [hit.params["_p"] for hit in tracker.seen[sent:]] == ["u2"]


def test_other_properties_do_not_send_it_twice(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    rejects = _corrected(importer, tmp_path)
    importer("import", rejects).ended(0)
    sent = len(tracker.seen)
    summary = importer("import", rejects, "--no-properties", "--json").ended(0).summary
    assert "changed" not in summary["findings"]  # rows are compared, and they are the same
    assert len(tracker.seen) == sent
