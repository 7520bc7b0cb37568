"""Events that a persona does not do (`not_events`): it does all others, also those of later logs."""

from __future__ import annotations

from pathlib import Path

import pytest

from km_cli.config import kmtoml_file
from km_cli.model import Persona
from tests.support.command import Command
from tests.support.people import arrived, configure, write
from tests.support.tracker import Tracker

BUT = '[[personas]]\nname = "user"\n[[personas]]\nname = "account"\nnot_events = ["logged in"]\n'
ROWS = ["ada,Acme,Logged In,@0", "ada,Acme,Paid,@1"]


def test_the_persona_does_all_others(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """Names are compared as Kissmetrics does (D4). An event that the log gains later is recorded."""
    configure(importer, BUT + 'rename = "Account {event}"\n')
    importer("import", write(tmp_path / "log.csv", *ROWS, "ada,Acme,Brand New,@2")).ended(0)
    assert arrived(tracker) == [
        "Acme did Account Brand New",
        "Acme did Account Paid",
        "ada did Brand New",
        "ada did Logged In",
        "ada did Paid",
    ]


def test_a_row_that_names_the_persona_is_reported(importer: Command, tmp_path: Path) -> None:
    """And a row whose event no persona does is left out, which is a finding as well."""
    configure(importer, BUT)
    log = write(tmp_path / "log.csv", *ROWS, "ada,,Logged In,@2")
    assert importer("dry-run", log, "--json").ended(0).summary["findings"]["left-to-others"] == 1
    configure(importer, BUT.replace('"user"\n', '"user"\nnot_events = ["Logged In"]\n'))
    summary = importer("dry-run", log, "--json").ended(0).summary
    assert (summary["findings"]["no-persona"], summary["rows"]["skipped"]) == (2, 2)


def test_a_list_of_events_beside_it_is_an_error(importer: Command, tmp_path: Path) -> None:
    configure(importer, BUT + 'events = ["Paid"]\n')
    result = importer("dry-run", write(tmp_path / "log.csv", *ROWS)).ended(2)
    assert "the persona 'account' has both `events` and `not_events`" in result.err


def test_a_misspelt_event_is_reported_and_an_absent_one_is_not(importer: Command, tmp_path: Path) -> None:
    """Most files of a source may lack an event that the persona does not do anyway."""
    log = write(tmp_path / "log.csv", "ada,Acme,Logged In,@0")
    configure(importer, BUT.replace("logged in", "Loged In"))
    assert (
        "no row has the event 'Loged In'; did you mean 'Logged In'" in importer("dry-run", log).ended(0).out
    )
    configure(importer, BUT.replace("logged in", "Exported"))
    assert "no row has the event" not in importer("dry-run", log).ended(0).out


def test_taking_an_event_away_sends_nothing_twice(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """It is no other meaning of the log: the calls that are left are the same."""
    log = write(tmp_path / "log.csv", *ROWS)
    configure(importer, BUT)
    importer("import", log).ended(0)
    configure(importer, BUT.replace("logged in", "Paid"))
    importer("import", log).ended(0)
    assert arrived(tracker) == ["Acme did Logged In", "Acme did Paid", "ada did Logged In", "ada did Paid"]
    assert len(tracker.hits) == 4


@pytest.mark.parametrize(
    ("more", "length"), [({}, 10), ({"nobody": ("-",)}, 12), ({"excepted": ("Paid",)}, 13)]
)
def test_ledgers_see_no_difference_if_it_is_unused(more: dict[str, tuple[str, ...]], length: int) -> None:
    assert len(Persona("user", "main", **more).plain) == length


def proposed(km: Command, tmp_path: Path, rows: list[str]) -> list[str]:
    """Return the events that `init` proposes not to record for accounts."""
    write(tmp_path / "log.csv", *rows)
    toml = tmp_path / "made.toml"
    toml.write_text(km("init", tmp_path / "log.csv", "--output", "-").ended(0).out)
    found = next(one for one in kmtoml_file.read(toml).personas if one.name == "account")
    assert found.events == "*"
    return found.not_events


def log_of(accounts: str) -> list[str]:
    """Thirty rows, of which those of the event Seen name the account as `accounts` says."""
    seen = [f"u{at % 4},{accounts},Seen,@{at}" for at in range(15)]
    return seen + [f"u{at % 4},Acme{at % 2},Paid,@{at}" for at in range(15, 30)]


def test_init_proposes_the_events_that_only_users_do(km: Command, tmp_path: Path) -> None:
    assert proposed(km, tmp_path, log_of("")) == ["Seen"]
    assert proposed(km, tmp_path, log_of("Acme0")) == []


def test_init_proposes_nothing_if_the_account_is_often_empty(km: Command, tmp_path: Path) -> None:
    """Then that no row of an event names an account says little."""
    half = [f"u{at % 4},{'' if at % 2 else 'Acme'},Paid,@{at}" for at in range(30)]
    assert proposed(km, tmp_path, [*half, *(f"u{at},,Seen,@{at + 30}" for at in range(4))]) == []
