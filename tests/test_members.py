"""A file that says who belongs to which account, for logs that do not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command import Command
from tests.support.people import arrived, configure, sentences, write
from tests.support.tracker import Tracker

HEADER = "user,event,timestamp"
MEMBERS = '[members]\nfile = "users.csv"\nuser = "email"\naccount = "company"\n'
TIMED = f'{MEMBERS}since = "from"\nuntil = "to"\n'


def belong(folder: Path, *rows: str, header: str = "email,company,from,to") -> Path:
    return write(folder / "users.csv", *rows, header=header)


def test_who_belongs_to_whom_in_csv(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """Paths are relative to km.toml; who is in no account acts alone."""
    folder = configure(importer, MEMBERS, tmp_path / "config").parent
    belong(folder, "ada,Acme", " bob , Beta ", "ada,Acme", "eve,", ",Nobody")
    log = write(tmp_path / "log.csv", "ada,In,@0", "bob,In,@0", "cyd,In,@0", "eve,In,@0", header=HEADER)
    result = importer("import", log, "--json").ended(0)
    assert arrived(tracker) == sorted(
        ["ada did In", "Acme did In", "bob did In", "Beta did In", "cyd did In", "eve did In"]
    )
    assert result.summary["findings"]["no-account"] == 2


def test_who_belongs_to_whom_in_json(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    configure(importer, '[members]\nfile = "users.jsonl"\nuser = "mail"\naccount = "org.id"\n')
    lines = [{"mail": "ada", "org": {"id": 7}}, {"mail": "bob", "org": {"id": 8}}]
    (tmp_path / "users.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    importer("import", write(tmp_path / "log.csv", "ada,In,@0", "bob,In,@0", header=HEADER)).ended(0)
    assert arrived(tracker) == ["7 did In", "8 did In", "ada did In", "bob did In"]


def test_a_rows_own_account_wins(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    configure(importer, MEMBERS)
    belong(tmp_path, "ada,Acme")
    rows = ["ada,Beta,In,@0", "ada,,Out,@1", ",Gamma,Up,@2"]
    importer("import", write(tmp_path / "log.csv", *rows, header="user,account,event,timestamp")).ended(0)
    assert arrived(tracker) == ["Acme did Out", "Beta did In", "Gamma did Up", "ada did In", "ada did Out"]


def test_since_and_until(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """From the first moment on and before the last; between two memberships there is none."""
    configure(importer, TIMED)
    belong(tmp_path, "ada,Acme,,@2", "ada,Beta,@2,@4", "ada,Gamma,@6,")
    rows = [f"ada,E{second},@{second}" for second in range(1, 8)]
    importer("import", write(tmp_path / "log.csv", *rows, header=HEADER)).ended(0)
    accounts = [call for call in arrived(tracker) if not call.startswith("ada")]
    assert accounts == ["Acme did E1", "Beta did E2", "Beta did E3", "Gamma did E6", "Gamma did E7"]


def test_times_are_in_the_logs_zone(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    configure(importer, f'[columns]\ntimezone = "Europe/Berlin"\n{TIMED}')
    belong(tmp_path, "ada,Acme,,2024-06-01 12:00", "ada,Beta,2024-06-01 12:00,")
    rows = ["ada,A,2024-06-01T09:59:59Z", "ada,B,2024-06-01T10:00:00Z", "ada,C,2024-06-01 11:59:59"]
    importer("import", write(tmp_path / "log.csv", *rows, header=HEADER)).ended(0)
    assert [call for call in arrived(tracker) if "ada" not in call] == [
        "Acme did A",
        "Acme did C",
        "Beta did B",
    ]


@pytest.mark.parametrize(
    "rows",
    [
        ["bob,Beta,,", "ada,Acme,,", "ada,Beta,,"],
        ["bob,Beta,,", "ada,Acme,@0,@5", "ada,Beta,@4,"],
        ["bob,Beta,,", "ada,Acme,@5,", "ada,Beta,,@6"],
    ],
)
def test_a_contradiction_stops_it_naming_both_lines(
    importer: Command, tracker: Tracker, tmp_path: Path, rows: list[str]
) -> None:
    configure(importer, TIMED)
    belong(tmp_path, *rows)
    result = importer("import", write(tmp_path / "log.csv", "bob,In,@0", header=HEADER)).ended(2)
    assert "users.csv, line 4: 'ada' belongs to 'Beta', but according to line 3 to 'Acme'" in result.err
    assert tracker.seen == []


@pytest.mark.parametrize(
    ("table", "row", "said"),
    [
        (TIMED, "ada,Acme,soon,", "line 2, since"),
        (MEMBERS.replace("company", "compny"), "ada,Acme,,", "did you mean 'company'?"),
        (MEMBERS.replace("users.csv", "user.csv"), "ada,Acme,,", "user.csv"),
        (MEMBERS.replace("account", "acount"), "ada,Acme,,", "members.acount"),
        (MEMBERS.replace("user =", "since ="), "ada,Acme,,", "a column of the user and a column of another"),
        (MEMBERS, "ada,Acme,,,,,", "line 2"),
    ],
)
def test_a_members_file_that_says_nothing_clear(
    importer: Command, tracker: Tracker, tmp_path: Path, table: str, row: str, said: str
) -> None:
    configure(importer, table)
    belong(tmp_path, row)
    result = importer("import", write(tmp_path / "log.csv", "ada,In,@0", header=HEADER)).ended(2)
    assert said in result.err
    assert tracker.seen == []


def test_members_that_change_send_the_new_accounts_only(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    configure(importer, MEMBERS)
    log = write(tmp_path / "log.csv", "ada,In,@0", "bob,In,@1", "ada,Out,@2", header=HEADER)
    belong(tmp_path, "ada,Acme")
    importer("import", log).ended(0)
    tracker.forget()
    belong(tmp_path, "ada,Acme", "bob,Beta")
    importer("import", log).ended(0)
    assert sentences(tracker.seen) == ["Beta did In"]
    importer("import", log).ended(0)
    belong(tmp_path, "bob,Beta", "ada,Acme")
    importer("import", log).ended(0)
    assert len(tracker.seen) == 1


def test_a_header_that_is_corrected_changes_the_members(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """Though its rows are the same to the byte."""
    configure(importer, MEMBERS)
    log = write(tmp_path / "log.csv", "ada,In,@0", header=HEADER)
    belong(tmp_path, "ada,Acme,Beta", header="email,company,x")
    importer("import", log).ended(0)
    tracker.forget()
    belong(tmp_path, "ada,Acme,Beta", header="email,x,company")
    importer("import", log).ended(0)
    assert sentences(tracker.seen) == ["Beta did In"]


def test_the_form_of_the_logs_times_is_not_that_of_the_members(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """Their zone is."""
    zone = 'time_format = "%d/%m/%Y %H:%M"\ntimezone = "Europe/Berlin"'
    configure(importer, f"[columns]\n{zone}\n{TIMED}")
    belong(tmp_path, "ada,Acme,,2024-06-01 12:00", "ada,Beta,2024-06-01T10:00:00Z,")
    rows = ["ada,A,01/06/2024 11:59", "ada,B,01/06/2024 12:00"]
    log = write(tmp_path / "log.csv", *rows, header=HEADER)
    importer("import", log).ended(0)
    assert [call for call in arrived(tracker) if "ada" not in call] == ["Acme did A", "Beta did B"]
    belong(tmp_path, "ada,Acme,,01/06/2024 12:00")
    result = importer("import", log).ended(2)
    assert "as 2024-01-31" in " ".join(result.err.split())


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "the members' file is empty"), ("\n \n", "is empty"), ("ada@x.example,Acme\n", "no header")],
)
def test_a_members_file_without_a_header(
    importer: Command, tracker: Tracker, tmp_path: Path, content: str, said: str
) -> None:
    """The export failed: without it no user would belong to an account."""
    configure(importer, MEMBERS)
    (tmp_path / "users.csv").write_text(content)
    result = importer("import", write(tmp_path / "log.csv", "ada,In,@0", header=HEADER)).ended(2)
    assert said in " ".join(result.err.split())
    assert tracker.seen == []


def test_other_personas_have_members_too(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """Prefixed like any identity, and checked like one."""
    configure(
        importer,
        '[[personas]]\nname = "user"\n[[personas]]\nname = "team"\nprefix = "team "\n'
        '[[personas]]\nname = "organisation"\n'
        '[members]\nfile = "users.csv"\nuser = "email"\nteam = "group"\norganisation = "org"\n',
    )
    belong(tmp_path, "ada,1,Acme", "bob,1,", "cyd,guest,Acme", "dee,2,dee", header="email,group,org")
    rows = [f"{name},In,@{at}" for at, name in enumerate(("ada", "bob", "cyd", "dee"))]
    importer("import", write(tmp_path / "log.csv", *rows, header=HEADER)).ended(65)
    assert sorted(sentences(tracker.hits)) == [
        "Acme did In",
        "ada did In",
        "bob did In",
        "team 1 did In",
        "team 1 did In",
    ]
    assert [(one["line"], one["code"]) for one in importer.rejects()] == [(4, "I1"), (5, "I2")]


def test_members_for_the_strategy_property(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    configure(importer, f'strategy = "property"\n{MEMBERS}')
    belong(tmp_path, "ada,Acme")
    importer("import", write(tmp_path / "log.csv", "ada,In,@0", "bob,In,@0", header=HEADER)).ended(0)
    assert arrived(tracker) == ["ada did In, Account Acme", "bob did In"]


def test_a_dry_run_knows_the_members(km: Command, tmp_path: Path) -> None:
    configure(km, MEMBERS)
    belong(tmp_path, "ada,Acme")
    result = km("dry-run", write(tmp_path / "log.csv", "ada,In,@0", header=HEADER)).ended(0)
    assert "identify  Acme" in result.out
