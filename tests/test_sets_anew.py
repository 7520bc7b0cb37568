"""A row taken for a changed one whose own event turns up later: its properties are sent with its event."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from km_cli.config.people import People
from km_cli.config.sites import Site
from km_cli.model import NANOSECONDS, Overlap, Persona, Record, RowPlan, Set
from tests.support.command import Command
from tests.support.drawing import examples
from tests.support.people import configure
from tests.support.running import SentCall, run
from tests.support.tracker import Tracker
from tests.test_kill import Kills, kill_at_a_request
from tests.test_planner import SECOND, Log, record
from tests.test_sets import SETS, found, sent


@pytest.fixture
def log() -> Log:
    """A log whose second reading drifts from the first one."""
    made = Log()
    made.readings.overlaps = Overlap.REPEATS
    return made


def row(log: Log, second: int, account: str, *properties: tuple[str, str], note: str = "") -> RowPlan:
    """Plan a row of the user ada, whose account follows its columns."""
    moment = (SECOND + second) * NANOSECONDS
    calls = (
        record("ada", event="Paid", second=second),
        *([Set("main", "account", account, "ada", moment, properties)] if properties else []),
    )
    return log.plan(*calls, account=account, note=note, **dict(properties))


def events(*plans: RowPlan) -> int:
    """The number of planned events."""
    return sum(type(call) is Record for one in plans for call in one.calls)


# One row, and its twin behind it


def test_the_properties_of_another_account_are_sent(log: Log) -> None:
    row(log, 0, "Beta", ("plan", "free"))
    row(log, 5, "Acme", ("plan", "pro"))
    log.begin()
    taken_for_changed = row(log, 5, "Beta", ("plan", "max"))
    assert (events(taken_for_changed), sent(taken_for_changed)) == (0, [])
    twin = row(log, 5, "Acme", ("plan", "pro"))
    assert (events(twin), sent(twin)) == (1, [(5, (("plan", "max"),))])
    assert sent(row(log, 6, "Beta", ("plan", "max"))) == []


def test_the_order_of_the_two_rows_does_not_matter(log: Log) -> None:
    row(log, 0, "Beta", ("plan", "free"))
    row(log, 5, "Acme", ("plan", "pro"))
    log.begin()
    row(log, 5, "Acme", ("plan", "pro"))
    assert sent(row(log, 5, "Beta", ("plan", "max"))) == [(5, (("plan", "max"),))]


def test_a_value_that_another_row_of_the_moment_has_stays(log: Log) -> None:
    """The twin comes last in its log, so that its value is the last one."""
    row(log, 0, "Acme", ("plan", "free"))
    row(log, 5, "Acme", ("plan", "pro"))
    log.begin()
    row(log, 5, "Acme", ("plan", "max"))
    twin = row(log, 5, "Acme", ("plan", "pro"))
    assert (events(twin), sent(twin), found(twin)) == (1, [], ["D1-alike", "D1", "older-value"])


def test_properties_that_no_other_row_of_the_moment_has_are_sent_alone(log: Log) -> None:
    row(log, 0, "Acme", ("plan", "free"), ("seats", "1"))
    row(log, 5, "Acme", ("plan", "pro"))
    log.begin()
    row(log, 5, "Acme", ("plan", "max"), ("seats", "2"))
    assert sent(row(log, 5, "Acme", ("plan", "pro"))) == [(5, (("seats", "2"),))]


def test_a_row_that_is_taken_for_another_call_keeps_its_properties(log: Log) -> None:
    """Two calls of the moment are known. Only when the second twin turns up, the row is another event."""
    row(log, 0, "Beta", ("plan", "free"))
    row(log, 5, "Acme", ("plan", "pro"), note="1")
    row(log, 5, "Acme", ("plan", "pro"), note="2")
    log.begin()
    plans = [row(log, 5, "Beta", ("plan", "max"))]
    plans += [row(log, 5, "Acme", ("plan", "pro"), note=note) for note in "12"]
    assert [(events(one), sent(one)) for one in plans] == [(0, []), (0, []), (1, [(5, (("plan", "max"),))])]


# Rows that are alike with a row taken for changed


def test_a_row_alike_with_one_taken_for_changed_shares_its_fate(log: Log) -> None:
    row(log, 0, "Acme", ("plan", "free"))
    row(log, 5, "Acme", ("plan", "pro"))
    log.begin()
    assert sent(*(row(log, 5, "Acme", ("plan", "max")) for _ in "12")) == []
    log.begin()
    again = row(log, 5, "Acme", ("plan", "max"))
    assert (events(again), sent(again), found(again)) == (0, [], [])


def test_a_row_that_comes_again_taken_for_changed_is_displaced_as_well(log: Log) -> None:
    """The third log has the row that the second one took for changed, and the row that was sent."""
    row(log, 0, "Beta", ("plan", "free"))
    row(log, 5, "Acme", ("plan", "pro"))
    for _ in range(2):
        log.begin()
        assert sent(row(log, 5, "Beta", ("plan", "max"))) == []
    assert sent(row(log, 5, "Acme", ("plan", "pro"))) == [(5, (("plan", "max"),))]


# Any rows of several logs


class Line(NamedTuple):
    """A row: its second, its user, account, value and a column that is not sent."""

    second: int
    user: str
    account: str
    value: str
    note: str

    @property
    def deed(self) -> tuple[int, str]:
        """Who did the event when: the event has one name in all rows."""
        return self.second, self.user


HEAD = "timestamp,user,account,event,plan,note\n"
PEOPLE = People(
    (Persona("user", "main", properties=()), Persona("account", "main", properties=(), sets=("plan",))),
    (Site("main", "KM_API_KEY"),),
)
lines = st.builds(
    Line,
    st.sampled_from([0, 0, 100, 200]),
    st.sampled_from("uv"),
    st.sampled_from(["Acme", "Beta"]),
    st.sampled_from(["", "a", "b", "c"]),
    st.sampled_from("12"),
)


def text_of(log: Sequence[Line]) -> str:
    """The log as a table. Its first row is of another day, so that no two logs are one rotated log."""
    rows = [f"{SECOND + one.second},{one.user},{one.account},Paid,{one.value},{one.note}\n" for one in log]
    return (
        HEAD
        + f"{SECOND - 10},w,Zeta,Began,,{len(log)}\n"
        + "".join(rows)
        + f"{SECOND + 999},w,Zeta,Ended,,\n"
    )


def in_time(line: Line) -> int:
    """The key of a log in order of time."""
    return line.second


def import_log(folder: Path, name: str, log: Sequence[Line], size: int, **more: object) -> list[SentCall]:
    """Import a log, as far as the batches go; return what was sent."""
    path = folder / name
    path.write_text(text_of(log))
    return run([path], folder / "ledger.db", people=PEOPLE, batch_size=size, **more)[0]


def lines_sent(calls: Sequence[SentCall], log: Sequence[Line], persona: str) -> list[Line]:
    """The rows whose event of a persona was sent."""
    records = [one for one in calls if type(one.call) is Record and one.call.persona == persona]
    return [log[one.row.line - 3] for one in records if one.call.event == "Paid"]


def values_over_time(calls: Sequence[SentCall]) -> dict[str, dict[int, str]]:
    """The values of each account by their second in Kissmetrics. No second has two (D2)."""
    found: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for one in calls:
        if type(one.call) is Set:
            at, value = one.planned.taken - SECOND, one.call.properties[0][1]
            assert found[one.call.identity].setdefault(at, value) == value
    return found


def check_values(whole: Sequence[Line], part: Sequence[Line], over_time: dict[str, dict[int, str]]) -> None:
    """In the end, an account has a value that one of its rows of the latest moment has.

    Of some rows, only a `part` was sent, because the other call was taken for that of another row. Their
    values may have been sent or not.
    """
    for account in ("Acme", "Beta"):
        seconds = [one.second for one in whole if one.account == account and one.value]
        if seconds:
            known = over_time[account]
            rows = [one for one in (*whole, *part) if one.account == account and one.second >= max(seconds)]
            assert known[max(known)] in {one.value for one in rows if one.value}


def check_events(
    first: Sequence[Line], second: Sequence[Line], sent_rows: Sequence[Line], overlap: Overlap
) -> None:
    """Rows that are alike are one event. Of the others, `repeats` takes as many for changed as it can."""
    here, there = Counter(dict.fromkeys(first, 1)), Counter(dict.fromkeys(second, 1))
    new = there - here
    assert Counter(sent_rows) <= new
    for deed in {one.deed for one in new}:
        count = sum(number for one, number in new.items() if one.deed == deed)
        unmatched = sum(number for one, number in (here - there).items() if one.deed == deed)
        expected = max(0, count - unmatched) if overlap is Overlap.REPEATS else count
        assert sum(one.deed == deed for one in sent_rows) == expected


@settings(max_examples=examples(120), deadline=None)
@given(
    st.lists(lines, max_size=7),
    st.lists(st.lists(st.one_of(lines, st.integers(0, 12)), max_size=9), min_size=1, max_size=2),
    st.sampled_from([Overlap.REPEATS, Overlap.SEPARATE]),
    st.integers(1, 4),
    st.lists(st.integers(0, 3), max_size=3),
)
def test_any_logs_of_the_same_time(
    first: list[Line], others: list[list[Line | int]], overlap: Overlap, size: int, stops: list[int]
) -> None:
    """In order of time, with any batches, and however often the runs are stopped between two of them.

    The later logs have rows of the earlier ones, and others. A number stands for a row of an earlier log.
    """
    logs = [sorted(first, key=in_time)]
    for other in others:
        earlier = [row for log in logs for row in log]
        known = [one for one in other if isinstance(one, Line)]
        known += [earlier[one] for one in other if isinstance(one, int) and one < len(earlier)]
        logs.append(sorted(known, key=in_time))
    calls: list[SentCall] = []
    rows: list[Line] = []
    parts: list[Line] = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        for at, log in enumerate(logs):
            found: list[SentCall] = []
            for batches in (*stops, None):
                found += import_log(folder, f"{at}.csv", log, size=size, batches=batches, overlap=overlap)
            sent_rows = lines_sent(found, log, "user")
            if at == 1:
                check_events(rows, log, sent_rows, overlap)
            calls += found
            rows += sent_rows
            parts += lines_sent(found, log, "account")
        for at, log in enumerate(logs):
            assert import_log(folder, f"{at}.csv", log, size=size, overlap=overlap) == []
    for sent_once in (rows, parts):
        assert Counter(sent_once) == Counter(dict.fromkeys(sent_once, 1))
    check_values([one for one in rows if one in parts], [*rows, *parts], values_over_time(calls))


# From file to wire


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_killed_anywhere_each_row_is_decided_once(tmp_path: Path, tracker: Tracker, seed: int) -> None:
    """The second log has twins behind rows that differ. What is sent twice is the same to the byte."""
    draw = random.Random(seed)
    first = [Line(100 * at, draw.choice("uv"), "Acme", draw.choice("ab"), "1") for at in range(60)]
    second = [row for one in first for row in (one._replace(account="Beta", value=draw.choice("cd")), one)]
    tracker.behave = Kills(seed)
    command = Command(tmp_path, to=tracker.url)
    command.environment["KM_CLI_OVERLAP"] = "repeats"
    configure(command, SETS)
    paths = [tmp_path / "first.csv", tmp_path / "second.csv"]
    for path, log in zip(paths, (first, second), strict=True):
        path.write_text(text_of(log))
    command("import", paths[0]).ended(0)
    killed = sum(kill_at_a_request(command, paths[1], tracker, draw, 60) for _ in range(8))
    assert killed > 2
    command("import", paths[1]).ended(0)
    for path in paths:
        assert command("import", path, "--json").ended(0).summary["calls"]["planned"] == 0
    check_wire({hit.wire: hit.params for hit in tracker.hits}.values(), second)


def check_wire(forms: Iterable[dict[str, str]], log: Sequence[Line]) -> None:
    """Each row is an event of its user and of its account; each account has its changes and no other."""
    done = Counter(form["_p"] for form in forms if form.get("_n") == "Paid")
    assert done == Counter([who for line in log for who in (line.user, line.account)])
    for account in ("Acme", "Beta"):
        changes = [line for line in log if line.account == account]
        expected = [(SECOND + line.second, line.value) for line in changes]
        kept = [expected[0], *(one for last, one in pairwise(expected) if last[1] != one[1])]
        assert kept == sorted((int(form["_t"]), form["plan"]) for form in forms if _sets(form, account))


def _sets(form: dict[str, str], account: str) -> bool:
    return form["_p"] == account and "_n" not in form
