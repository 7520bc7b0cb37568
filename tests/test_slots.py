"""Slots: plain dictionaries, the ledger and a dry run's overlay over it give the same answers.

A `Store` is one implementation with the two things that the protocol leaves to its caller: `commit` makes the
changes durable, `reopen` does that and begins again with what is durable.
"""

from __future__ import annotations

import json
import operator
import sqlite3
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from km_cli.errors import LedgerError
from km_cli.ledger import Ledger, Reading
from km_cli.ledger import people as ledger_people
from km_cli.ledger import rows as ledger_rows
from km_cli.ledger import slots as ledger_slots
from km_cli.ledger import values as ledger_values
from km_cli.ledger.changed import _decode, _encode
from km_cli.model import (
    NANOSECONDS,
    NO_EVENT,
    NO_SECOND,
    Alias,
    ChangedCall,
    Claim,
    Gain,
    KnownCall,
    KnownRow,
    KnownValue,
    MovedCall,
    Outcome,
    Owner,
    PlannedCall,
    Receipt,
    Record,
    Row,
    RowPlan,
    Set,
    Slot,
)
from km_cli.planning.plain_slots import PlainSlots
from km_cli.protocols import Slots
from tests.support.drawing import examples

PERSON, OTHER, THIRD = b"person-1", b"person-2", b"person-3"
SECOND = 1_704_067_200
SET = Set("main", "user", "ada", "ada", (SECOND + 3) * 10**9, (("plan", "max"),))


class PlainStore:
    """Nothing is ever written."""

    def __init__(self, folder: Path) -> None:
        del folder
        self.slots: Slots = PlainSlots()

    def commit(self) -> None:
        """Nothing to do."""

    def reopen(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


class LedgerStore:
    """A ledger in a file, opened by one run after the other."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger.db"
        self._begin(Ledger.open(self.path))

    def _begin(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.slots: Slots = ledger.slots
        self.reading = ledger.readings.begin(Reading(0, "", "asked", "{}", "log.csv", ("a",), ","))

    def commit(self) -> None:
        """Commit an empty batch."""
        self.ledger.commit("t", self.reading, [])

    def reopen(self) -> None:
        """End the run and begin the next one."""
        self.commit()
        self.ledger.close()
        self._begin(Ledger.open(self.path))

    def close(self) -> None:
        """Close the file."""
        self.ledger.close()


class OverlayStore(LedgerStore):
    """A ledger for the first run; all that follows is one dry run over it."""

    _is_dry = False

    def reopen(self) -> None:
        """Begin the dry run. It cannot be reopened: what it has written goes with it."""
        if self._is_dry:
            return self.commit()
        self.commit()
        self.ledger.close()
        self._is_dry = True
        self._begin(Ledger.overlay(self.path))
        return None


Store = PlainStore | LedgerStore
STORES: dict[str, Callable[[Path], Store]] = {
    "plain": PlainStore,
    "ledger": LedgerStore,
    "overlay": OverlayStore,
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Each implementation."""
    made = STORES[request.param](tmp_path)
    yield made
    made.close()


def known(deed: bytes = b"deed----", person: bytes = PERSON, second: int = SECOND, **more: Any) -> KnownCall:
    """A known call."""
    fields: dict[str, Any] = {"taken": second, "claims": (Claim(1, False, line=2),), **more}
    return KnownCall(
        person, second, deed=deed, total=b"total---", event=b"evnt", pairs=b"namevalu", id=b"", **fields
    )


def changed(line: int = 2, total: bytes = b"another-", number: int = 1) -> ChangedCall:
    """The call of a row that was taken for a known one."""
    record = Record("main", "user", "ada", "ada", "Paid", SECOND * 10**9, (("plan", "pro"),), "")
    both = (("plan", "pro"), ("seats", "2"))
    sets = (Set("main", "account", "Acme", "ada", SECOND * 10**9, both),) if line % 2 else ()
    return ChangedCall(Row("log.csv", line, b"line %d\n" % line, None), record, total, number, sets)


def test_calls_without_properties_are_kept_as_before() -> None:
    """Ledgers in use have such calls, and a version that does not know of properties still reads them."""
    assert json.loads(_encode(changed(2)))[1:] == [None, b"another-".hex(), 1]
    assert _decode(("log.csv", 2, b"line 2\n", _encode(changed(2)))) == changed(2)


# One after the other


def test_nothing_is_known_at_first(store: Store) -> None:
    slots = store.slots
    assert slots.slot(PERSON, SECOND) == Slot()
    assert slots.slot_of_id(b"id------") is None
    assert slots.row(0) is slots.row(1) is None
    assert slots.owner(PERSON) is None
    assert not slots.is_leader(PERSON)
    assert slots.take_changed(1, known()) is None
    assert slots.refused == 0


def test_a_slot_is_replaced_at_once_and_for_good(store: Store) -> None:
    first = Slot((known(),))
    second = Slot((known(), known(b"deed-two", taken=SECOND + 1)), (MovedCall(b"evnt", b"namevalu"),))
    for slot in (first, second, Slot()):
        store.slots.put(PERSON, SECOND, slot)
        assert store.slots.slot(PERSON, SECOND) == slot
        store.commit()
        assert store.slots.slot(PERSON, SECOND) == slot
        store.reopen()
        assert store.slots.slot(PERSON, SECOND) == slot
    assert store.slots.slot(OTHER, SECOND) == store.slots.slot(PERSON, SECOND + 1) == Slot()


def test_an_id_names_its_slot(store: Store) -> None:
    store.slots.keep_id(b"id------", PERSON, SECOND)
    assert store.slots.slot_of_id(b"id------") == (PERSON, SECOND)
    store.reopen()
    store.slots.keep_id(b"id------", OTHER, SECOND + 1)
    store.reopen()
    assert store.slots.slot_of_id(b"id------") == (OTHER, SECOND + 1)


def test_rows_have_numbers_that_grow(store: Store) -> None:
    rows = [KnownRow(1, line, b"namevalu" * line) for line in range(4)]
    numbers = []
    for row in rows:
        numbers.append(store.slots.keep_row(row))
        store.reopen()
    assert numbers == [1, 2, 3, 4]
    assert [store.slots.row(number) for number in numbers] == rows
    assert store.slots.row(5) is None


def test_a_person_is_a_leader_as_long_as_another_is_led(store: Store) -> None:
    """An alias that the destination refuses is undone."""
    store.slots.set_owner(PERSON, Owner("user", b"iden"))
    store.slots.set_owner(OTHER, Owner("user", b"othr", PERSON))
    assert store.slots.is_leader(PERSON)
    assert not store.slots.is_leader(OTHER)
    store.reopen()
    assert store.slots.is_leader(PERSON)
    assert store.slots.owner(OTHER) == Owner("user", b"othr", PERSON)
    store.slots.set_owner(OTHER, Owner("user", b"othr"))
    assert not store.slots.is_leader(PERSON)
    store.reopen()
    assert not store.slots.is_leader(PERSON)


def test_a_changed_call_is_taken_once(store: Store) -> None:
    store.slots.keep_changed(1, known(), changed())
    store.reopen()
    assert store.slots.take_changed(2, known()) is None
    assert store.slots.take_changed(1, known()) == changed()
    assert store.slots.take_changed(1, known()) is None
    store.commit()
    assert store.slots.take_changed(1, known()) is None
    store.slots.keep_changed(1, known(), changed(3))
    store.commit()
    assert store.slots.take_changed(1, known()) == changed(3)


def value(moment: int, place: int = 0, digest: bytes = b"val1more", **more: int) -> KnownValue:
    """A value of a property."""
    fields = {"first": moment, "last": moment, "taken": SECOND + moment, **more}
    return KnownValue(moment, place, value=digest, **fields)


PROPERTY = PERSON + b"plan"


def test_values_are_found_by_the_moments_beside_them(store: Store) -> None:
    values = store.slots.values
    assert values.is_empty
    assert list(values.until(PROPERTY, 9)) == []
    assert values.after(PROPERTY, 0) is None
    kept = [value(1), value(5), value(5, 1), value(9)]
    for one in (kept[2], kept[0], kept[3], kept[1]):
        values.put(PROPERTY, one)
        store.reopen()
        values = store.slots.values
    assert not values.is_empty
    assert list(values.until(PROPERTY, 9)) == kept[::-1]
    assert list(values.until(PROPERTY, 5)) == kept[2::-1]
    assert list(values.until(PROPERTY, 4)) == kept[:1]
    assert list(values.until(OTHER + b"plan", 9)) == []
    assert [values.after(PROPERTY, moment) for moment in (0, 1, 5, 9)] == [kept[0], kept[1], kept[3], None]


def test_a_value_is_replaced_in_its_place(store: Store) -> None:
    store.slots.values.put(PROPERTY, value(1))
    store.reopen()
    store.slots.values.put(PROPERTY, value(1, last=7))
    assert list(store.slots.values.until(PROPERTY, 9)) == [value(1, last=7)]
    store.commit()
    assert list(store.slots.values.until(PROPERTY, 9)) == [value(1, last=7)]


def test_a_value_of_a_refused_call_is_forgotten(store: Store) -> None:
    """That of its own second, though another one has the same value in the second that it was sent with."""
    moment = SECOND * NANOSECONDS
    kept = [value(moment + at * NANOSECONDS // 2, taken=SECOND + 3) for at in range(5)]
    for one in kept:
        store.slots.values.put(PROPERTY, one)
    store.reopen()
    store.slots.values.forget(PROPERTY, SECOND + 1, SECOND + 3, b"val1")
    assert list(store.slots.values.until(PROPERTY, 2 * moment)) == [kept[4], *kept[1::-1]]
    assert store.slots.values.after(PROPERTY, moment + NANOSECONDS // 2) == kept[4]


# The same for all


persons = st.sampled_from([PERSON, OTHER, THIRD])
seconds = st.sampled_from([SECOND, SECOND + 1, SECOND + 2])
ids = st.sampled_from([b"id-one--", b"id-two--"])
deeds = st.sampled_from([b"deed-one", b"deed-two"])
readings = st.integers(1, 2)


@st.composite
def puts(draw: st.DrawFn) -> tuple[object, ...]:
    """A slot for a person and a second."""
    person, second = draw(persons), draw(seconds)
    calls = [
        known(deed, person, second, taken=second + draw(st.integers(0, 2)), row=draw(st.integers(0, 3)))
        for deed in draw(st.lists(deeds, max_size=2))
    ]
    moved = [MovedCall(b"evnt", b"namevalu")] * draw(st.integers(0, 2))
    return "put", person, second, Slot(tuple(calls), tuple(moved))


moments = st.integers(0, 4)
known_values = st.builds(value, moments, st.integers(0, 1), last=st.integers(5, 9), taken=st.integers(0, 2))
properties = st.sampled_from([PROPERTY, OTHER + b"plan"])
operations = st.one_of(
    puts(),
    st.tuples(st.just("values.put"), properties, known_values),
    st.tuples(st.just("values.until"), properties, moments),
    st.tuples(st.just("values.after"), properties, moments),
    st.tuples(st.just("slot"), persons, seconds),
    st.tuples(st.just("keep_id"), ids, persons, seconds),
    st.tuples(st.just("slot_of_id"), ids),
    st.tuples(st.just("keep_row"), st.builds(KnownRow, readings, st.integers(1, 9), st.just(b"namevalu"))),
    st.tuples(st.just("row"), st.integers(0, 6)),
    st.tuples(
        st.just("set_owner"),
        persons,
        st.builds(Owner, st.just("user"), st.just(b"iden"), st.one_of(st.just(b""), persons)),
    ),
    st.tuples(st.just("owner"), persons),
    st.tuples(st.just("is_leader"), persons),
    st.tuples(st.just("keep_changed"), st.just(1), st.builds(known), st.builds(changed, st.integers(1, 3))),
    st.tuples(st.just("take_changed"), readings, st.builds(known)),
    st.tuples(st.just("commit")),
    st.tuples(st.just("reopen")),
)


def answer(store: Store, name: str, *arguments: object) -> object:
    """Do one operation; return its answer."""
    if name in ("commit", "reopen"):
        return getattr(store, name)()
    found = operator.attrgetter(name)(store.slots)(*arguments)
    return list(found) if isinstance(found, Iterator) else found


@settings(max_examples=examples(60))
@given(sequence=st.lists(operations, min_size=5, max_size=40), most_people=st.sampled_from([0, 2, 1000]))
def test_any_operations_give_the_same_answers(sequence: list[tuple[Any, ...]], most_people: int) -> None:
    """With caches so small that they are emptied all the time, and with room for all people."""
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(ledger_slots, "_MOST_CACHED", 1),
        patch.multiple(ledger_people, _MOST_PEOPLE=most_people, _MOST_LED=1),
        patch.object(ledger_rows, "_MOST_BATCHES", 1),
        patch.object(ledger_values, "_MOST_CACHED", 1),
    ):
        stores = []
        for name, kind in STORES.items():
            Path(folder, name).mkdir()
            stores.append(kind(Path(folder, name)))
        try:
            for operation in sequence:
                answers = [answer(store, *operation) for store in stores]
                assert answers.count(answers[0]) == len(answers), (operation, answers)
        finally:
            for store in stores:
                store.close()


# What the ledger alone does


def test_values_that_are_only_looked_up_take_no_more_memory(tmp_path: Path) -> None:
    """A log that is read again changes nothing, however many people it has."""
    store = LedgerStore(tmp_path)
    store.slots.values.put(PROPERTY, value(1))
    store.commit()
    with patch.object(ledger_values, "_MOST_CACHED", 1000):
        held = []
        for batch in range(6):
            if batch == 2:
                tracemalloc.start()
            for number in range(batch * 900, batch * 900 + 900):
                assert store.slots.values.after(b"%08dplan" % number, 0) is None
            store.commit()
            if batch > 2:
                held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    assert held[2] < held[0] + 50_000
    store.close()


def test_a_refused_value_is_forgotten(tmp_path: Path) -> None:
    """The call is known by its second and by the digest in its pairs; other values stay."""
    store = LedgerStore(tmp_path)
    (first, second, third) = moments = [(SECOND + at) * NANOSECONDS for at in (1, 3, 5)]
    kept = [value(moment, taken=moment // NANOSECONDS) for moment in moments]
    kept[1] = kept[1]._replace(value=b"val2more")
    for one in kept:
        store.slots.values.put(PROPERTY, one)
    refused = known(person=PERSON, second=SECOND + 3)._replace(event=NO_EVENT, pairs=b"plan" + b"val2")
    store.slots.put(PERSON, SECOND + 3, Slot((refused,)))
    planned = PlannedCall(
        "main", "user", b"/s?_p=ada", *refused[:2], refused.taken, refused.deed, refused.total
    )
    plan = RowPlan(Row("log.csv", 2, b"", None), (planned,), calls=(SET,), gains=(Gain(),), reading=1)
    planned_calls = store.ledger.commit("t", store.reading, [plan])
    store.slots.values.put(PROPERTY, kept[1]._replace(last=second + 1))
    store.ledger.commit("t", store.reading, [], [Receipt(planned_calls[0], Outcome.REJECTED)])
    assert list(store.slots.values.until(PROPERTY, third)) == [kept[2], kept[0]]
    store.reopen()
    assert list(store.slots.values.until(PROPERTY, third)) == [kept[2], kept[0]]
    assert store.slots.values.after(PROPERTY, first) == kept[2]
    store.close()


@pytest.mark.parametrize("change", ["taken = taken + 1", "value = x'76616c'", "first = 'x'", "sum = 0"])
def test_a_damaged_value_is_found(tmp_path: Path, change: str) -> None:
    store = LedgerStore(tmp_path)
    store.slots.values.put(PROPERTY, value(1))
    store.commit()
    store.close()
    with closing(sqlite3.connect(store.path)) as database:
        database.execute(f"UPDATE property_values SET {change}")
        database.commit()
    with closing(Ledger.open(store.path)) as ledger, pytest.raises(LedgerError, match="property_values"):
        list(ledger.slots.values.until(PROPERTY, 9))


def test_values_that_were_not_committed_are_forgotten(tmp_path: Path) -> None:
    store = LedgerStore(tmp_path)
    store.slots.values.put(PROPERTY, value(1))
    store.commit()
    store.slots.values.put(PROPERTY, value(1, last=9))
    store.slots.values.put(PROPERTY, value(5))
    assert store.slots.is_ahead
    store.ledger.abandon()
    assert list(store.slots.values.until(PROPERTY, 9)) == [value(1)]
    store.close()


def test_a_refused_alias_leaves_its_leader_free(tmp_path: Path) -> None:
    """The next alias of the same identity is planned again."""
    store = LedgerStore(tmp_path)
    store.slots.set_owner(OTHER, Owner("user", b"othr", PERSON))
    alias = Alias("main", "user", "ada", "bo")
    planned = PlannedCall("main", "user", b"/a?_p=ada&_n=bo", PERSON, NO_SECOND, NO_SECOND, OTHER, b"")
    plan = RowPlan(Row("log.csv", 2, b"", None), (planned,), calls=(alias,), gains=(Gain(),), reading=1)
    planned_calls = store.ledger.commit("t", store.reading, [plan])
    store.ledger.settle("t", [Receipt(planned_calls[0], Outcome.REJECTED)])
    assert store.slots.refused == 1
    assert not store.slots.is_leader(PERSON)
    assert store.slots.owner(OTHER) == Owner("user", b"othr")
    store.close()
