"""The planner alone, over plain slots: which calls are known, which second a call gets, what is rejected."""

from __future__ import annotations

from collections.abc import Sequence as Listed
from typing import Any

import pytest

from km_cli.model import (
    NANOSECONDS,
    Alias,
    KnownRow,
    Origin,
    Overlap,
    Properties,
    Record,
    Row,
    RowPlan,
    Sequence,
    Set,
    Wired,
)
from km_cli.planning import Collisions, Planner
from km_cli.planning.claims import MOST_CLAIMS
from km_cli.planning.digests import column_fingerprint
from km_cli.planning.plain_slots import PlainSlots

SECOND = 1_704_067_200
COLUMNS = ("user", "account", "event", "plan", "note", "id")


class Readings:
    """Other readings, as a test says: the columns of each, and how they overlap."""

    def __init__(self) -> None:
        self.overlaps = Overlap.ASK
        self.columns: dict[int, tuple[str, ...]] = {}
        self.with_ids: set[int] = set()
        self.passed_over: set[int] = set()
        self.read_again: set[int] = set()

    def overlap(self, _own: int, _other: int) -> Overlap:
        """The same for all."""
        return self.overlaps

    def is_passed_over(self, _own: int, other: int) -> bool:
        """Whether `--as-new` was said of the other one."""
        return other in self.passed_over

    def has_ids(self, own: int) -> bool:
        """Whether the reading has ids."""
        return own in self.with_ids

    def is_read_again(self, _own: int, _other: int, line: int) -> bool:
        """Whether the line is one of those that were read."""
        return line in self.read_again

    def of_same_bytes(self, _own: int) -> Listed[int]:
        """None of them is of the same file."""
        return ()

    def differing(self, own: int, columns: bytes, known: KnownRow) -> list[str]:
        """The columns of both in which the rows differ."""
        common = set(self._columns(own)) & set(self._columns(known.reading))
        here, there = _by_column(columns), _by_column(known.columns)
        names = {column_fingerprint(name): name for name in common}
        return sorted(name for mark, name in names.items() if here.get(mark) != there.get(mark))

    def has_other_form(self, _own: int, _other: int) -> bool:
        """All of them are tables."""
        return False

    def _columns(self, reading: int) -> tuple[str, ...]:
        return self.columns.get(reading, COLUMNS)

    def place(self, known: KnownRow) -> str:
        """The line."""
        return f"line {known.line}"

    def cells(self, _known: KnownRow) -> Properties:
        """No file can be read again."""
        return ()


def _by_column(columns: bytes) -> dict[bytes, bytes]:
    return {columns[at : at + 4]: columns[at + 4 : at + 8] for at in range(0, len(columns), 8)}


class Log:
    """Readings planned one after the other over the same slots."""

    def __init__(self, **options: Any) -> None:
        self.slots = PlainSlots()
        self.readings = Readings()
        self._options = options
        self._number = 0
        self.begin()

    def begin(self, number: int = 0) -> None:
        """Begin the next reading, or go on with the one of this number."""
        self._number += not number
        self.line = 1
        self._planner = Planner(self.slots, "t", number or self._number, self.readings, **self._options)

    def plan(self, *calls: Wired, line: int = 0, origin: Origin | None = None, **cells: str) -> RowPlan:
        """Plan a row of these calls and columns, as the next line."""
        self.line += 1
        row = Row("log.csv", line or self.line, b"", None, origin)
        found = tuple((name, value) for name, value in cells.items() if value)
        return self._planner.plan(Sequence(row, calls, found))

    def send(
        self,
        second: float = 0,
        event: str = "Paid",
        plan: str = "",
        identity: str = "ada",
        id: str = "",  # noqa: A002 - the column's name
        line: int = 0,
        **cells: str,
    ) -> RowPlan:
        """Plan a row in which one user does one event, so many seconds after the start."""
        properties = (("plan", plan),) if plan else ()
        moment = SECOND * NANOSECONDS + int(second * NANOSECONDS)
        record = Record("main", "user", identity, identity, event, moment, properties, id)
        cells = {"user": identity, "event": event, "plan": plan, "id": id, **cells}
        return self.plan(record, line=line, **cells)


def seconds(*plans: RowPlan) -> list[int]:
    """The seconds that the planned calls of rows are sent with, after the start."""
    return [planned.taken - SECOND for plan in plans for planned in plan.planned]


def codes(plan: RowPlan) -> list[str]:
    """The codes of a row's findings."""
    return [finding.code for finding in plan.findings]


def reasons(plan: RowPlan) -> list[tuple[str, tuple[str, ...]]]:
    """The codes of a row's rejects, with the parts that are owed."""
    return [(reject.code, reject.owed) for reject in plan.rejects]


@pytest.fixture
def log() -> Log:
    """A log of one user's events."""
    return Log()


# Within a reading


def test_a_row_that_differs_in_any_column_is_another_event(log: Log) -> None:
    """Also in a column that is not sent."""
    assert seconds(log.send(note="1"), log.send(note="2"), log.send(note="3")) == [0, 1, 2]


def test_rows_alike_in_every_column_are_one_event(log: Log) -> None:
    log.send(note="1")
    again = log.send(note="1")
    assert seconds(again) == []
    assert codes(again) == ["alike-rows"]


def test_a_blank_column_counts_as_an_absent_one(log: Log) -> None:
    log.send(note="")
    assert seconds(log.send()) == []


def test_a_line_that_is_read_again_is_the_event_that_it_was(log: Log) -> None:
    """It was planned before its line end was there."""
    log.send(plan="pr", line=2)
    again = log.send(plan="pro", line=2)
    assert seconds(again) == []
    assert codes(again) == ["changed"]


def test_moments_of_one_second_are_different_deeds(log: Log) -> None:
    assert seconds(log.send(0.1), log.send(0.2)) == [0, 1]


# Ids


def test_an_id_is_sent_once_whatever_the_columns_say(log: Log) -> None:
    log.send(id="7", plan="pro")
    assert codes(log.send(id="7", plan="pro")) == ["alike-rows"]
    log.begin()
    again = log.send(id="7", plan="free")
    assert seconds(again) == []
    assert codes(again) == ["changed"]


def test_two_ids_are_two_events(log: Log) -> None:
    log.readings.columns = {1: ("user", "event", "plan")}  # the rows differ in nothing else
    assert seconds(log.send(id="7"), log.send(id="8")) == [0, 1]
    log.begin()
    assert seconds(log.send(id="9")) == [2]


@pytest.mark.parametrize("change", [{"second": 1}, {"event": "Invited"}, {"identity": "bo"}])
def test_an_id_with_another_deed_is_rejected(log: Log, change: dict[str, Any]) -> None:
    log.send(id="7")
    assert reasons(log.send(**{"id": "7", **change})) == [("id-reused", ("user",))]


def test_an_id_is_learnt_from_the_first_reading_that_has_it(log: Log) -> None:
    log.send(plan="pro")
    log.readings.columns = {1: ("user", "event", "plan")}
    log.begin()
    assert seconds(log.send(id="7", plan="pro")) == []
    log.begin()
    assert reasons(log.send(1, id="7")) == [("id-reused", ("user",))]


def test_a_row_without_an_id_does_not_take_the_call_of_a_row_with_one(log: Log) -> None:
    """In a log that has ids: the row with that id may follow."""
    log.readings.columns = {1: ("user", "event", "plan")}
    log.send(id="7")
    log.readings.with_ids = {2}
    log.readings.overlaps = Overlap.SEPARATE
    log.begin()
    assert seconds(log.send(), log.send(id="7")) == [1]


# Across readings


def test_another_reading_repeats_what_is_alike(log: Log) -> None:
    log.send(0, note="1")
    log.begin()
    again, new = log.send(0, note="1"), log.send(5, note="1")
    assert seconds(again, new) == [5]
    assert codes(again) == []


def test_columns_that_one_log_has_alone_do_not_count(log: Log) -> None:
    log.readings.columns = {1: ("user", "event", "plan")}
    log.send(plan="pro")
    log.begin()
    assert seconds(log.send(plan="pro", note="1")) == []


def test_rows_are_matched_one_for_one(log: Log) -> None:
    """Of three rows that are alike in the columns of both logs, two are known."""
    log.readings.columns = {2: ("user", "event", "plan")}
    log.readings.overlaps = Overlap.SEPARATE
    log.send(note="1"), log.send(note="2")
    log.begin()
    assert seconds(log.send(account="a"), log.send(account="b"), log.send(account="c")) == [2]


def test_alike_in_every_column_goes_first(log: Log) -> None:
    """Though the first row of the other log is alike in the columns of both, too."""
    log.readings.columns = {2: ("user", "event", "plan")}
    person = log.send(note="1").planned[0].person
    log.send()
    log.begin()
    log.send()
    claims = [known_call.claim_of(2) for known_call in log.slots.slot(person, SECOND).known]
    assert [claim is not None for claim in claims] == [False, True]


def test_as_new_matches_nothing(log: Log) -> None:
    log.send()
    log.readings.passed_over = {1}
    log.begin()
    assert seconds(log.send()) == [1]


# Conflicts


def test_a_conflict_is_rejected_and_owed(log: Log) -> None:
    log.send(plan="pro")
    log.begin()
    plan = log.send(plan="free")
    assert reasons(plan) == [("conflict", ("user",))]
    assert "in line 2, with another 'plan' ('free' here)" in plan.rejects[0].reason


def test_a_conflict_of_separate_logs_is_another_event(log: Log) -> None:
    log.readings.overlaps = Overlap.SEPARATE
    log.send(plan="pro")
    log.begin()
    assert seconds(log.send(plan="free")) == [1]


def test_a_conflict_of_logs_that_repeat_is_the_same_event(log: Log) -> None:
    log.readings.overlaps = Overlap.REPEATS
    log.send(plan="pro")
    log.begin()
    plan = log.send(plan="free")
    assert seconds(plan) == []
    assert codes(plan) == ["changed"]


@pytest.mark.parametrize("plans", [("pro", "free"), ("free", "pro")])
def test_a_row_that_was_taken_for_changed_is_another_event_if_the_exact_one_comes(
    log: Log, plans: tuple[str, ...]
) -> None:
    """It is sent after all, in either order; the exact one is known."""
    log.readings.overlaps = Overlap.REPEATS
    log.send(plan="pro")
    log.begin()
    sent = [log.send(plan=plan) for plan in plans]
    (left,) = [one for one in sent if one.calls]
    assert (left.calls[0].properties, seconds(left)) == ((("plan", "free"),), [1])


def test_a_line_that_another_reading_has_read_repeats_whatever_it_says(log: Log) -> None:
    """Without a conflict: the file was rewritten in place."""
    log.send(plan="pr", line=2)
    log.readings.read_again = {2}
    log.begin()
    plan = log.send(plan="pro", line=2)
    assert seconds(plan) == []
    assert reasons(plan) == []


def test_a_corrected_reject_of_a_lost_ledger_has_no_line_of_its_reading(log: Log) -> None:
    """Its line is another log's: it does not stand for the row of this reading with the same number."""
    log.send(plan="pro", line=2)
    record = Record("main", "user", "ada", "ada", "Paid", SECOND * NANOSECONDS, (("plan", "free"),), "")
    origin = Origin("gone", (), (), ",")
    plan = log.plan(record, line=2, origin=origin, user="ada", event="Paid", plan="free")
    assert seconds(plan) == [1]


# Seconds


def test_another_event_stays_in_its_second_if_it_carries_the_same_value(log: Log) -> None:
    assert seconds(log.send(event="Paid", plan="pro"), log.send(event="Invited", plan="pro")) == [0, 0]


def test_the_same_event_moves_to_the_next_free_second(log: Log) -> None:
    log.send(0, note="1"), log.send(1, note="1")
    moved = log.send(0, note="2")
    assert seconds(moved) == [2]
    assert codes(moved) == ["D1-alike", "D1"]


def test_names_that_kissmetrics_folds_are_one_event(log: Log) -> None:
    assert seconds(log.send(event="Signed Up"), log.send(event="signed, up"), log.send(event="X")) == [
        0,
        0,
        0,
    ]
    assert seconds(log.send(event="signed up", note="2")) == [1]


def test_another_value_of_a_property_moves_too(log: Log) -> None:
    log.send(event="Paid", plan="pro")
    moved = log.send(event="Invited", plan="free")
    assert seconds(moved) == [1]
    assert codes(moved) == ["D2"]


def test_a_call_that_was_moved_away_leaves_its_second(log: Log) -> None:
    """And takes the other one: a later call of that second must move on."""
    log.send(0, note="1"), log.send(0, note="2")
    assert seconds(log.send(1, note="1")) == [2]
    assert seconds(log.send(0, event="Invited")) == [0]


def test_an_event_without_a_second_is_rejected_and_owed() -> None:
    log = Log(spread=2)
    assert seconds(*[log.send(note=str(number)) for number in range(3)]) == [0, 1, 2]
    full = log.send(note="3")
    assert reasons(full) == [("D1-full", ("user",))]
    assert codes(full) == ["D1-alike", "D1-full"]
    assert "the 2 after it" in full.rejects[0].reason


def test_a_property_without_a_second_is_sent_and_lost() -> None:
    """The event counts; of the property one value survives."""
    log = Log(spread=0)
    log.send(event="Paid", plan="pro")
    plan = log.send(event="Invited", plan="free")
    assert seconds(plan) == [0]
    assert codes(plan) == ["D2-lost"]


@pytest.mark.parametrize(
    ("collisions", "expected", "found"),
    [(Collisions.KEEP, [0], ["D1-merged", "D2-lost"]), (Collisions.REJECT, [], ["D1-full"])],
)
def test_collisions_may_be_kept_or_rejected(
    collisions: Collisions, expected: list[int], found: list[str]
) -> None:
    log = Log(collisions=collisions)
    log.send(plan="pro")
    plan = log.send(plan="free")
    assert seconds(plan) == expected
    assert codes(plan) == found


def test_people_do_not_crowd_each_other(log: Log) -> None:
    assert seconds(log.send(identity="ada"), log.send(identity="bo")) == [0, 0]


def test_a_gain_counts_only_what_is_new(log: Log) -> None:
    (first,), (second,) = log.send(plan="pro").gains, log.send(event="Invited", plan="pro").gains
    assert (first.people, len(first.names)) == (1, 4)
    assert (second.people, len(second.names)) == (0, 0)
    assert first.event != second.event


# Owners


def record(identity: str, persona: str = "user", second: int = 0, event: str = "Paid") -> Record:
    """A record without properties."""
    moment = (SECOND + second) * NANOSECONDS
    return Record("main", persona, identity, "ada", event, moment, (), "")


@pytest.mark.parametrize("next_reading", [False, True])
def test_an_identity_of_another_persona_is_rejected_for_good(log: Log, next_reading: bool) -> None:
    """The whole row: Kissmetrics would make one person of both (I2)."""
    log.plan(record("Acme", "account"))
    if next_reading:
        log.begin()
    plan = log.plan(record("bo"), record("Acme", second=1))
    assert reasons(plan) == [("I2", ())]
    assert plan.planned == ()


def test_an_identity_that_differs_by_commas_or_colons_is_rejected(log: Log) -> None:
    """D4: the older page changes them to blanks."""
    log.plan(record("a:b"))
    assert reasons(log.plan(record("a b", second=1))) == [("D4-ids", ())]
    assert reasons(log.plan(record("a:b", second=2))) == []


def test_sites_have_people_of_their_own(log: Log) -> None:
    log.plan(record("Acme"))
    assert reasons(log.plan(record("Acme", "account")._replace(site="accounts"))) == []


# Aliases


def alias(identity: str, other: str, persona: str = "user") -> Alias:
    """An alias in the site of the others."""
    return Alias("main", persona, identity, other)


def planned_calls(*plans: RowPlan) -> list[str]:
    """The kinds of the planned calls."""
    return [type(call).__name__ for plan in plans for call in plan.calls]


def test_an_alias_is_sent_once_whichever_way_round(log: Log) -> None:
    assert planned_calls(log.plan(record("ada"), alias("ada", "anon"))) == ["Record", "Alias"]
    again = [log.plan(alias("ada", "anon")), log.plan(alias("anon", "ada"))]
    assert planned_calls(*again) == []
    assert [reasons(plan) for plan in again] == [[], []]


def test_an_alias_without_data_is_a_finding(log: Log) -> None:
    assert codes(log.plan(record("ada"), alias("ada", "anon"))) == ["I3"]
    log.plan(record("x", second=1))
    joined = log.plan(record("bo", second=1), alias("bo", "x"))
    assert codes(joined) == []
    assert [gain.people for gain in joined.gains] == [1, -1]


@pytest.mark.parametrize(
    ("calls", "code"),
    [
        ((alias("bo", "anon"),), "I2"),  # anon is ada's alias
        ((alias("anon", "cy"),), "I2"),  # a chain
        ((alias("bo", "ada"),), "I2"),  # ada has an alias of her own
        ((alias("ada", "Acme"),), "I2"),  # an account
        ((record("a:b", second=1), alias("ada", "a b")), "D4-ids"),
    ],
)
def test_an_alias_that_would_merge_others_is_rejected(log: Log, calls: Listed[Wired], code: str) -> None:
    log.plan(record("ada"), record("Acme", "account"), alias("ada", "anon"))
    plan = log.plan(*calls)
    assert reasons(plan) == [(code, ("user.alias",))]
    assert "Alias" not in planned_calls(plan)


def test_one_person_may_have_many_aliases(log: Log) -> None:
    log.plan(record("ada"), alias("ada", "one"))
    assert planned_calls(log.plan(alias("ada", "two"))) == ["Alias"]


def test_an_alias_is_owed_with_the_data_that_makes_it_visible() -> None:
    log = Log(spread=0)
    log.plan(record("ada"), note="1")
    assert reasons(log.plan(record("ada"), alias("ada", "anon"), note="2")) == [
        ("D1-full", ("user", "user.alias"))
    ]


# Sets


def set_of(*properties: tuple[str, str], identity: str = "ada", second: int = 0) -> Set:
    """Properties that a row has for an identity; tests/test_sets.py has most tests of them."""
    return Set("main", "user", identity, identity, (SECOND + second) * NANOSECONDS, properties)


def test_sets_share_a_second(log: Log) -> None:
    """A Set has no event that could be counted once."""
    assert seconds(log.plan(set_of(("Role", "admin"))), log.plan(set_of(("Team", "x")))) == [0, 0]


def test_a_set_moves_from_a_second_with_another_value(log: Log) -> None:
    log.send(plan="pro")
    assert seconds(log.plan(set_of(("plan", "free")))) == [1]


# Several calls


def test_each_persona_gets_a_second_of_its_own(log: Log) -> None:
    """Two users of one account do the same in one second (D1): only the account's call moves."""
    for number, user in enumerate(("ada", "bo")):
        plan = log.plan(record(user), record("Acme", "account"), user=user)
        assert seconds(plan) == [0, number]


def test_a_row_is_owed_only_the_part_that_was_rejected() -> None:
    log = Log(spread=0)
    log.plan(record("ada"), record("Acme", "account"), user="ada")
    plan = log.plan(record("bo"), record("Acme", "account"), user="bo")
    assert planned_calls(plan) == ["Record"]
    assert reasons(plan) == [("D1-full", ("account",))]


def test_parts_rejected_for_one_reason_are_one_reject() -> None:
    log = Log(spread=0)
    for note in ("1", "2"):
        plan = log.plan(record("ada"), record("Acme", "account"), note=note)
    assert reasons(plan) == [("D1-full", ("user", "account"))]
    assert "; " in plan.rejects[0].reason


# More readings than a call keeps claims of


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        (Overlap.ASK, ([], ["conflict"], [])),
        (Overlap.REPEATS, ([], [], ["changed"])),
        (Overlap.SEPARATE, ([1], [], ["D1"])),
    ],
)
def test_a_reading_that_lost_its_claim(
    log: Log, overlap: Overlap, expected: tuple[list[int], list[str], list[str]]
) -> None:
    """A row of its file that is alike is known. Another row of the moment is never left out silently."""
    for _ in range(MOST_CLAIMS + 4):
        log.send(plan="pro", note="1")
        log.begin()
    log.readings.overlaps = overlap
    log.begin(2)
    assert seconds(log.send(plan="pro", note="1")) == []
    log.begin(3)
    other = log.send(plan="max", note="2")
    assert (seconds(other), [code for code, _ in reasons(other)], codes(other)) == expected
