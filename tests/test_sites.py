"""Several sites: each call under its own key, a row sent when all its parts are, nothing lost in between."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.command import KEY, Command
from tests.support.patience import PATIENCE
from tests.support.people import ACCOUNT_KEY, SITES, arrived, configure, sentences, write
from tests.support.tracker import BAD, OK, UNAVAILABLE, Behave, Reaction, Tracker

USER_CALLS = [f"u{number} did Clicked" for number in range(3)]
ACCOUNT_CALLS = [f"a{number} did Clicked @accounts" for number in range(3)]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Three users of three accounts."""
    return write(tmp_path / "log.csv", *(f"u{number},a{number},Clicked,@0" for number in range(3)))


def only(key: str, reaction: Reaction) -> Behave:
    """The site with this key reacts so, the other takes everything."""
    return lambda hit, _number: reaction if hit.params["_k"] == key else OK


def left(command: Command) -> tuple[int, int]:
    """How many calls, and records of them, are in the outbox: one for each row and site."""
    with closing(sqlite3.connect(command.state / "ledger.db")) as ledger:
        return ledger.execute("SELECT coalesce(sum(pending), 0), count(*) FROM outbox").fetchone()


# Keys


def test_each_call_goes_under_its_own_sites_key(importer: Command, tracker: Tracker, log: Path) -> None:
    configure(importer, SITES)
    importer("import", log, "--strategy", "sites").ended(0)
    assert arrived(tracker) == sorted(USER_CALLS + ACCOUNT_CALLS)
    assert {hit.params["_k"] for hit in tracker.hits} == {KEY, ACCOUNT_KEY}


@pytest.mark.parametrize("variable", ["KM_API_KEY", "KM_ACCOUNT_API_KEY"])
def test_a_missing_key_is_named_before_anything_else(
    importer: Command, tracker: Tracker, tmp_path: Path, variable: str
) -> None:
    importer.environment |= {"KM_ACCOUNT_API_KEY": ACCOUNT_KEY, variable: ""}
    bad = write(tmp_path / "log.csv", "u,a,Clicked,@0", header="who,of,what,when")
    result = importer("import", bad, "--strategy", "sites").ended(2)
    assert result.err.startswith(f"km-cli: {variable} is not set")
    assert tracker.seen == []
    assert not (importer.state / "ledger.db").exists()


def test_dry_run_needs_no_key(km: Command, log: Path) -> None:
    km.environment |= {"KM_API_KEY": "", "KM_ACCOUNT_API_KEY": ""}
    assert km("dry-run", log, "--strategy", "sites", "--json").ended(0).summary["calls"]["planned"] == 6


def keyed(command: Command) -> Path:
    """Have the accounts' key in a file beside km.toml; return where."""
    folder = configure(
        command,
        '[sites.main]\nkey_env = "KM_API_KEY"\n[sites.accounts]\nkey_file = "secret/key"\n',
        command.home / "config",
    ).parent
    (folder / "secret").mkdir()
    return folder / "secret" / "key"


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_key_file_lies_beside_km_toml(importer: Command, tracker: Tracker, log: Path, mode: int) -> None:
    """Everyone can read it: that is said, and no reason to stop."""
    path = keyed(importer)
    path.write_text(f"{ACCOUNT_KEY}\n")
    path.chmod(mode)
    result = importer("import", log, "--strategy", "sites").ended(0)
    assert arrived(tracker) == sorted(USER_CALLS + ACCOUNT_CALLS)
    assert ("everyone on this machine can read" in result.err) is (mode == 0o644)
    assert ACCOUNT_KEY not in result.err + result.out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file"),
        (b" \n", "is empty"),
        (b"two words", "does not hold an API key"),
        (b"\xff\xfe", "is not text"),
    ],
)
def test_a_key_file_without_a_key(
    importer: Command, tracker: Tracker, log: Path, content: bytes | None, said: str
) -> None:
    path = keyed(importer)
    if content is not None:
        path.write_bytes(content)
    result = importer("import", log, "--strategy", "sites").ended(2)
    assert said in result.err
    assert str(path) in result.err
    assert tracker.seen == []


@pytest.mark.parametrize("apart", [False, True])
def test_one_key_under_two_names_is_refused(
    importer: Command, tracker: Tracker, log: Path, apart: bool
) -> None:
    """Whether both are new or one is known to the ledger."""
    importer.environment["KM_ACCOUNT_API_KEY"] = KEY
    if apart:
        importer("import", log).ended(0)
        tracker.forget()
    result = importer("import", log, "--strategy", "sites").ended(2)
    assert "'accounts' is that of the site 'main'" in result.err
    assert tracker.seen == []


def test_a_site_keeps_its_key_whichever_is_named(importer: Command, tracker: Tracker, log: Path) -> None:
    """The usual variables belong to the first and the second site of km.toml, not to the one asked for."""
    configure(importer, "[sites.main]\n[sites.accounts]\n")
    importer("import", log, "--site", "accounts").ended(0)
    assert {hit.params["_k"] for hit in tracker.hits} == {ACCOUNT_KEY}


def test_a_test_site_has_the_usual_key(importer: Command, tracker: Tracker, log: Path) -> None:
    configure(importer, SITES)
    importer("import", log, "--site", "test").ended(0)
    assert {hit.params["_k"] for hit in tracker.hits} == {KEY}


@pytest.mark.parametrize("sites", [SITES, '[sites.main]\nkey_env = "KM_API_KEY"\n', ""])
def test_a_trial_has_a_site_of_its_own_for_accounts_too(
    importer: Command, tracker: Tracker, log: Path, tmp_path: Path, sites: str
) -> None:
    """With the key of the real one it is refused."""
    configure(importer, sites)
    store = f"local:{tmp_path / 'store.db'}"
    out = importer("dry-run", log, "--strategy", "sites", "--site", "test", "--to", store).ended(0).out
    assert "site test-accounts" in out
    importer("import", log, "--strategy", "sites").ended(0)
    tracker.forget()
    importer.environment["KM_API_KEY"] = KEY[::-1]
    result = importer("import", log, "--strategy", "sites", "--site", "test").ended(2)
    assert "'test-accounts' is that of the site 'accounts'" in result.err
    assert tracker.seen == []


@pytest.mark.parametrize(("site", "code"), [("test", 2), ("main", 0), ("accounts", 0)])
def test_a_trial_is_refused_if_a_persona_stays_elsewhere(
    importer: Command, tracker: Tracker, log: Path, site: str, code: int
) -> None:
    configure(
        importer,
        f'{SITES}[[personas]]\nname = "user"\n[[personas]]\nname = "account"\nsite = "accounts"\n',
    )
    result = importer("import", log, "--site", site).ended(code)
    if code:
        assert "--site test would still record 'account' in the site 'accounts'" in result.err
        assert "--config" in result.err
        assert tracker.seen == []


def test_a_site_in_which_nothing_is_recorded_needs_no_key(
    importer: Command, tracker: Tracker, log: Path
) -> None:
    configure(
        importer,
        f'{SITES}[[personas]]\nname = "user"\nlink = {{ Account = "account" }}\n'
        '[[personas]]\nname = "account"\nevents = []\nsite = "accounts"\n',
    )
    importer.environment["KM_ACCOUNT_API_KEY"] = ""
    importer("import", log).ended(0)
    assert arrived(tracker) == [f"u{number} did Clicked, Account a{number}" for number in range(3)]


# A row under two sites


def test_a_row_is_sent_when_both_parts_are(importer: Command, tracker: Tracker, log: Path) -> None:
    configure(importer, SITES)
    tracker.behave = only(ACCOUNT_KEY, UNAVAILABLE)
    first = importer("import", log, "--strategy", "sites", "--attempts", "1", "--json").ended(75).summary
    assert first["rows"] == {"read": 3, "sent": 0, "skipped": 0, "rejected": 0, "held": 0, "pending": 3}
    assert (first["calls"]["acknowledged"], first["calls"]["pending"]) == (3, 3)
    tracker.behave = None
    second = importer("import", log, "--strategy", "sites", "--json").ended(0).summary
    assert (second["calls"]["resumed"], second["calls"]["acknowledged"]) == (3, 3)
    assert arrived(tracker) == sorted(USER_CALLS + ACCOUNT_CALLS)
    assert left(importer) == (0, 0)


def test_what_one_site_refuses_is_owed_to_it_alone(importer: Command, tracker: Tracker, log: Path) -> None:
    configure(importer, SITES)
    tracker.behave = only(ACCOUNT_KEY, BAD)
    result = importer("import", log, "--strategy", "sites", "--json", "--concurrency", "1").ended(65)
    assert result.summary["rows"]["rejected"] == 3
    assert [(one["code"], one["owed"]) for one in importer.rejects()] == [("refused", ["account"])] * 3
    assert left(importer) == (0, 0)
    tracker.behave = None
    tracker.forget()
    rejects = next(importer.state.glob("rejects-*"))
    importer("import", rejects, "--strategy", "sites").ended(0)
    assert arrived(tracker) == ACCOUNT_CALLS
    importer("import", rejects, "--strategy", "sites").ended(0)
    importer("import", log, "--strategy", "sites").ended(0)
    assert len(tracker.seen) == 3


def test_a_corrected_reject_is_sent_as_corrected_and_to_that_site_alone(
    importer: Command, tracker: Tracker, log: Path, tmp_path: Path
) -> None:
    configure(importer, SITES)
    tracker.behave = only(ACCOUNT_KEY, BAD)
    importer("import", log, "--strategy", "sites", "--concurrency", "1").ended(65)
    tracker.behave = None
    tracker.forget()
    corrected = tmp_path / "corrected.jsonl"
    first, *_ = importer.rejects()
    corrected.write_text(json.dumps({**first, "raw": first["raw"].replace(",a", ",b")}) + "\n")
    importer("import", corrected, "--strategy", "sites").ended(0)
    assert arrived(tracker) == ["b0 did Clicked @accounts"]


@pytest.mark.parametrize("how", ["pending", "interrupted"])
def test_sites_are_drained_apart(importer: Command, tracker: Tracker, log: Path, how: str) -> None:
    """Two sites leave something, a run with one of them sends its own, the next with both the rest."""
    configure(importer, SITES)
    more = ("--attempts", "1", "--concurrency", "1")
    if how == "pending":
        tracker.behave = lambda _hit, _number: UNAVAILABLE
        importer("import", log, "--strategy", "sites", *more)
    else:
        running: Future[subprocess.Popen[str]] = Future()
        tracker.behave = lambda _hit, _number: running.result().kill() or UNAVAILABLE
        running.set_result(process := importer.start("import", log, "--strategy", "sites", *more))
        process.communicate(timeout=PATIENCE)
    assert left(importer) == (6, 6)
    tracker.behave = None
    tracker.forget()
    nothing = write(log.with_name("nothing.csv"))
    result = importer("import", nothing, "--strategy", "toggle", "--site", "main").ended(0)
    assert "3 calls to the site 'accounts' still pending" in result.err
    assert "run the command that planned them again" in result.err
    assert "--site" not in result.err
    assert arrived(tracker) == USER_CALLS
    assert left(importer) == (3, 3)
    importer("import", nothing, "--strategy", "sites").ended(0)
    assert arrived(tracker) == sorted(USER_CALLS + ACCOUNT_CALLS)
    assert len(tracker.seen) == 6
    assert left(importer) == (0, 0)


def test_a_site_that_is_refused_leaves_what_the_other_owes(
    importer: Command, tracker: Tracker, log: Path
) -> None:
    """Drained apart, one part of a row refused: the reject owes that part, the rest is pending."""
    configure(importer, SITES)
    tracker.behave = lambda _hit, _number: UNAVAILABLE
    importer("import", log, "--strategy", "sites", "--attempts", "1")
    tracker.behave = lambda _hit, _number: BAD
    nothing = write(log.with_name("nothing.csv"))
    importer("import", nothing, "--site", "main").ended(65)
    assert [one["owed"] for one in importer.rejects()] == [["user"]] * 3
    assert left(importer) == (3, 3)
    tracker.behave = None
    importer("import", next(importer.state.glob("rejects-*")), "--strategy", "sites").ended(0)
    assert arrived(tracker) == sorted(USER_CALLS + ACCOUNT_CALLS)
    assert left(importer) == (0, 0)


def test_local_keeps_sites_apart(km: Command, log: Path, tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    km("import", log, "--strategy", "sites", "--to", f"local:{store}").ended(0)
    with closing(sqlite3.connect(store)) as database:
        query = "SELECT key, identity FROM kept_people p JOIN kept_products t ON t.id = p.product"
        assert set(database.execute(query)) == {
            *(("main", f"u{number}") for number in range(3)),
            *(("accounts", f"a{number}") for number in range(3)),
        }


# Strategies


def test_integers_for_both_stay_apart_by_site(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """Logs from databases count both from 1: one person in one site, and rejected there."""
    rows = [f"{number % 3 + 1},{number % 2 + 1},Clicked,@{number}" for number in range(6)]
    log = write(tmp_path / "log.csv", *rows)
    configure(importer, SITES)
    importer("import", log, "--strategy", "sites").ended(0)
    users = [f"{number % 3 + 1} did Clicked" for number in range(6)]
    assert sorted(sentences(tracker.hits)) == sorted(
        users + [f"{number % 2 + 1} did Clicked @accounts" for number in range(6)]
    )


def test_integers_for_both_are_refused_in_one_site(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    log = write(tmp_path / "log.csv", "1,1,Clicked,@0", "1,2,Clicked,@1", "2,3,Clicked,@2")
    importer("import", log).ended(65)
    assert [(one["line"], one["code"]) for one in importer.rejects()] == [(2, "I2"), (4, "I2")]
    assert arrived(tracker) == ["1 did Clicked", "2 did Clicked"]


def test_property_records_people_with_their_account(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """Whatever the ids: no user has an account's identity here."""
    log = write(
        tmp_path / "log.csv", "1,1,Clicked,@0,pro", "2,1,Clicked,@0", "3,,Clicked,@0", ",1,Clicked,@0"
    )
    importer("import", log, "--strategy", "property").ended(65)
    assert arrived(tracker) == [
        "1 did Clicked, plan pro, Account 1",
        "2 did Clicked, Account 1",
        "3 did Clicked",
    ]
    assert [(one["line"], one["reason"]) for one in importer.rejects()] == [(5, "it names no user")]


def test_property_needs_no_account_column(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    log = write(tmp_path / "log.csv", "1,Clicked,@0", header="user,event,timestamp")
    importer("import", log, "--strategy", "property").ended(0)
    assert arrived(tracker) == ["1 did Clicked"]


def test_property_beside_a_column_of_that_name(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """Two would be one property (D4): refused before anything is sent."""
    log = write(tmp_path / "log.csv", "1,2,Clicked,@0,x", header="user,company,event,timestamp,ACCOUNT")
    result = importer("import", log, "--strategy", "property", "--account", "company").ended(2)
    assert "--exclude-property ACCOUNT" in result.err
    assert tracker.seen == []
    importer(
        "import", log, "--strategy", "property", "--account", "company", "--exclude-property", "ACCOUNT"
    ).ended(0)
    assert arrived(tracker) == ["1 did Clicked, Account 2"]


def test_from_one_strategy_to_another_sends_what_is_new(
    importer: Command, tracker: Tracker, log: Path
) -> None:
    """Users are known, their accounts are new to the second site."""
    importer.environment["KM_ACCOUNT_API_KEY"] = ACCOUNT_KEY
    importer("import", log, "--strategy", "property").ended(0)
    tracker.forget()
    importer("import", log, "--strategy", "sites").ended(0)
    assert arrived(tracker) == ACCOUNT_CALLS
