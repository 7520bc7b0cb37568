"""People are kept in few bytes, and whatever is forgotten or written, answers stay the same."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from km_cli.errors import LedgerError
from km_cli.ledger import people as ledger_people
from km_cli.ledger.compact import CompactTable
from km_cli.ledger.people import People
from km_cli.ledger.schema import TABLES
from km_cli.model import Owner
from tests.support.drawing import examples

EDGES = [bytes(8), b"\0" * 7 + b"\1", b"\xff" * 8, b"\xff" * 7 + b"\xfe", b"\x80" + bytes(7)]
keys = st.one_of(st.sampled_from(EDGES), st.binary(min_size=8, max_size=8))


@settings(max_examples=examples(40))
@given(st.lists(st.tuples(keys, st.integers(1, 2**64 - 1)), max_size=100), keys)
def test_a_compact_table_is_a_dictionary(entries: list[tuple[bytes, int]], other: bytes) -> None:
    """At any size, and with digests that begin alike, or stand at the end of the table."""
    table, expected = CompactTable(bits=1), dict(entries)
    for key, value in entries:
        table.put(key, value)
    assert dict(table.items()) == expected
    assert table.count == len(expected)
    for key in (*expected, *EDGES, other):
        assert table.get(key) == expected.get(key, 0)
        assert table.cells[table.find(key)] == expected.get(key, 0)


def test_a_person_takes_few_bytes() -> None:
    """A dictionary of digests and numbers would take more than 100 bytes for each."""
    table = CompactTable()
    for number in range(3000):
        table.put((number * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8), 1 << 60)
        assert number < 500 or sys.getsizeof(table.cells) < 50 * table.count


NAMES = ("owners", "calls_by_person", "spellings")
TABLES_OF_BOTH = TABLES.format(schema="main") + TABLES.format(schema="known")

PEOPLE = [b"person-1", b"person-2", b"\xffperson3"]
people = st.sampled_from(PEOPLE)
owners = st.builds(
    Owner,
    st.sampled_from(["user", "account"]),
    st.sampled_from([b"iden", b"othr", b"longer-one"]),
    st.one_of(st.just(b""), people),
)
operations = st.one_of(
    st.tuples(st.just("set_owner"), people, owners),
    st.tuples(st.just("is_spelled_alike"), st.sampled_from([*PEOPLE, b"spelling"]), people),
    st.tuples(st.just("calls"), people, st.integers(1, 3)),
    st.tuples(st.just("commit")),
    st.tuples(st.just("discard")),
)


class Plain:
    """Answers as `People` does, from dictionaries."""

    def __init__(self) -> None:
        self.owners: dict[bytes, Owner] = {}
        self.spellings: dict[bytes, bytes] = {}
        self.commit()

    def commit(self) -> None:
        """Keep the changes."""
        self._kept = (dict(self.owners), dict(self.spellings))

    def discard(self) -> None:
        """Forget the changes since the last commit."""
        owners, spellings = self._kept
        self.owners, self.spellings = dict(owners), dict(spellings)

    def is_spelled_alike(self, spelling: bytes, person: bytes) -> bool:
        """Tell whether another person's identity has this spelling; if not, remember this person's."""
        return self.spellings.setdefault(spelling, person) != person


OVERWRITTEN: list[tuple[object, ...]] = [
    ("set_owner", PEOPLE[0], Owner("user", b"iden")),
    ("is_spelled_alike", PEOPLE[0], PEOPLE[1]),
    ("commit",),
    ("set_owner", PEOPLE[0], Owner("user", b"iden", PEOPLE[1])),
    ("is_spelled_alike", PEOPLE[2], PEOPLE[2]),
    ("discard",),
]


@example(first=[], second=OVERWRITTEN, most=1000, is_dry=True)
@example(first=OVERWRITTEN, second=OVERWRITTEN, most=0, is_dry=True)
@settings(max_examples=examples(40))
@given(
    first=st.lists(operations, max_size=15),
    second=st.lists(operations, max_size=30),
    is_dry=st.booleans(),
    most=st.sampled_from([0, 2, 1000]),
)
def test_any_operations_give_the_same_answers(
    first: list[tuple[object, ...]], second: list[tuple[object, ...]], most: int, *, is_dry: bool
) -> None:
    """Over two runs, the second one dry or not, with and without room for all people."""
    limits = patch.multiple(ledger_people, _MOST_PEOPLE=most, _MOST_LED=1)
    with limits, closing(sqlite3.connect("", isolation_level=None)) as database:
        database.executescript(f"ATTACH '' AS known; {TABLES_OF_BOTH}")
        plain = Plain()
        check(People(database, ("main",)), plain, [*first, ("commit",)])
        if is_dry:
            for table in NAMES:
                database.execute(f"INSERT INTO known.{table} SELECT * FROM main.{table}")
                database.execute(f"DELETE FROM main.{table}")
        check(People(database, ("main", "known") if is_dry else ("main",), is_dry=is_dry), plain, second)


def check(known: People, plain: Plain, some: list[tuple[object, ...]]) -> None:
    """Do the operations; compare all answers after each."""
    for name, *arguments in some:
        if name == "commit":
            known.write_owners()
            known.write_spellings()
            if known.is_full:
                known.leave_to_disk()
            plain.commit()
        elif name == "discard":
            known.discard_owners()
            known.discard_spellings()
            plain.discard()
        elif name == "set_owner":
            person, owner = arguments
            assert isinstance(person, bytes)
            assert isinstance(owner, Owner)
            known.set_owner(person, owner)
            plain.owners[person] = owner
        elif name == "is_spelled_alike":
            spelling, person = arguments
            assert isinstance(spelling, bytes)
            assert isinstance(person, bytes)
            assert known.is_spelled_alike(spelling, person) == plain.is_spelled_alike(spelling, person)
        else:
            person, calls = arguments  # Counting calls must not change the owner of a person.
            assert isinstance(person, bytes)
            assert isinstance(calls, int)
            known.set_calls(person, calls)
            assert known.count_call(person, 500)
            assert known.calls(person) == calls + 1
        for person in PEOPLE:
            assert known.owner(person) == plain.owners.get(person)
            assert known.is_leader(person) == any(one.leader == person for one in plain.owners.values())


@contextmanager
def dry_people() -> Iterator[tuple[sqlite3.Connection, People]]:
    """The people of a dry run without a ledger."""
    with closing(sqlite3.connect("", isolation_level=None)) as database:
        database.executescript(TABLES.format(schema="main"))
        yield database, People(database, ("main",), is_dry=True)


def test_a_dry_run_writes_people_only_when_they_are_too_many() -> None:
    with dry_people() as (database, known), patch.object(ledger_people, "_MOST_PEOPLE", 2):
        for number, person in enumerate(PEOPLE):
            assert known.is_full is (number > 2)
            known.set_owner(person, Owner("user", b"iden"))
            assert known.count_call(person, 500)
            assert not known.is_spelled_alike(person, person)
            known.write_owners()
            known.write_spellings()
        assert count(database) == [0, 0, 0]
        assert known.is_full
        known.leave_to_disk()
        assert count(database) == [3, 3, 3]
        assert not known.is_full
        assert known.owner(PEOPLE[0]) == Owner("user", b"iden")
        assert known.is_spelled_alike(PEOPLE[1], PEOPLE[0])
        assert not known.count_call(PEOPLE[2], 500)
        assert known.stored_calls(PEOPLE[2]) == (1, 0)


def count(database: sqlite3.Connection) -> list[int]:
    """Return how many people each table has."""
    return [database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in NAMES]


def test_more_personas_than_fit_are_kept_too() -> None:
    with dry_people() as (_, known):
        expected = {number.to_bytes(8): Owner(f"persona {number}", b"iden") for number in range(300)}
        for person, owner in expected.items():
            known.set_owner(person, owner)
        known.write_owners()
        known.leave_to_disk()
        assert {person: known.owner(person) for person in expected} == expected


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE calls_by_person SET calls = -1",
        "UPDATE spellings SET person = x'00'",
        "UPDATE spellings SET person = 'a person'",
        "UPDATE owners SET identity = 1",
    ],
)
def test_a_damaged_person_is_found(change: str) -> None:
    with dry_people() as (database, known):
        known.set_owner(PEOPLE[0], Owner("user", b"iden"))
        known.set_calls(PEOPLE[0], 3)
        known.is_spelled_alike(PEOPLE[0], PEOPLE[0])
        known.leave_to_disk()
        database.execute(change)
        with pytest.raises(LedgerError, match="damaged"):
            (known.owner(PEOPLE[0]), known.stored_calls(PEOPLE[0]), known.is_spelled_alike(*PEOPLE[:1] * 2))
