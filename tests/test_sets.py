"""A persona's `set` follows its columns: each change is sent once, in any order of rows, files and runs."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from km_cli.config.people import People
from km_cli.config.sites import Site
from km_cli.model import NANOSECONDS, Overlap, Persona, Properties, RowPlan, Set, Slot
from km_cli.planning import Collisions
from tests.support.command import Command
from tests.support.drawing import examples
from tests.support.people import configure, seconds, sentences, write
from tests.support.running import SentCall, run
from tests.support.tracker import BAD, OK, Tracker
from tests.test_kill import Kills, kill_at_a_request
from tests.test_planner import SECOND, Log, record

TWO = '[[personas]]\nname = "user"\n[[personas]]\nname = "account"\n'
SETS = f'{TWO}set = ["plan"]\n'


@pytest.fixture
def log() -> Log:
    """Readings over plain slots."""
    return Log()


def change(second: float, *properties: tuple[str, str], identity: str = "ada") -> Set:
    """The properties of a row so many seconds after the start."""
    moment = SECOND * NANOSECONDS + int(second * NANOSECONDS)
    return Set("main", "user", identity, identity, moment, properties)


def plan(log: Log, second: float, *values: str, is_new: bool = False) -> RowPlan:
    """Plan a row with these values of the properties p0, p1 and so on, and with an event if it `is_new`."""
    call = change(second, *((f"p{at}", value) for at, value in enumerate(values)))
    event = [record("ada", event=f"line {log.line}", second=int(second))] if is_new else []
    return log.plan(call, *event, line_of_log=str(log.line))


def sent(*plans: RowPlan) -> list[tuple[int, Properties]]:
    """The second and the properties of each planned Set."""
    return [
        (planned.taken - SECOND, call.properties)
        for one in plans
        for planned, call in zip(one.planned, one.calls, strict=True)
        if type(call) is Set
    ]


def values(*plans: RowPlan) -> list[tuple[int, str]]:
    """The second and the value of each planned Set with one property."""
    return [(second, properties[0][1]) for second, properties in sent(*plans)]


def found(*plans: RowPlan) -> list[str]:
    """The codes of all findings."""
    return [finding.code for one in plans for finding in one.findings]


# In order of time


def test_a_value_that_differs_is_sent_at_its_own_time(log: Log) -> None:
    plans = [plan(log, at, value) for at, value in enumerate(["pro", "pro", "max", "max", "pro"])]
    assert values(*plans) == [(0, "pro"), (2, "max"), (4, "pro")]


def test_only_the_properties_that_changed_are_sent(log: Log) -> None:
    plans = [plan(log, 0, "a", "x"), plan(log, 1, "b", "x"), plan(log, 2, "b", "y"), plan(log, 3, "b", "y")]
    assert sent(*plans) == [(0, (("p0", "a"), ("p1", "x"))), (1, (("p0", "b"),)), (2, (("p1", "y"),))]


def test_names_that_kissmetrics_folds_to_one_are_one_property(log: Log) -> None:
    plans = [log.plan(change(at, (name, "pro"))) for at, name in enumerate(["Plan", "plan", "PLAN"])]
    assert len(sent(*plans)) == 1


def test_each_person_has_values_of_its_own(log: Log) -> None:
    plans = [log.plan(change(at, ("plan", "pro"), identity=who)) for at, who in enumerate(["ada", "bo"] * 2)]
    assert len(sent(*plans)) == 2


def test_changes_within_one_second_follow_one_another(log: Log) -> None:
    """The last one of the log is the last one in Kissmetrics, too, and the next change comes behind it."""
    plans = [plan(log, at / 10, value) for at, value in enumerate("abab")] + [plan(log, 2, "c")]
    assert values(*plans) == [(0, "a"), (1, "b"), (2, "a"), (3, "b"), (4, "c")]
    assert found(*plans) == ["D2", "D2", "D2", "D2"]


def test_changes_within_one_moment_follow_one_another(log: Log) -> None:
    """A date stands for a day: its rows have one moment. They come again without a change."""
    rows = ["a", "b", "a", "a"]
    assert values(*(plan(log, 0, value, is_new=True) for value in rows)) == [(0, "a"), (1, "b"), (2, "a")]
    log.begin()
    for line, value in enumerate(rows, 1):
        again = change(0, ("p0", value)), record("ada", event=f"line {line}")
        assert sent(log.plan(*again, line_of_log=str(line))) == []


def test_more_changes_than_seconds() -> None:
    """The last ones are sent with the last second: one of its values survives, and none comes behind it."""
    log = Log(spread=2)
    plans = [plan(log, 0, value, is_new=True) for value in "abcde"]
    assert values(*plans) == [(0, "a"), (1, "b"), (2, "c"), (2, "d"), (2, "e")]
    assert found(*plans).count("D2-lost") == 2


@pytest.mark.parametrize(
    ("collisions", "taken", "code"),
    [(Collisions.KEEP, [0, 0], "D2-lost"), (Collisions.REJECT, [0], "D2-full")],
)
def test_a_second_with_another_value(collisions: Collisions, taken: list[int], code: str) -> None:
    log = Log(collisions=collisions)
    plans = [plan(log, 0, "a"), plan(log, 0.5, "b")]
    assert [second for second, _ in sent(*plans)] == taken
    assert code in found(*plans)
    assert "''" not in "".join(finding.message for one in plans for finding in one.findings)
    owed = [reject.owed for one in plans for reject in one.rejects]
    assert owed == ([("user.set",)] if collisions is Collisions.REJECT else [])


# In another order


def test_an_older_row_is_sent_at_its_time_if_it_overwrites_nothing(log: Log) -> None:
    plans = [plan(log, 0, "a"), plan(log, 9, "c"), plan(log, 5, "b")]
    assert values(*plans) == [(0, "a"), (9, "c"), (5, "b")]


def test_an_older_row_overwrites_no_value_that_a_later_row_has(log: Log) -> None:
    """Kissmetrics would have the older value from then on, as the later row has sent none."""
    plans = [plan(log, 0, "a"), plan(log, 9, "a"), plan(log, 5, "b")]
    assert values(*plans) == [(0, "a")]
    assert found(*plans) == ["older-value"]


def test_a_log_that_begins_with_the_newest_row(log: Log) -> None:
    """Each change is sent once, with the time of its newest row."""
    rows = [(5, "b"), (4, "b"), (3, "a"), (2, "a"), (1, "a")]
    assert values(*(plan(log, *row) for row in rows)) == [(5, "b"), (3, "a")]
    assert sent(*(plan(log, *row) for row in rows)) == []


def test_an_older_row_does_not_move_behind_a_newer_value(log: Log) -> None:
    """Its own second has another value, and so has the next one, which is that of the newer row."""
    plans = [plan(log, 5.0, "a"), plan(log, 6, "c"), plan(log, 5.5, "b")]
    assert values(*plans) == [(5, "a"), (6, "c")]
    assert found(*plans) == ["older-value"]


def test_properties_without_a_common_second_are_sent_apart(log: Log) -> None:
    """One of them has to be behind a moved value, the other one ahead of a later value."""
    for at, value in [(0, "a"), (0.1, "b"), (0.2, "c")]:
        log.plan(change(at, ("p0", value)))
    log.plan(change(2, ("p1", "z")))
    assert sent(plan(log, 1, "d", "y")) == [(3, (("p0", "d"),)), (1, (("p1", "y"),))]


# With the events of the row


def events(log: Log, value: str, note: str = "") -> RowPlan:
    """A row with an event of one moment, and its value as a column of the log."""
    return log.plan(change(5, ("plan", value)), record("ada", second=5), plan=value, note=note)


@pytest.mark.parametrize(
    ("overlap", "taken", "owed"),
    [
        (Overlap.ASK, [5], [("user", "user.set")]),
        (Overlap.REPEATS, [5], []),
        (Overlap.SEPARATE, [5, 6], []),
    ],
)
def test_a_row_that_may_be_a_known_one(
    log: Log, overlap: Overlap, taken: list[int], owed: list[tuple[str, ...]]
) -> None:
    """Its properties are decided on as its event is: owed with it, not sent again, or sent with it."""
    first = events(log, "pro")
    log.begin()
    log.readings.overlaps = overlap
    again = events(log, "max")
    assert [second for second, _ in sent(first, again)] == taken
    assert [reject.owed for reject in again.rejects] == owed


def test_a_column_that_is_followed_later_is_sent_also_for_changed_rows(log: Log) -> None:
    """No value of it was sent, so that none can be changed."""
    log.plan(record("ada", second=5), plan="pro")
    log.begin()
    log.readings.overlaps = Overlap.REPEATS
    assert values(events(log, "max")) == [(5, "max")]


def test_a_refused_value_is_no_longer_known(log: Log) -> None:
    """The rows that had it count for nothing; the value before it is in force again."""
    first, refused, again = plan(log, 0, "a"), plan(log, 1, "b"), plan(log, 2, "b")
    assert values(first, refused, again) == [(0, "a"), (1, "b")]
    forget(log, refused)
    assert values(plan(log, 3, "b"), plan(log, 4, "a")) == [(3, "b"), (4, "a")]
    assert values(plan(log, 1, "b")) == []  # The next value is the same.


def forget(log: Log, refused: RowPlan) -> None:
    """Take a refused call out of the slots, as the ledger does."""
    planned = refused.planned[0]
    (known,) = log.slots.slot(planned.person, planned.second).known
    log.slots.put(planned.person, planned.second, Slot())
    for at in range(0, len(known.pairs), 8):
        key, value = planned.person + known.pairs[at : at + 4], known.pairs[at + 4 : at + 8]
        log.slots.values.forget(key, planned.second, planned.taken, value)
    log.slots.refused += 1


# With properties that rows state


def test_a_value_that_a_row_stated_is_changed_back(log: Log) -> None:
    plan(log, 0, "a")
    assert values(log.plan(change(5, ("p0", "b"))._replace(stated=True))) == [(5, "b")]
    assert values(plan(log, 6, "a"), plan(log, 7, "a")) == [(6, "a")]


def test_a_value_that_is_stated_in_between_is_changed_back_by_the_rows_behind_it(log: Log) -> None:
    plan(log, 0, "a")
    plan(log, 9, "a")
    log.plan(change(5, ("p0", "b"))._replace(stated=True))
    assert values(plan(log, 9, "a"), plan(log, 10, "a"), plan(log, 9, "a")) == [(9, "a")]


def test_a_value_that_was_stated_before_the_column_was_followed() -> None:
    """Profiles are imported first, then a log that begins before them. The value comes back behind them."""
    log = Log(followed=["user"])
    log.plan(change(5, ("p0", "b"))._replace(stated=True))
    assert values(plan(log, 0, "a"), plan(log, 6, "a"), plan(log, 7, "a")) == [(0, "a"), (6, "a")]


# Any rows, in any files and runs


class Line(NamedTuple):
    """A row: its moment in tenths of a second, its account, and its value."""

    moment: int
    who: str
    value: str


WHO = ("Acme", "Beta")
accounts = st.sampled_from(WHO)
some_values = st.sampled_from(["", "a", "b", "c"])
lines = st.builds(Line, st.integers(0, 60), accounts, some_values)
ACCOUNT = (Persona("user", "main"), Persona("account", "main", properties=(), sets=("plan",)))


HEAD = "timestamp,user,account,event,plan\n"


def row_of(number: int, line: Line) -> str:
    """The row of a log, with an event of its own."""
    return f"{SECOND + line.moment // 10}.{line.moment % 10},u,{line.who},In {number},{line.value}\n"


def send(folder: Path, log: Iterable[tuple[int, Line]], ledger: str, **more: int) -> list[SentCall]:
    """Import rows, each with its number, as a file of its own; return what was sent."""
    path = folder / "log.csv"
    path.write_text(HEAD + "".join(row_of(*row) for row in log))
    calls, _ = run([path], folder / ledger, people=People(ACCOUNT, (Site("main", "KM_API_KEY"),)), **more)
    return [one for one in calls if type(one.call) is Set]


def by_hand(log: Iterable[Line]) -> list[Line]:
    """The rows of a log in order of time that change a value."""
    last: dict[str, str] = {}
    changes = []
    for line in log:
        if line.value and last.get(line.who) != line.value:
            changes.append(line)
            last[line.who] = line.value
    return changes


def as_lines(calls: Iterable[SentCall]) -> Counter[Line]:
    """The rows that calls were sent from, by their time, account and value."""
    return Counter(
        Line(
            one.call.moment // (NANOSECONDS // 10) - 10 * SECOND, one.call.identity, one.call.properties[0][1]
        )
        for one in calls
        if type(one.call) is Set
    )


def in_force(calls: Iterable[SentCall]) -> dict[str, str]:
    """The last value of each account in Kissmetrics. No two values of an account have one second (D2)."""
    by_account: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for one in calls:
        assert type(one.call) is Set
        known = by_account[one.call.identity]
        value = one.call.properties[0][1]
        assert known.setdefault(one.planned.taken, value) == value
    return {who: found[max(found)] for who, found in by_account.items()}


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(lines, max_size=12), st.integers(1, 4), st.lists(st.integers(0, 12), max_size=3), st.data())
def test_a_log_in_order_of_time_sends_its_changes(
    rows: list[Line], size: int, cuts: list[int], data: st.DataObject
) -> None:
    """However it is cut into files, runs and batches, and however many files are read again in between."""
    log = list(enumerate(sorted(rows, key=lambda line: line.moment)))
    bounds = sorted({0, len(log), *(min(cut, len(log)) for cut in cuts)})
    files = [log[begin:end] for begin, end in pairwise(bounds)]
    calls: list[SentCall] = []
    with TemporaryDirectory() as folder:
        for at, file in enumerate(files):
            calls += send(
                Path(folder), file, "ledger.db", batch_size=size, batches=data.draw(st.integers(0, 2))
            )
            calls += send(Path(folder), file, "ledger.db", batch_size=size)
            again = data.draw(st.integers(0, at))
            assert (
                send(Path(folder), [row for one in files[again : at + 1] for row in one], "ledger.db") == []
            )
    assert as_lines(calls) == Counter(by_hand(line for _, line in log))
    assert in_force(calls) == in_force_by_hand(line for _, line in log)


def in_force_by_hand(log: Iterable[Line]) -> dict[str, str]:
    """The value of the latest row of each account; of several in one moment, that of the last one read."""
    latest: dict[str, Line] = {}
    for line in log:
        if line.value and (line.who not in latest or line.moment >= latest[line.who].moment):
            latest[line.who] = line
    return {who: line.value for who, line in latest.items()}


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(lines, max_size=12), st.integers(1, 4), st.lists(st.integers(0, 12), max_size=3), st.data())
def test_a_log_in_any_order_ends_on_the_latest_value(
    rows: list[Line], size: int, cuts: list[int], data: st.DataObject
) -> None:
    """Whatever is read again, in whatever order, sends nothing; what is sent is a row's, at its own time."""
    log = list(enumerate(rows))
    bounds = sorted({0, len(log), *(min(cut, len(log)) for cut in cuts)})
    calls: list[SentCall] = []
    with TemporaryDirectory() as folder:
        for begin, end in pairwise(bounds):
            calls += send(Path(folder), log[begin:end], "ledger.db", batch_size=size)
            again = data.draw(st.permutations(log[:end]))
            assert send(Path(folder), again, "ledger.db", batch_size=size) == []
    assert in_force(calls) == in_force_by_hand(rows)
    assert as_lines(calls) <= Counter(rows)


def in_any_order_by_hand(log: Iterable[Line]) -> list[Line]:
    """The rows that send their value, if no two have one moment: by the neighbours that each one finds."""
    seen: defaultdict[str, dict[int, str]] = defaultdict(dict)
    sending = []
    for line in log:
        known = seen[line.who]
        before = known[max(earlier)] if (earlier := [at for at in known if at < line.moment]) else ""
        after = known[min(later)] if (later := [at for at in known if at > line.moment]) else ""
        if not line.value or (before == after != line.value and before):
            continue  # An older row between two that agree.
        known[line.moment] = line.value
        if line.value not in (before, after):
            sending.append(line)
    return sending


@settings(max_examples=examples(60), deadline=None)
@given(st.permutations(range(9)), st.lists(st.tuples(accounts, some_values), min_size=9, max_size=9))
def test_a_log_in_any_order_sends_what_its_neighbours_lack(
    moments: list[int], rest: list[tuple[str, str]]
) -> None:
    """The rows are seconds apart, so that none has to move."""
    rows = [Line(20 * moment, *more) for moment, more in zip(moments, rest, strict=True)]
    with TemporaryDirectory() as folder:
        calls = send(Path(folder), enumerate(rows), "ledger.db", batch_size=2)
    assert as_lines(calls) == Counter(in_any_order_by_hand(rows))
    assert all(one.planned.taken == one.planned.second for one in calls)


# From file to wire


def has(tracker: Tracker) -> list[str]:
    """What was set, in the order of arrival."""
    return [call for call in sentences(tracker.seen) if " has " in call]


@pytest.mark.parametrize("size", ["1", "500"])
def test_changes_are_sent_whatever_the_batches(
    importer: Command, tracker: Tracker, tmp_path: Path, size: str
) -> None:
    configure(importer, SETS)
    rows = [
        "ada,Acme,In,@0,",
        "bob,Acme,In,@1,pro",
        "ada,Acme,Out,@2,pro",
        "ada,Acme,Up,@3,max",
        "bob,Beta,In,@4,x",
    ]
    log = write(tmp_path / "log.csv", *rows)
    importer("import", log, "--batch-size", size, "--concurrency", "1").ended(0)
    assert has(tracker) == ["Acme has plan pro", "Acme has plan max", "Beta has plan x"]
    assert (seconds(tracker)["Acme has plan pro"], seconds(tracker)["Acme has plan max"]) == (1, 3)
    assert importer("import", log, "--json").ended(0).summary["calls"]["planned"] == 0


def test_a_file_that_grew_sends_its_new_changes(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    configure(importer, SETS)
    rows = ["ada,Acme,In,@0,pro", "ada,Acme,In,@1,max"]
    importer("import", write(tmp_path / "log.csv", *rows), "--concurrency", "1").ended(0)
    rows += ["ada,Acme,In,@2,max", "ada,Acme,In,@3,pro"]
    importer("import", write(tmp_path / "log.csv", *rows), "--concurrency", "1").ended(0)
    assert has(tracker) == ["Acme has plan pro", "Acme has plan max", "Acme has plan pro"]


def test_overlapping_exports_send_a_change_once(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """In both orders of the files."""
    configure(importer, SETS)
    rows = [f"ada,Acme,In,@{at},{value}" for at, value in enumerate(["a", "b", "b", "a", "c", "c", "b"])]
    importer("import", write(tmp_path / "second.csv", *rows[2:]), "--concurrency", "1").ended(0)
    importer("import", write(tmp_path / "first.csv", *rows[:4]), "--concurrency", "1").ended(0)
    importer("import", write(tmp_path / "all.csv", *rows)).ended(0)
    assert has(tracker) == [f"Acme has plan {value}" for value in "bacb" + "a"]
    assert len(tracker.seen) == 2 * len(rows) + 5


def test_a_rejected_change_is_owed_and_sent_once(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    configure(importer, SETS)
    rows = ["ada,Acme,In,@0,pro", "ada,Acme,In,@5,max", "ada,Acme,In,@9,max"]
    log = write(tmp_path / "log.csv", *rows)
    tracker.behave = lambda hit, _: BAD if hit.path == "/s" and "max" in hit.query else OK
    importer("import", log).ended(65)
    assert [one["owed"] for one in importer.rejects()] == [["account.set"]]
    tracker.behave = None
    tracker.forget()
    rejects = next(importer.state.glob("rejects-*"))
    importer("import", rejects).ended(0)
    assert sentences(tracker.seen) == ["Acme has plan max"]
    assert importer("import", rejects, "--json").ended(0).summary["calls"]["planned"] == 0
    assert importer("import", log, "--json").ended(0).summary["calls"]["planned"] == 0


def test_profiles_first_then_the_log(importer: Command, tracker: Tracker, tmp_path: Path) -> None:
    """The last row of the log has the value in force, as a person would expect of the two files."""
    configure(importer, SETS)
    people = write(tmp_path / "people.csv", ",Acme,,@5,max")
    log = write(tmp_path / "log.csv", "ada,Acme,In,@0,pro", "ada,Acme,In,@9,pro")
    importer("import", people, "--profiles").ended(0)
    importer("import", log, "--concurrency", "1").ended(0)
    assert has(tracker) == ["Acme has plan max", "Acme has plan pro", "Acme has plan pro"]
    assert seconds(tracker)["Acme has plan pro"] == 9
    for words in ([people, "--profiles"], [log]):
        assert importer("import", *words, "--json").ended(0).summary["calls"]["planned"] == 0


def test_a_dry_run_counts_the_changes_and_keeps_none(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    configure(importer, SETS)
    rows = ["ada,Acme,In,@0,pro", "ada,Acme,In,@1,max", "ada,Acme,In,@2,pro", "ada,Acme,In,@1,pro"]
    log = write(tmp_path / "log.csv", *rows)
    importer("import", write(tmp_path / "first.csv", rows[0])).ended(0)
    for _ in range(2):
        summary = importer("dry-run", log, "--batch-size", "1", "--json").ended(0).summary
        assert summary["calls"]["planned"] == 2 * 3 + 2
    tracker.forget()
    importer("import", log, "--concurrency", "1").ended(0)
    assert has(tracker) == ["Acme has plan max", "Acme has plan pro"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_killed_anywhere_each_change_is_sent_once(tmp_path: Path, tracker: Tracker, seed: int) -> None:
    """A call that is sent twice is the same to the byte, and a value that was planned is known for good."""
    draw = random.Random(seed)
    moments = sorted(draw.randrange(1200) for _ in range(150))
    rows = [Line(moment, draw.choice(WHO), draw.choice("aabc")) for moment in moments]
    log = tmp_path / "log.csv"
    log.write_text(HEAD + "".join(map(row_of, range(150), rows)))
    tracker.behave = Kills(seed)
    command = Command(tmp_path, to=tracker.url)
    configure(command, SETS)
    killed = sum(kill_at_a_request(command, log, tracker, draw, 60) for _ in range(8))
    assert killed > 2
    command("import", log).ended(0)
    assert command("import", log, "--json").ended(0).summary["calls"]["planned"] == 0
    forms = {hit.wire: hit.params for hit in tracker.hits if hit.path == "/s"}
    changes = by_hand(rows)
    assert len(forms) == len(changes)
    assert Counter((one["_p"], one["plan"]) for one in forms.values()) == Counter(
        (line.who, line.value) for line in changes
    )
    last = {
        who: max((int(one["_t"]), one["plan"]) for one in forms.values() if one["_p"] == who) for who in WHO
    }
    assert {who: value for who, (_, value) in last.items()} == in_force_by_hand(rows)
