"""`km-cli show`: counts and timelines of a local store, counts of the ledger, the calls of one run."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from km_cli.ledger import Ledger
from km_cli.standin import Looker, Store
from tests.support.command import Command
from tests.support.permissions import refusable
from tests.support.terminal import Terminal
from tests.support.tracker import OK, Tracker, refuse

HEADER = "timestamp,user,account,event,plan\n"
LOG = (
    "2024-03-01T09:00:00Z,ada,Acme,Signed Up,pro\n"
    "2024-03-01T09:05:00Z,bo,Acme,Invited,pro\n"
    "2024-03-01T09:05:00Z,cy,Acme,Invited,pro\n"
    "2024-03-02T10:00:00Z,dot,,Viewed Tour,\n"
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Four rows: four users, one account, one moved call."""
    path = tmp_path / "log.csv"
    path.write_text(HEADER + LOG, encoding="utf-8")
    return path


@pytest.fixture
def filled(km: Command, log: Path) -> Command:
    """The command, after the log was imported into the local store."""
    km("import", log, "--to", "local").ended(0)
    return km


# The overview


def test_people_and_events_of_the_local_store(filled: Command) -> None:
    out = filled("show", "--to", "local").ended(0).out
    assert out == (
        f"in the store {filled.state}/local.db\n"
        "events from 2024-03-01 09:00:00 to 2024-03-02 10:00:00 UTC\n"
        "\npeople\n"
        "  account  1  with 3 events, 3 property values\n"
        "  user     4  with 4 events, 3 property values\n"
        "\nevents\n"
        "  Invited      account  2  by 1 of 1\n"
        "  Invited      user     2  by 2 of 4\n"
        "  Signed Up    account  1  by 1 of 1\n"
        "  Signed Up    user     1  by 1 of 4\n"
        "  Viewed Tour  user     1  by 1 of 4\n"
    )


def test_the_overview_as_json(filled: Command) -> None:
    found = filled("show", "--to", "local", "--json").ended(0).summary
    assert (found["to"], found["pending"], found["first"]) == ("local", 0, "2024-03-01T09:00:00Z")
    assert found["people"][0] == {
        "site": "main", "persona": "account", "people": 1, "events": 3, "properties": 3,
    }  # fmt: skip
    assert {"site": "main", "event": "Invited", "persona": "user", "times": 2, "people": 2} in found["events"]


def test_what_went_to_a_tracker_is_shown_by_the_ledger(
    importer: Command, tracker: Tracker, log: Path
) -> None:
    """It knows how many calls were sent for each event, and not who did them."""
    importer("import", log).ended(0)
    out = importer("show").ended(0).out
    assert out.startswith(
        f"sent to {tracker.url}\n\npeople\n  account  1  with 3 events, 3 property values\n"
    )
    assert "  Invited      account  2  calls\n" in out
    found = importer("show", "--json").ended(0).summary
    assert {"site": "main", "event": "Invited", "persona": "user", "times": 2, "people": None} in found[
        "events"
    ]
    result = importer("show", "ada").ended(2)
    assert "it cannot show a timeline" in result.err


def test_sites_are_named_if_there_are_several(km: Command, log: Path) -> None:
    km("import", log, "--to", "local", "--strategy", "sites").ended(0)
    out = km("show", "--to", "local").ended(0).out
    assert "  account, accounts  1  with 3 events, 3 property values\n  user, main         4  " in out


def test_calls_that_are_pending_are_not_called_sent(km: Command, tracker: Tracker, log: Path) -> None:
    """None acknowledged, then some: the counts of the ledger have all that was planned."""
    own = ("--to", tracker.url)
    tracker.behave = lambda _hit, _number: refuse(403)
    km("import", log, *own).ended(69)
    out = km("show", *own).ended(0).out
    assert out.startswith(
        f"planned for {tracker.url}\n7 calls, none of them acknowledged yet: run the import again\n\npeople\n"
    )
    assert f"\ncalls planned for {tracker.url}\n" in km("show", *own, "--run", "LAST").ended(0).out
    tracker.forget()
    tracker.behave = lambda _hit, number: OK if number < 3 else refuse(403)
    km("import", log, *own, "--concurrency", "1").ended(69)
    assert (
        km("show", *own)
        .ended(0)
        .out.startswith(
            f"sent to {tracker.url}\n4 of 7 calls pending, and counted here: run the import again\n\npeople\n"
        )
    )
    tracker.behave = None
    km("import", log, *own).ended(0)
    assert km("show", *own).ended(0).out.startswith(f"sent to {tracker.url}\n\npeople\n")


def test_a_run_on_the_local_store_names_it_at_its_end(km: Command, log: Path, tmp_path: Path) -> None:
    """As a command that can be copied."""
    out = km("import", log, "--to", "local", "-v").ended(0).out
    assert out.endswith("look at it: km-cli show --to local\nin a browser: km-cli serve\n")
    place = tmp_path / "my store.db"
    out = km("import", log, "--to", f"local:{place}", "-v").ended(0).out
    assert out.endswith(
        f"look at it: km-cli show --to 'local:{place}'\nin a browser: km-cli serve --store '{place}'\n"
    )
    assert "Signed Up" in km("show", "--to", f"local:{place}").ended(0).out


# Timelines


def test_a_timeline_has_events_and_properties_by_second(filled: Command) -> None:
    out = filled("show", "Acme", "--to", "local").ended(0).out
    assert out == (
        "Acme  (account, site main)\n"
        "2024-03-01 09:00:00  Signed Up\n                       plan: pro\n"
        "2024-03-01 09:05:00  Invited\n                       plan: pro\n"
        "2024-03-01 09:05:01  Invited\n                       plan: pro\n"
    )
    (one,) = filled("show", "dot", "--to", "local", "--json").ended(0).summary["people"]
    assert one == {
        "site": "main",
        "persona": "user",
        "identities": ["dot"],
        "moments": [{"time": "2024-03-02T10:00:00Z", "events": ["Viewed Tour"], "properties": {}}],
    }


def test_a_timeline_has_sets_and_aliases(km: Command, tmp_path: Path) -> None:
    """An alias is shown with the person, by any of the identities."""
    (tmp_path / "km.toml").write_text(
        '[[personas]]\nname = "user"\nalias = "visitor"\nset = ["plan"]\nproperties = []\n'
        '[[personas]]\nname = "account"\nprefix = "acct "\n'
    )
    path = tmp_path / "log.csv"
    path.write_text(
        "timestamp,user,account,event,plan,visitor\n2024-03-01T09:00:00Z,v1,7,Visited,,\n"
        "2024-03-01T09:05:00Z,ada,7,Signed Up,pro,v1\n"
    )
    config = ("--config", tmp_path / "km.toml", "--to", "local")
    km("import", path, *config, "--allow-alias").ended(0)
    for identity in ("ada", "v1"):
        out = km("show", identity, *config).ended(0).out
        assert out.startswith("ada  (user, site main)\n  also known as: v1\n2024-03-01 09:00:00  Visited\n")
        assert "2024-03-01 09:05:00  Signed Up\n                       plan: pro\n" in out
    result = km("show", "7", *config).ended(2)
    assert "did you mean 'acct 7'?" in result.err


def test_a_second_without_an_event_sets_properties(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "x.db")) as store:
        store.receive([("/s?_k=main&_p=ada&_t=1709283600&_d=1&plan=pro", b"")])
    with Looker(tmp_path / "x.db") as looker:
        (person,) = looker.find("ada")
        (moment,) = looker.timeline(person.number)
    assert (moment.events, moment.properties) == ((), (("plan", "pro"),))


def test_a_timeline_has_the_last_thousand_of_each_event(tmp_path: Path) -> None:
    """As Kissmetrics would keep them (D7); the counts agree."""
    calls = [(f"/e?_k=main&_p=ada&_n=In&_t={1_709_283_600 + n}&_d=1", b"") for n in range(1003)]
    with closing(Store(tmp_path / "x.db")) as store:
        store.receive([*calls, ("/e?_k=main&_p=ada&_n=Out&_t=1709283600&_d=1", b"")])
    with Looker(tmp_path / "x.db") as looker:
        (person,) = looker.find("ada")
        seconds = [one.second for one in looker.timeline(person.number) if "In" in one.events]
        assert [(one.name, one.times) for one in looker.instances()] == [("In", 1000), ("Out", 1)]
    assert seconds == [1_709_283_603 + n for n in range(1000)]


def test_an_unknown_id_is_an_error_that_proposes_the_nearest(filled: Command) -> None:
    result = filled("show", "ACME", "--to", "local").ended(2)
    assert result.err == "km-cli: the store has no person or account 'ACME'\n  next: did you mean Acme?\n"
    assert "behind its prefix" in filled("show", "100%", "--to", "local").ended(2).err


# Whose it is


def receive(path: Path, *calls: str) -> None:
    """Fill a store by itself, without a ledger."""
    with closing(Store(path)) as store:
        store.receive([(call, b"") for call in calls])


def personas(km: Command, place: Path, *flags: str | Path) -> list[tuple[str, str, int]]:
    """Return site, persona and number of people."""
    found = km("show", "--to", f"local:{place}", "--json", *flags).ended(0).summary["people"]
    return [(one["site"], one["persona"], one["people"]) for one in found]


def test_without_a_ledger_a_persona_is_never_guessed(km: Command, tmp_path: Path) -> None:
    """Sites and prefixes of km.toml say whose an id is; where they do not, it is unknown."""
    place = tmp_path / "x.db"
    receive(
        place,
        "/e?_k=main&_p=ada&_n=In&_t=1709283600&_d=1",
        "/e?_k=main&_p=acct%207&_n=In&_t=1709283600&_d=1",
        "/e?_k=partners&_p=zoe&_n=In&_t=1709283600&_d=1",
    )
    place.chmod(0o600)
    assert personas(km, place) == [("main", "unknown", 2), ("partners", "unknown", 1)]
    config = tmp_path / "km.toml"
    config.write_text(
        '[sites.main]\nkey_env = "A"\n[sites.partners]\nkey_env = "B"\n[[personas]]\nname = "user"\n'
        '[[personas]]\nname = "account"\nprefix = "acct "\n'
        '[[personas]]\nname = "contact"\nsite = "partners"\n'
    )
    assert personas(km, place, "--config", config) == [
        ("main", "account", 1),
        ("main", "unknown", 1),
        ("partners", "contact", 1),
    ]


# Read-only, and safe


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("words", [(), ("Acme",), ("--run", "LAST")])
def test_nothing_is_written_or_locked(filled: Command, words: tuple[str, ...]) -> None:
    """Not even while a run holds the lock."""
    before = content(filled.state)
    filled("show", "--to", "local", *words).ended(0)
    assert content(filled.state) == before
    ledger = Ledger.open(filled.state / "local.db")
    try:
        filled("show", "--to", "local", *words).ended(0)
    finally:
        ledger.close()


def test_a_store_in_a_folder_that_cannot_be_written_is_shown(
    filled: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = filled("show", "--to", "local").ended(0).out  # All modules are loaded before rights are refused.
    store = (filled.state / "local.db").read_bytes()
    with refusable() as folder, monkeypatch.context() as patch:
        patch.chdir(folder)
        (folder / "local.db").write_bytes(store)
        folder.chmod(0o500)
        assert not os.access(folder, os.W_OK, effective_ids=True)
        found = Command(folder)("show", "--to", f"local:{folder}/local.db").ended(0).out
        folder.chmod(0o700)
    assert found.splitlines()[1:] == shown.splitlines()[1:]
    assert "Signed Up" in found


HOSTILE = "\x1b]0;owned\x07\x1b[31m"


def test_terminal_escapes_in_a_store_are_shown_escaped(km: Command, tmp_path: Path) -> None:
    """A store may hold what a log could not send: another program can write to it."""
    place = tmp_path / "x.db"
    quoted = "%1B%5D0%3Bowned%07%1B%5B31m"
    receive(place, f"/e?_k=main&_p=a{quoted}&_n=In{quoted}&_t=1709283600&_d=1&p{quoted}=v{quoted}%0Aline")
    place.chmod(0o600)
    for words in ((), (f"a{HOSTILE}",)):
        out = km("show", "--to", f"local:{place}", *words).ended(0).out
        assert all(letter == "\n" or letter.isprintable() for letter in out)
        assert "In\\x1b]0;owned\\x07" in out
        assert "\nline" not in out


# Errors


def test_an_import_that_sent_nothing_does_not_say_where_to_look(km: Command) -> None:
    out = km("import", "-", "--to", "local", "-v", stdin=HEADER.encode()).ended(0).out
    assert "what Kissmetrics would keep" in out
    assert "look at it" not in out


def test_there_is_nothing_to_show(km: Command, tmp_path: Path) -> None:
    result = km("show").ended(2)
    assert "there is no ledger yet" in result.err
    assert "next: --to local looks at the local store" in result.err
    own = f"local:{tmp_path / 'x.db'}"
    assert f"km-cli import FILE --to {own}" in km("show", "--to", own).ended(2).err
    assert "next: import a log into it first" in km("show", "--to", "local").ended(2).err
    km("import", "-", "--to", "local", stdin=HEADER.encode()).ended(0)
    assert "has received nothing yet" in km("show", "--to", "local").ended(2).err
    assert "show has several IDs" in km("show", "ada", "bo").ended(2).err
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE notes (text)")
    other.chmod(0o600)
    before = other.read_bytes()
    km("show", "--to", f"local:{other}").ended(73)
    assert other.read_bytes() == before


# Runs


def test_a_run_shows_its_calls_by_site_persona_event_and_day(filled: Command, tmp_path: Path) -> None:
    """LAST is the last one; an earlier one has a number."""
    more = tmp_path / "more.csv"
    more.write_text(HEADER + "2024-03-03T09:00:00Z,ada,Acme,Paid,pro\n")
    filled("import", more, "--to", "local").ended(0)
    last = filled("show", "--to", "local", "--run", "LAST").ended(0).out.splitlines()
    assert last[0].startswith("run 2: import, ")
    assert last[0].endswith(" UTC with exit code 0")
    assert last[1:] == [
        "rows: read 1, sent 1",
        "calls: planned 2, acknowledged 2",
        "",
        "calls to local",
        "  account, site main",
        "    Paid  2024-03-03  1",
        "  user, site main",
        "    Paid  2024-03-03  1",
    ]
    first = filled("show", "--to", "local", "--run", "1", "--json").ended(0).summary
    assert (first["run"]["number"], first["run"]["exit"], first["run"]["rows"]["sent"]) == (1, 0, 4)
    invited = {"to": "local", "site": "main", "persona": "account", "event": "Invited", "day": "2024-03-01"}
    assert {**invited, "calls": 2} in first["sent"]
    assert sum(one["calls"] for one in first["sent"]) == first["run"]["calls"]["acknowledged"] == 7


@pytest.mark.parametrize("asked", ["3", "0", "-1", "first", "9" * 30, "²"])
def test_a_run_that_is_not_there(filled: Command, asked: str) -> None:
    result = filled("show", "--to", "local", f"--run={asked}").ended(2)
    assert "there is no such run" in result.err
    assert "the latest: 1 (import, " in result.err


# Who and when


def calls_of(km: Command, run: str, *files: Path) -> list[tuple[str, str, str, int, list[int]]]:
    """Return persona, identity, event, line and runs of each call that a run is said to have sent."""
    out = km("show", "--to", "local", "--run", run, *files, "--json").ended(0).out
    found = map(json.loads, out.splitlines())
    return [(one["persona"], one["identity"], one["event"], one["line"], one["runs"]) for one in found]


def test_a_log_that_is_given_again_has_who_did_what_when(filled: Command, log: Path) -> None:
    """With the second that was sent."""
    result = filled("show", "--to", "local", "--run", "LAST", log).ended(0)
    out = result.out.splitlines()
    assert (len(out), result.err) == (7, "")
    assert out[5] == f"2024-03-01 09:05:01  account Acme  Invited  (site main; {log}, line 4)"


def test_columns_and_names_are_those_of_the_import(km: Command, tmp_path: Path) -> None:
    """As the ledger has them: neither flags nor km.toml are needed again."""
    config, path = tmp_path / "km.toml", tmp_path / "log.csv"
    config.write_text(
        '[columns]\nevent = "did"\ntimestamp = "at"\ntimezone = "Europe/Berlin"\n'
        '[[personas]]\nname = "user"\ncolumn = "who"\n'
        '[[personas]]\nname = "team"\ncolumn = "group"\nprefix = "t "\nrename = "Team {event}"\n'
    )
    path.write_text("at,who,group,did\n2024-03-01 09:00:00,ada,7,Paid\n2024-03-01 09:00:00,guest,7,Paid\n")
    km("import", path, "--to", "local", "--config", config).ended(65)
    moved = path.rename(tmp_path / "renamed.csv")
    assert calls_of(km, "LAST", moved) == [
        ("user", "ada", "Paid", 2, [1]),
        ("team", "t 7", "Team Paid", 2, [1]),
    ]


def test_calls_that_another_run_may_have_sent_say_so(km: Command, tmp_path: Path) -> None:
    """The ledger counts calls by site, persona, event and day: that is certain only if one run has them."""
    path = tmp_path / "log.csv"
    rows = ["09:00:00Z,ada,,In,", "09:01:00Z,bo,,In,", "09:02:00Z,cy,,Out,"]
    path.write_text(HEADER + "".join(f"2024-03-01T{row}\n" for row in rows))
    for _ in range(2):
        km("import", path, "--to", "local", "--limit", "1").ended(0)
    km("import", path, "--to", "local").ended(0)
    both = [("user", "ada", "In", 2, [1, 2]), ("user", "bo", "In", 3, [1, 2])]
    assert calls_of(km, "1", path) == calls_of(km, "2", path) == both
    assert calls_of(km, "3", path) == [("user", "cy", "Out", 4, [3])]
    result = km("show", "--to", "local", "--run", "1", path).ended(0)
    assert "; run 1 or 2)" in result.out
    assert "run 1 has sent 1 call, 1 with an event; the list has 2" in result.err


def test_an_event_of_two_logs_is_listed_once(filled: Command, log: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.csv"
    again.write_text(HEADER + "2024-03-03T09:00:00Z,ada,Acme,Paid,pro\n" + LOG)
    filled("import", again, "--to", "local").ended(0)
    assert len(calls_of(filled, "1", log, again)) == len(calls_of(filled, "1", again)) == 7
    assert [line for *_, line, _ in calls_of(filled, "2", log, again)] == [2, 2]


def test_a_log_that_was_never_imported_is_an_error(filled: Command, log: Path) -> None:
    log.write_text(log.read_text().replace("Acme", "Beta"))
    result = filled("show", "--to", "local", "--run", "LAST", log).ended(2)
    assert "the ledger knows no import of this file as it is" in result.err


def test_a_log_of_which_nothing_was_sent_is_known(filled: Command, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text(HEADER + "2024-03-01T09:00:00Z,guest,Acme,In,\n")
    filled("import", bad, "--to", "local").ended(65)
    result = filled("show", "--to", "local", "--run", "LAST", bad).ended(0)
    assert (result.out, "has sent no calls" in result.err) == ("", True)


def test_a_file_that_is_not_there(filled: Command, log: Path) -> None:
    result = filled("show", "--to", "local", "--run", "LAST", log.with_name("lok.csv")).ended(2)
    assert "lok.csv: there is no such file" in result.err
    assert f"next: did you mean {log}?" in result.err


def test_a_run_that_has_sent_nothing_names_the_last_one_that_has(filled: Command, log: Path) -> None:
    """As after a nightly backfill that found nothing new."""
    assert filled("show", "--to", "local", "--run", "LAST").ended(0).err == ""
    filled("import", log, "--to", "local").ended(0)
    for words in ((), (log,)):
        err = filled("show", "--to", "local", "--run", "LAST", *words).ended(0).err
        assert "run 2 has sent no calls to local" in err
        assert "next: --run 1 is the last run that has sent some" in err


# On a terminal


@pytest.mark.slow
@pytest.mark.parametrize(("lines", "is_paged"), [(7, True), (8, False)])
def test_a_timeline_longer_than_the_window_goes_through_the_pager(
    filled: Command, tmp_path: Path, lines: int, is_paged: bool
) -> None:
    """What the pager gets is escaped, and whole. A timeline of seven lines leaves one for the prompt."""
    pager = tmp_path / "pager"
    pager.write_text("#!/bin/sh\nsed 's/^/> /'\n")
    pager.chmod(0o755)
    environment = {"PAGER": str(pager), "TERM": "xterm"}
    words = ("show", "Acme", "--to", "local")
    terminal = Terminal(filled, *words, columns=80, lines=lines, environment=environment)
    assert terminal.ended() == 0
    before = "> " if is_paged else ""
    assert [line for line in terminal.shown.splitlines() if line != "> "] == [
        before + line
        for line in (
            "Acme  (account, site main)",
            "2024-03-01 09:00:00  Signed Up",
            "                       plan: pro",
            "2024-03-01 09:05:00  Invited",
            "                       plan: pro",
            "2024-03-01 09:05:01  Invited",
            "                       plan: pro",
        )
    ]


@pytest.mark.slow
def test_json_never_goes_through_the_pager(filled: Command) -> None:
    environment = {"PAGER": "false", "TERM": "xterm"}
    words = ("show", "--to", "local", "--json")
    terminal = Terminal(filled, *words, columns=80, environment=environment)
    assert terminal.ended() == 0
    assert json.loads(terminal.shown)["to"] == "local"
