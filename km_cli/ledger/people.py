"""The people of a ledger: the owner of each, how many calls it has, and how its identity is spelled.

All of that is asked for each call of a log, and people come in any order. On disk each question would be a
search in a table too large for SQLite's cache. So the people that a run has met are kept in memory, in two
numbers each. If the ledger had no people when the run began, those are all, and the disk is never asked.

A dry run does not write them either, unless they are too many: its tables end with it.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from itertools import chain
from typing import Any

from km_cli.ledger.compact import CompactTable
from km_cli.ledger.damage import decoding, expect, expect_size
from km_cli.model import Owner
from km_cli.model.making import maker

_owner = maker(Owner)

_MOST_PEOPLE = 2_000_000
"""How many people are kept in memory, in 64 MB. When one more comes, all are left to the disk."""

_MOST_LED = 100_000

# The number of a person: 8 bits of what is known, 8 of the persona, 16 of calls, 32 of the identity's digest.
_PRESENT, _COUNTED, _BUSY, _SPELLED, _LED, _UNWRITTEN = 1, 2, 4, 8, 16, 32
_PERSONA, _CALLS, _IDENTITY = 8, 16, 32
_ONE_CALL = 1 << _CALLS
_OWNER_BITS = _LED | _UNWRITTEN | 0xFF << _PERSONA | 0xFFFF_FFFF << _IDENTITY
_CALL_BITS = _COUNTED | _BUSY | 0xFFFF << _CALLS
MOST_CALLS = 0xFFFF
"""More calls of one person are not counted here."""

_NO_PERSON = 1
"""Stands for the person of a spelling that was forgotten."""


class People:
    """The people that a run has met. `schemas` are searched in this order for others; writes go to the first.

    Under an overlay (`is_dry`) only people whom aliases lead are written at once.
    """

    def __init__(
        self, database: sqlite3.Connection, schemas: tuple[str, ...], *, is_dry: bool = False
    ) -> None:
        self._database = database
        self._is_dry = is_dry
        self._table = CompactTable()
        self._personas = [""]
        self._numbers: dict[str, int] = {}
        """The place of each persona among `_personas`."""
        self._led: dict[bytes, Owner] = {}
        """The owners that do not fit into the table, above all those of people whom aliases lead."""
        self._new_owners: dict[bytes, Owner] = {}
        self._before: dict[bytes, int] = {}
        """What was known of the owners before the changes that are not written yet."""
        self._new_led: defaultdict[bytes, set[bytes]] = defaultdict(set)
        """By leader, the people that aliases made part of it, as far as they are not written yet."""
        self._spellings = CompactTable()
        """The people of spellings that have another digest than their person."""
        self._new_spellings: dict[bytes, bytes] = {}
        self._queries = {
            table: [f"SELECT {columns} FROM {name}.{table} WHERE {key} = ?" for name in schemas]
            for table, columns, key in (
                ("owners", "persona, identity, leader", "person"),
                ("calls_by_person", "calls, is_busy", "person"),
                ("spellings", "person", "spelling"),
            )
        }
        self._led_queries = [
            f"SELECT person FROM {name}.owners WHERE leader = ? AND leader <> x''" for name in schemas
        ]
        # Most people of a first log are new: what a table cannot have is not looked up.
        self._on_disk = {
            table: any(_has_any(database, f"{name}.{table}") for name in schemas) for table in self._queries
        }

    # Owners

    def owner(self, person: bytes) -> Owner | None:
        """Return the owner of a person."""
        bits = self._table.get(person)
        if number := bits >> _PERSONA & 0xFF:
            return _owner((self._personas[number], (bits >> _IDENTITY).to_bytes(4), b""))
        if bits & _LED:
            return self._led.get(person) or self._load_owner(person)
        return self._load_owner(person) if self._on_disk["owners"] else None

    def _load_owner(self, person: bytes) -> Owner | None:
        with decoding(self._database, "owners"):
            found = self._load("owners", person)
            if found is None:
                return None
            expect(found, str, bytes, bytes)
            owner = Owner(*found)
        self._keep_owner(person, owner, 0)
        return owner

    def _keep_owner(self, person: bytes, owner: Owner, unwritten: int) -> None:
        known = self._table.get(person)
        bits = (known | _PRESENT) & ~_OWNER_BITS
        number = self._number(owner.persona)
        if owner.leader or len(owner.identity) != 4 or not number:
            self._led[person] = owner
            bits |= _LED
        else:
            if known & _LED:
                self._led.pop(person, None)
            bits |= number << _PERSONA | int.from_bytes(owner.identity) << _IDENTITY | unwritten
        self._table.put(person, bits)

    def _number(self, persona: str) -> int:
        """Return the number of a persona, 0 if there are too many of them."""
        number = self._numbers.get(persona, 0)
        if not number and len(self._personas) <= 0xFF:
            number = self._numbers[persona] = len(self._personas)
            self._personas.append(persona)
        return number

    def set_owner(self, person: bytes, owner: Owner) -> None:
        """Remember the owner of a person, for now in memory."""
        if person not in self._before:
            self._before[person] = self._table.get(person) & _OWNER_BITS
        self._keep_owner(person, owner, _UNWRITTEN if self._is_dry else 0)
        self._new_owners[person] = owner
        if owner.leader:
            self._new_led[owner.leader].add(person)

    def is_leader(self, person: bytes) -> bool:
        """Tell whether an alias made another person part of this one."""
        led = chain(
            self._new_led.get(person, ()),
            (row[0] for query in self._led_queries for row in self._database.execute(query, (person,))),
        )
        # The owner is asked once more, because the alias may have been undone since.
        return any((owner := self.owner(one)) is not None and owner.leader == person for one in led)

    @property
    def is_ahead(self) -> bool:
        """Whether owners are in memory that belong to a batch which is not committed."""
        return bool(self._new_owners)

    def write_owners(self) -> None:
        """Write the new owners; the caller's transaction makes them durable."""
        new = self._new_owners
        if self._is_dry:  # `is_leader` asks the disk for people whom aliases lead.
            new = {person: owner for person, owner in new.items() if person in self._led} if self._led else {}
        self._insert_owners((person, *owner) for person, owner in new.items())
        self._new_owners.clear()
        self._before.clear()
        self._new_led.clear()
        if len(self._led) > _MOST_LED:
            self._led.clear()

    def _insert_owners(self, rows: Iterable[tuple[bytes, str, bytes, bytes]]) -> None:
        self._database.executemany("INSERT OR REPLACE INTO main.owners VALUES (?, ?, ?, ?)", rows)

    def discard_owners(self) -> None:
        """Forget the owners that were not written: those before them are right again."""
        for person, before in self._before.items():
            self._led.pop(person, None)
            self._table.put(person, self._table.get(person) & ~_OWNER_BITS | before)
        self._new_owners.clear()
        self._before.clear()
        self._new_led.clear()

    # Calls

    def count_call(self, person: bytes, busy_from: int) -> bool:
        """Count a call of a person; return whether it was counted here.

        It is not if the person has `busy_from` calls, or if the disk has to be asked first.
        """
        at, cells = self._table.find(person), self._table.cells
        bits = cells[at]
        if bits & _COUNTED:
            if (bits >> _CALLS & MOST_CALLS) >= busy_from:
                return False
            cells[at] = bits + _ONE_CALL
            return True
        if bits & _BUSY or self._on_disk["calls_by_person"] or busy_from <= 0:
            return False
        self._table.put(person, bits | _PRESENT | _COUNTED | _ONE_CALL)
        return True

    def calls(self, person: bytes) -> int | None:
        """Return how many calls a person has who is not busy, None if that is not known here."""
        bits = self._table.get(person)
        return bits >> _CALLS & MOST_CALLS if bits & _COUNTED else None

    def set_calls(self, person: bytes, calls: int) -> None:
        """Set how many calls a person has who is not busy."""
        bits = self._table.get(person) & ~_CALL_BITS
        self._table.put(person, bits | _PRESENT | _COUNTED | calls << _CALLS)

    def make_busy(self, person: bytes) -> None:
        """Leave the calls of a person to the caller."""
        self._table.put(person, self._table.get(person) & ~_CALL_BITS | _PRESENT | _BUSY)

    def stored_calls(self, person: bytes) -> tuple[int, int]:
        """Return how many calls a person has on disk, and whether it is busy there."""
        with decoding(self._database, "calls_by_person"):
            found = self._load("calls_by_person", person) or (0, 0)
            expect(found, int, int)
            if found[0] < 0:
                raise ValueError(f"{found[0]} calls")
            return found[0], found[1]

    def may_have_calls_on_disk(self, person: bytes) -> bool:
        """Tell whether the disk has to be asked for the calls of a person that are not known here."""
        return self._on_disk["calls_by_person"] or bool(self._table.get(person) & _BUSY)

    def forget_calls(self) -> None:
        """Forget the calls of all people: the disk is right again."""
        for person, bits in self._table.items():
            self._table.put(person, bits & ~_CALL_BITS)
        self._on_disk["calls_by_person"] = True

    # Spellings

    def is_spelled_alike(self, spelling: bytes, person: bytes) -> bool:
        """Tell whether another person's identity has this spelling; if not, remember this person's."""
        known = self._person_of_spelling(spelling)
        if known is None:
            found = self._load_spelling(spelling) if self._on_disk["spellings"] else None
            known = self._keep_spelling(spelling, found or person)
            if found is None:
                self._new_spellings[spelling] = person
        return known != person

    def _person_of_spelling(self, spelling: bytes) -> bytes | None:
        if self._table.get(spelling) & _SPELLED:
            return spelling
        found = self._spellings.get(spelling)
        return found.to_bytes(8) if found > _NO_PERSON else None

    def _keep_spelling(self, spelling: bytes, person: bytes) -> bytes:
        if spelling == person:  # It is written without a capital letter, as most identities are.
            self._table.put(spelling, self._table.get(spelling) | _PRESENT | _SPELLED)
        else:
            self._spellings.put(spelling, int.from_bytes(person) or _NO_PERSON)
        return person

    def _load_spelling(self, spelling: bytes) -> bytes | None:
        with decoding(self._database, "spellings"):
            found = self._load("spellings", spelling)
            if found is None:
                return None
            expect(found, bytes)
            expect_size(found[0], 8)
            return bytes(found[0])

    def write_spellings(self) -> None:
        """Write the new spellings; the caller's transaction makes them durable."""
        if self._new_spellings and not self._is_dry:
            self._insert_spellings(sorted(self._new_spellings.items()))
        self._new_spellings.clear()

    def _insert_spellings(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        self._database.executemany("INSERT OR IGNORE INTO main.spellings VALUES (?, ?)", rows)

    def discard_spellings(self) -> None:
        """Forget the spellings that were not written."""
        for spelling, person in self._new_spellings.items():
            if spelling == person:
                self._table.put(spelling, self._table.get(spelling) & ~_SPELLED)
            else:
                self._spellings.put(spelling, _NO_PERSON)
        self._new_spellings.clear()

    # All of them

    @property
    def is_full(self) -> bool:
        """Whether there are more people than may be kept in memory."""
        return self._table.count + self._spellings.count > _MOST_PEOPLE

    def leave_to_disk(self) -> None:
        """Forget all people. Those of a dry run are written first; else the caller has written them."""
        if self._is_dry:
            self._write_all()
        self._table, self._spellings = CompactTable(), CompactTable()
        self._led.clear()
        self._on_disk = dict.fromkeys(self._on_disk, True)

    def _write_all(self) -> None:
        """Write all people. They come nearly sorted, so that the tables are written page by page."""
        people = self._table
        self._insert_owners(
            (person, self._personas[bits >> _PERSONA & 0xFF], (bits >> _IDENTITY).to_bytes(4), b"")
            for person, bits in people.items()
            if bits & _UNWRITTEN
        )
        self._database.executemany(
            "INSERT OR REPLACE INTO main.calls_by_person VALUES (?, ?, 0)",
            ((person, bits >> _CALLS & MOST_CALLS) for person, bits in people.items() if bits & _COUNTED),
        )
        self._insert_spellings((person, person) for person, bits in people.items() if bits & _SPELLED)
        self._insert_spellings(
            (spelling, person.to_bytes(8))
            for spelling, person in self._spellings.items()
            if person > _NO_PERSON
        )

    def _load(self, table: str, key: bytes) -> tuple[Any, ...] | None:
        """Return the row of a table with this key, from the first schema that has it."""
        for query in self._queries[table]:
            found: tuple[Any, ...] | None = self._database.execute(query, (key,)).fetchone()
            if found is not None:
                return found
        return None


def _has_any(database: sqlite3.Connection, table: str) -> bool:
    return database.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is not None
