"""Aliases: asked for, never between people who are not one (I2), never before their data (I3)."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.command import Command, Result, wait_until_it_finishes
from tests.support.patience import PATIENCE
from tests.support.people import SITES, arrived, configure, sentences, write
from tests.support.tracker import BAD, OK, UNAVAILABLE, Behave, Hit, Reaction, Tracker, held

HEADER = "user,account,event,timestamp,plan,was,once"
PEOPLE = """
[[personas]]
name = "user"
alias = "was"
[[personas]]
name = "account"
properties = []
"""
ALIASED = "ada,Acme,Clicked,@0,,anon"
ADA = ["Acme did Clicked", "ada did Clicked", "ada is anon"]


@pytest.fixture
def people(importer: Command) -> Command:
    """The command, with users that have aliases beside accounts that have none."""
    configure(importer, PEOPLE)
    return importer


def run(
    command: Command, folder: Path, *rows: str, name: str = "log.csv", more: tuple[str, ...] = ()
) -> Result:
    """Import these rows, aliases allowed."""
    return command("import", write(folder / name, *rows, header=HEADER), "--allow-alias", *more)


def codes(command: Command) -> list[tuple[int, str, list[str] | None]]:
    """Line, code and what is owed of each reject."""
    return [(one["line"], one["code"], one.get("owed")) for one in command.rejects()]


def reject_file(command: Command) -> Path:
    return max(command.state.glob("rejects-*"), key=lambda path: path.stat().st_mtime_ns)


def refuses(*persons: str, reaction: Reaction = BAD) -> Behave:
    """Calls of these persons meet this, others are taken."""
    return lambda hit, _number: reaction if hit.params["_p"] in persons and hit.path != "/a" else OK


# On the wire


def test_an_alias_is_asked_for(people: Command, tracker: Tracker, tmp_path: Path) -> None:
    log = write(tmp_path / "log.csv", ALIASED, header=HEADER)
    for command in ("import", "dry-run"):
        assert "--allow-alias" in people(command, log).ended(2).err
    assert tracker.seen == []


def test_an_alias_names_both(people: Command, tracker: Tracker, tmp_path: Path) -> None:
    run(people, tmp_path, ALIASED).ended(0)
    assert arrived(tracker) == ADA
    (alias,) = (hit for hit in tracker.hits if hit.path == "/a")
    assert {key: alias.params[key] for key in alias.params if key != "_k"} == {"_p": "ada", "_n": "anon"}


def test_aliases_come_after_all_else(people: Command, tracker: Tracker, tmp_path: Path) -> None:
    rows = [f"u{number},Acme,Event {number},@{number},,anon{number}" for number in range(40)]
    tracker.behave = lambda _hit, number: Reaction(delay=0.02 * (number % 3))
    run(people, tmp_path, *rows, more=("--batch-size", "3")).ended(0)
    assert [hit.path for hit in tracker.seen] == ["/e"] * 80 + ["/a"] * 40


@pytest.mark.parametrize("other", ["", "ada", " ada ", "guest"])
def test_no_other_identity_no_alias(people: Command, tracker: Tracker, tmp_path: Path, other: str) -> None:
    """Blank, the identity itself, or a placeholder (I1), which is rejected."""
    run(people, tmp_path, f"ada,,Clicked,@0,,{other}").ended(65 if other == "guest" else 0)
    assert arrived(tracker) == ([] if other == "guest" else ["ada did Clicked"])


@pytest.mark.parametrize("apart", [False, True])
def test_an_alias_is_sent_once(people: Command, tracker: Tracker, tmp_path: Path, apart: bool) -> None:
    """Whatever says it again, and whichever way round: its order does not matter (I2)."""
    rows = [ALIASED, "ada,Acme,Left,@1,,anon", "anon,Acme,Left,@2,,ada"]
    if apart:
        for number, row in enumerate(rows):
            run(people, tmp_path, row, name=f"{number}.csv").ended(0)
    run(people, tmp_path, *rows).ended(0)
    assert [call for call in sentences(tracker.seen) if " is " in call] == ["ada is anon"]
    assert len(tracker.seen) == 7


def test_an_alias_column_added_later_sends_aliases_only(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    log = write(tmp_path / "log.csv", ALIASED, "bob,Acme,Clicked,@1", header=HEADER)
    importer("import", log).ended(0)
    tracker.forget()
    configure(importer, PEOPLE)
    importer("import", log, "--allow-alias").ended(0)
    assert arrived(tracker) == ["ada is anon"]


def test_an_alias_beside_a_prefix_and_a_site(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """It goes to the site of its persona, under that persona's identity."""
    account = '[[personas]]\nname = "account"\nsite = "accounts"\nprefix = "acct "\nalias = "once"\n'
    configure(importer, f'{SITES}\n[[personas]]\nname = "user"\n{account}')
    run(importer, tmp_path, "ada,Acme,Clicked,@0,,,Acme Ltd").ended(0)
    assert "acct Acme is Acme Ltd @accounts" in arrived(tracker)


# Who is never made one (I2)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize(
    ("rows", "line", "alias"),
    [
        pytest.param(["ada,,In,@0,,x", "bob,,In,@1,,x"], 3, "ada is x", id="two users, one alias"),
        pytest.param(["ada,,In,@0,,x", "x,,In,@1,,y"], 3, "ada is x", id="an alias of an alias"),
        pytest.param(["ada,,In,@0,,x", "bob,,In,@1,,ada"], 3, "ada is x", id="of one that has aliases"),
        pytest.param(["x,Acme,In,@0,,", "ada,,In,@1,,Acme"], 3, "", id="of an account"),
        pytest.param(
            ['ada,,In,@0,,"x,y"', "ada,,In,@1,,x:y"], 3, "ada is x,y", id="two that fold to one (D4)"
        ),
    ],
)
def test_chains_are_refused(
    people: Command,
    tracker: Tracker,
    tmp_path: Path,
    rows: list[str],
    line: int,
    alias: str,
    apart: bool,
) -> None:
    """In one log, and when the ledger alone knows of the first. What was done stays done."""
    quoted = [row.replace('"x,y"', "x;y") for row in rows]
    texts = [write(tmp_path / f"{at}.csv", row, header=HEADER) for at, row in enumerate(quoted)]
    for path in texts:
        path.write_text(path.read_text().replace("x;y", '"x,y"'))
    if not apart:
        header, *_ = texts[0].read_text().splitlines()
        body = [path.read_text().splitlines()[1] for path in texts]
        (tmp_path / "log.csv").write_text("\n".join([header, *body, ""]))
        texts = [tmp_path / "log.csv"]
    for path in texts[:-1]:
        people("import", path, "--allow-alias").ended(0)
    people("import", texts[-1], "--allow-alias").ended(65)
    assert [one for one in sentences(tracker.seen) if " is " in one] == ([alias] if alias else [])
    ((where, code, owed),) = codes(people)
    assert (where, owed) == (2 if apart else line, ["user.alias"])
    assert code in ("I2", "D4-ids")


@pytest.mark.parametrize("event", ["Clicked", "Upgraded"])
def test_a_row_whose_alias_is_its_account_is_refused(
    importer: Command, tracker: Tracker, tmp_path: Path, event: str
) -> None:
    """Even if the account may not do this event: another time it will."""
    configure(importer, f'{PEOPLE}events = ["Upgraded"]\n')
    run(importer, tmp_path, f"ada,Acme,{event},@0,,Acme").ended(65)
    assert not [one for one in sentences(tracker.seen) if " is " in one]
    assert [code for _, code, _ in codes(importer)] == ["I2"]


def test_an_account_that_was_an_alias_is_refused(people: Command, tracker: Tracker, tmp_path: Path) -> None:
    run(people, tmp_path, "ada,,Clicked,@0,,Acme", "bob,Acme,Clicked,@1").ended(65)
    assert arrived(tracker) == ["ada did Clicked", "ada is Acme"]
    assert [code for _, code, _ in codes(people)] == ["I2"]


def test_one_person_may_have_several(people: Command, tracker: Tracker, tmp_path: Path) -> None:
    run(people, tmp_path, "ada,,In,@0,,x", "ada,,In,@1,,y", "x,,In,@2", "y,,In,@3").ended(0)
    assert [one for one in arrived(tracker) if " is " in one] == ["ada is x", "ada is y"]


def test_two_personas_may_each_have_theirs(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """One that both would be is refused."""
    configure(importer, f'{PEOPLE}alias = "once"\n')
    run(importer, tmp_path, "ada,Acme,In,@0,,x,y", "bob,Beta,In,@1,,z,z").ended(65)
    aliases = [one for one in arrived(tracker) if " is " in one]
    assert aliases[:2] == ["Acme is y", "ada is x"]
    assert len(aliases) < 4
    assert [code for _, code, _ in codes(importer)] == ["I2"]


def test_a_rejected_row_merges_no_people(people: Command, tracker: Tracker, tmp_path: Path) -> None:
    """Its id was another event's: then whose alias it is, is doubtful too; corrected it is sent."""
    more = ("--id", "plan")
    run(people, tmp_path, "ada,,Clicked,@0,7", "bob,,Clicked,@0,7,anon", more=more).ended(65)
    assert arrived(tracker) == ["ada did Clicked"]
    rejects = reject_file(people)
    rejects.write_text(rejects.read_text().replace(",7,anon", ",8,anon"))
    people("import", rejects, "--allow-alias").ended(0)
    assert arrived(tracker) == ["ada did Clicked", "bob did Clicked", "bob is anon"]


# What waits (I3)


@pytest.mark.parametrize("waiting", ["ada", "anon"])
def test_an_alias_waits_for_what_either_has(
    people: Command, tracker: Tracker, tmp_path: Path, waiting: str
) -> None:
    rows = (ALIASED, "anon,,Looked,@1", "bob,,Clicked,@2,,nob")
    tracker.behave = refuses(waiting, reaction=UNAVAILABLE)
    more = ("--attempts", "1", "--json")
    first = run(people, tmp_path, *rows, more=more).ended(75).summary
    assert "bob is nob" in arrived(tracker), "others do not wait"
    assert "ada is anon" not in arrived(tracker)
    assert first["calls"]["pending"] == 2
    assert first["rows"]["pending"] == (1 if waiting == "ada" else 2)
    tracker.behave = None
    tracker.forget()
    second = run(people, tmp_path, *rows, more=("--json",)).ended(0).summary
    assert sentences(tracker.seen)[-1] == "ada is anon"
    assert len(tracker.seen) == 2
    assert (second["calls"]["resumed"], second["calls"]["acknowledged"]) == (2, 2)


def test_an_alias_that_cannot_be_delivered_is_pending(
    people: Command, tracker: Tracker, tmp_path: Path
) -> None:
    tracker.behave = lambda hit, _: UNAVAILABLE if hit.path == "/a" else OK
    run(people, tmp_path, ALIASED, more=("--attempts", "1")).ended(75)
    tracker.behave = None
    tracker.forget()
    nothing = write(tmp_path / "nothing.csv", header=HEADER)
    people("import", nothing, "--allow-alias").ended(0)
    assert arrived(tracker) == ["ada is anon"]


def test_an_alias_without_its_data_is_not_sent_and_owed(
    people: Command, tracker: Tracker, tmp_path: Path
) -> None:
    tracker.behave = refuses("ada")
    result = run(people, tmp_path, ALIASED, "bob,,Clicked,@1,,nob", more=("--json",)).ended(65)
    assert arrived(tracker) == ["Acme did Clicked", "bob did Clicked", "bob is nob"]
    assert result.summary["calls"] | {"retried": 0} == {
        "planned": 5,
        "acknowledged": 3,
        "pending": 0,
        "rejected": 2,
        "retried": 0,
        "resumed": 0,
    }
    assert codes(people) == [(2, "refused", ["user", "user.alias"])]
    tracker.behave = None
    tracker.forget()
    people("import", reject_file(people), "--allow-alias").ended(0)
    assert sentences(tracker.seen) == ["ada did Clicked", "ada is anon"]


def test_a_refused_alias_is_owed_and_sent_with_the_reject(
    people: Command, tracker: Tracker, tmp_path: Path
) -> None:
    tracker.behave = lambda hit, _: BAD if hit.path == "/a" else OK
    run(people, tmp_path, ALIASED).ended(65)
    assert codes(people) == [(2, "refused", ["user.alias"])]
    tracker.behave = None
    tracker.forget()
    people("import", reject_file(people), "--allow-alias").ended(0)
    assert sentences(tracker.seen) == ["ada is anon"]


def test_a_rejected_alias_binds_no_one(people: Command, tracker: Tracker, tmp_path: Path) -> None:
    tracker.behave = lambda hit, _: BAD if hit.path == "/a" else OK
    run(people, tmp_path, ALIASED).ended(65)
    tracker.behave = None
    run(people, tmp_path, "bob,,Clicked,@1,,anon", name="other.csv").ended(0)
    assert "bob is anon" in arrived(tracker)


def test_data_refused_in_a_later_run_takes_its_alias_along(
    people: Command, tracker: Tracker, tmp_path: Path
) -> None:
    tracker.behave = refuses("ada", reaction=UNAVAILABLE)
    run(people, tmp_path, ALIASED, more=("--attempts", "1")).ended(75)
    tracker.behave = refuses("ada")
    result = run(people, tmp_path, ALIASED, more=("--json",)).ended(65)
    assert result.summary["calls"]["resumed"] == result.summary["calls"]["rejected"] == 2
    assert "ada is anon" not in arrived(tracker)
    assert codes(people) == [(2, "refused", ["user", "user.alias"])]


EVERYTHING = f"""{SITES}
[[personas]]
name = "user"
alias = "was"
[[personas]]
name = "account"
site = "accounts"
set = ["plan"]
alias = "once"
"""


@pytest.mark.parametrize("at", [1, 30, 61, 62, 75, 90])
def test_killed_and_resumed_every_alias_comes_after_its_data(
    importer: Command, tracker: Tracker, tmp_path: Path, at: int
) -> None:
    configure(importer, EVERYTHING)
    rows = [f"u{n},a{n % 2},Event {n},@{n},plan {n % 2},anon{n},once{n % 2}" for n in range(30)]
    log = write(tmp_path / "log.csv", *rows, header=HEADER)
    running: Future[subprocess.Popen[str]] = Future()

    def kill(_hit: Hit, number: int) -> Reaction:
        if number == at:
            running.result().kill()
        return OK

    tracker.behave = kill
    more = ("--allow-alias", "--batch-size", "5", "--concurrency", "4")
    running.set_result(process := importer.start("import", log, *more))
    process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGKILL
    importer("import", log, "--allow-alias").ended(0)
    assert arrived(tracker) == sorted(
        [
            *(f"u{n} did Event {n}" for n in range(30)),
            *(f"a{n % 2} did Event {n} @accounts" for n in range(30)),
            *(f"a{n} has plan plan {n} @accounts" for n in range(2)),
            *(f"u{n} is anon{n}" for n in range(30)),
            *(f"a{n} is once{n} @accounts" for n in range(2)),
        ]
    )
    aliases = [hit.path == "/a" for hit in tracker.seen]
    assert aliases == sorted(aliases), "an alias before its data"
    assert left(importer) == 0


def left(command: Command) -> int:
    """How many records are in the outbox, those of aliases included."""
    with closing(sqlite3.connect(command.state / "ledger.db")) as ledger:
        query = "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM outbox_aliases)"
        return int(ledger.execute(query).fetchone()[0])


def test_sites_are_drained_apart(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """One site's aliases do not wait for the other's data, nor leave without its key."""
    configure(importer, EVERYTHING)
    tracker.behave = lambda _hit, _number: UNAVAILABLE
    row = "ada,Acme,In,@0,pro,anon,Acme Ltd"
    run(importer, tmp_path, row, more=("--attempts", "1")).ended(75)
    tracker.behave = None
    tracker.forget()
    nothing = write(tmp_path / "nothing.csv", header=HEADER)
    importer("import", nothing, "--strategy", "toggle", "--site", "main").ended(0)
    assert sentences(tracker.seen) == ["ada did In", "ada is anon"]
    tracker.forget()
    importer("import", nothing, "--allow-alias").ended(0)
    first, second, last = sentences(tracker.seen)
    assert {first, second} == {"Acme did In @accounts", "Acme has plan pro @accounts"}
    assert last == "Acme is Acme Ltd @accounts"
    assert left(importer) == 0


def interrupted(command: Command, tracker: Tracker, log: Path, behave: Behave) -> Result:
    """Import, and interrupt it when the second request arrives. Then calls that are held are answered."""
    running: Future[subprocess.Popen[str]] = Future()

    def interrupt(hit: Hit, number: int) -> Reaction:
        if number == 1:
            running.result().send_signal(signal.SIGINT)
        return behave(hit, number)

    tracker.behave = interrupt
    process = command.start("import", log, "--allow-alias", "--concurrency", "2", "--json")
    running.set_result(process)
    wait_until_it_finishes(process)
    tracker.answer_all()
    out, err = process.communicate(timeout=PATIENCE)
    return Result(process.returncode, out, err).ended(130)


def test_interrupted_an_alias_stays_for_the_next_run(
    people: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """What was planned counts as pending, and is sent later."""
    log = write(tmp_path / "log.csv", ALIASED, header=HEADER)
    summary = interrupted(people, tracker, log, lambda _hit, _number: held()).summary
    assert (summary["calls"]["pending"], summary["rows"]["pending"]) == (1, 1)
    tracker.behave = None
    people("import", log, "--allow-alias").ended(0)
    assert arrived(tracker) == ADA


def test_interrupted_what_was_refused_is_counted_once(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """An alias that goes with its refused data, beside one that still waits."""
    configure(importer, f'{PEOPLE}alias = "once"\n')
    log = write(tmp_path / "log.csv", "ada,Acme,Clicked,@0,,anon,Acme Ltd", header=HEADER)
    summary = interrupted(
        importer, tracker, log, lambda hit, _: BAD if hit.params["_p"] == "ada" else held()
    ).summary
    assert [summary["calls"][what] for what in ("planned", "acknowledged", "rejected", "pending")] == [
        4,
        1,
        2,
        1,
    ]
    assert codes(importer) == [(2, "refused", ["user", "user.alias"])]
    tracker.behave = None
    importer("import", log, "--allow-alias").ended(0)
    assert arrived(tracker) == ["Acme did Clicked", "Acme is Acme Ltd"]
