"""Slots on disk: which calls stand in a person's second, in few bytes.

A ledger has about one slot for each call that was ever sent, so that their size is the ledger's. Rows of the
table are sorted by second, then person: a log is mostly in order of time, so new slots go to the end of the
table, and a batch writes few of its pages. (Sorted by person, each slot would go to a page of its own.)
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator

from km_cli.ledger.changed import ChangedTable
from km_cli.ledger.damage import decoding, expect
from km_cli.ledger.people import People
from km_cli.ledger.rows import RowTable
from km_cli.ledger.slot_bytes import decode_slot, encode_slot
from km_cli.ledger.values import ValueTable
from km_cli.model import (
    NO_EVENT,
    NO_SECOND,
    ChangedCall,
    Gain,
    KnownCall,
    KnownRow,
    MovedCall,
    Owner,
    PlannedCall,
    Slot,
    split_pairs,
)

_EMPTY = Slot()
_MOST_CACHED = 20_000

Key = tuple[bytes, int]


class SlotTable:
    """The slots of a ledger: changed in memory while a batch is planned, written when it commits.

    `schemas` are searched in this order; writes go to the first. A dry run lays one over the ledger's.
    """

    def __init__(
        self, database: sqlite3.Connection, schemas: tuple[str, ...], *, is_dry: bool = False
    ) -> None:
        self._database = database
        self._schemas = schemas
        self.refused = 0
        self._queries = [
            f"SELECT calls FROM {name}.slots WHERE second = ? AND person = ?" for name in schemas
        ]
        self._all_queries = [_query_of_all(name, schemas[:at]) for at, name in enumerate(schemas)]
        self._id_queries = [f"SELECT person, second FROM {name}.ids WHERE id = ?" for name in schemas]
        self._cache: dict[tuple[int, bytes], Slot] = {}
        self._dirty: dict[tuple[int, bytes], Slot] = {}
        """The changed slots, in the order of the log: sorting them takes least so."""
        self._ids: dict[bytes, Key] = {}
        self.people = People(database, schemas, is_dry=is_dry)
        self._changed = ChangedTable(database, schemas)
        self._rows = RowTable(database, schemas)
        self.values = ValueTable(database, schemas)
        # A log is mostly in order of time: a slot that is later than all on disk need not be looked up.
        self._latest = self._latest_on_disk = max(
            database.execute(f"SELECT coalesce(max(second), 0) FROM {name}.slots").fetchone()[0]
            for name in schemas
        )
        expect((self._latest,), int)

    def slot(self, person: bytes, second: int) -> Slot:
        """Return the slot, an empty one if the person has no call in that second."""
        known = self._cache.get((second, person))
        if known is None:
            if second > self._latest_on_disk:
                return _EMPTY
            known = self._cache[second, person] = self._load(person, second)
        return known

    def _load(self, person: bytes, second: int) -> Slot:
        with decoding(self._database, "slots"):
            for query in self._queries:
                found = self._database.execute(query, (second, person)).fetchone()
                if found is not None:
                    return decode_slot(person, second, found[0])
        return _EMPTY

    def of_people(self, people: Collection[bytes]) -> Iterator[tuple[bytes, int, Slot]]:
        """Yield person, second and slot of all slots of these people. It reads all slots of the ledger."""
        for (second, person), slot in self._dirty.items():
            if person in people:
                yield person, second, slot
        with decoding(self._database, ""):
            self._database.execute("CREATE TEMP TABLE IF NOT EXISTS wanted (person BLOB PRIMARY KEY)")
            self._database.execute("DELETE FROM wanted")
            self._database.executemany("INSERT INTO wanted VALUES (?)", [(person,) for person in people])
        with decoding(self._database, "slots"):
            for query in self._all_queries:
                for second, person, blob in self._database.execute(query):
                    if (second, person) not in self._dirty:
                        yield person, second, decode_slot(person, second, blob)

    def in_order(self) -> Iterator[tuple[int, bytes, str, Slot]]:
        """Yield second, person, persona and slot of all slots on disk, by second, then person.

        The persona is "" if the ledger does not know the owner of the person.
        """
        schema = self._schemas[-1]
        query = (
            f"SELECT slot.second, slot.person, slot.calls, owner.persona FROM {schema}.slots AS slot "
            f"LEFT JOIN {schema}.owners AS owner ON owner.person = slot.person "
            "ORDER BY slot.second, slot.person"
        )
        with decoding(self._database, "slots"):
            for second, person, blob, persona in self._database.execute(query):
                yield second, person, persona or "", decode_slot(person, second, blob)

    def aliases(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the two people of each alias on disk, the one that leads first."""
        query = f"SELECT leader, person FROM {self._schemas[-1]}.owners WHERE leader <> x''"
        with decoding(self._database, "owners"):
            for row in self._database.execute(query):
                expect(row, bytes, bytes)
                yield row

    @property
    def has_changed(self) -> bool:
        """Whether calls are kept of rows that were taken for changed ones."""
        return self._changed.has_any

    def owners_without_calls(self) -> Iterator[tuple[bytes, Owner]]:
        """Yield the people on disk that have no call, such as those whose only call was refused."""
        schema = self._schemas[-1]
        query = (
            f"SELECT person, persona, identity, leader FROM {schema}.owners "
            f"WHERE person NOT IN (SELECT person FROM {schema}.slots)"
        )
        with decoding(self._database, "owners"):
            for row in self._database.execute(query):
                expect(row, bytes, str, bytes, bytes)
                yield row[0], Owner(*row[1:])

    def ids_of_lines(self) -> Iterator[tuple[bytes, bytes, int]]:
        """Yield the ids on disk that are not the log's own, with person and second: see `corrections`."""
        query = f"SELECT id, person, second FROM {self._schemas[-1]}.ids ORDER BY second"
        with decoding(self._database, "ids"):
            for row in self._database.execute(query):
                expect(row, bytes, bytes, int)
                event_id, person, second = row
                if all(known.id != event_id for known in self.slot(person, second).known):
                    yield event_id, person, second

    def all_known(self) -> Iterator[KnownCall]:
        """Yield all calls that the ledger knows, by their seconds; not those that are in memory alone."""
        query = f"SELECT second, person, calls FROM {self._schemas[-1]}.slots ORDER BY second, person"
        with decoding(self._database, "slots"):
            for second, person, blob in self._database.execute(query):
                yield from decode_slot(person, second, blob).known

    def put(self, person: bytes, second: int, slot: Slot) -> None:
        """Replace the slot, for now in memory."""
        key = (second, person)
        self._cache[key] = slot
        self._dirty[key] = slot
        if second > self._latest:
            self._latest = second

    def slot_of_id(self, event_id: bytes) -> Key | None:
        """Return person and second of the slot that keeps the call with this id."""
        known = self._ids.get(event_id)
        if known is not None:
            return known
        with decoding(self._database, "ids"):
            for query in self._id_queries:
                found = self._database.execute(query, (event_id,)).fetchone()
                if found is not None:
                    expect(found, bytes, int)
                    return found[0], found[1]
        return None

    def keep_id(self, event_id: bytes, person: bytes, second: int) -> None:
        """Remember which slot keeps the call with this id, for now in memory."""
        self._ids[event_id] = (person, second)

    def forget(self, refused: PlannedCall) -> Gain | None:
        """Forget a call that its destination rejected: its row is judged anew when it comes again.

        Return the gain that Kissmetrics loses with the call; None for an alias, or a call that is not known.
        """
        self.refused += 1
        _, _, _, person, second, taken, deed, total, *_ = refused
        if second == NO_SECOND:
            self._undo_alias(deed)
            return None
        slot = self.slot(person, second)
        key = (person, second, taken, deed, total)
        leaving = next((known_call for known_call in slot.known if known_call[:5] == key), None)
        if leaving is None:
            return None
        rest = tuple(known_call for known_call in slot.known if known_call is not leaving)
        self.put(person, second, Slot(rest, slot.moved))
        if leaving.event == NO_EVENT:
            for name, value in split_pairs(leaving.pairs):
                self.values.forget(person + name, second, taken, value)
        if taken != second:
            there = self.slot(person, taken)
            moved_calls = list(there.moved)
            with decoding(self._database, "slots"):
                moved_calls.remove(MovedCall(leaving.event, leaving.pairs))
            self.put(person, taken, Slot(there.known, tuple(moved_calls)))
        return self.slot(person, taken).gain(leaving.event, leaving.pairs, taken)

    def _undo_alias(self, person: bytes) -> None:
        """Forget that an alias made a person part of another one."""
        owner = self.owner(person)
        if owner is not None:
            self.set_owner(person, owner._replace(leader=b""))

    def keep_row(self, row: KnownRow) -> int:
        """Keep the columns of a row, for now in memory; return its number."""
        return self._rows.keep(row)

    def row(self, number: int) -> KnownRow | None:
        """Return the row with this number."""
        return self._rows.row(number)

    def owner(self, person: bytes) -> Owner | None:
        """Return the owner of a person."""
        return self.people.owner(person)

    def set_owner(self, person: bytes, owner: Owner) -> None:
        """Remember the owner of a person, for now in memory."""
        self.people.set_owner(person, owner)

    def is_leader(self, person: bytes) -> bool:
        """Tell whether an alias made another person part of this one."""
        return self.people.is_leader(person)

    def keep_changed(self, reading: int, known_call: KnownCall, changed: ChangedCall) -> None:
        """Keep the call of a row that this reading took for `known_call`."""
        self._changed.keep(reading, known_call, changed)

    def take_changed(self, reading: int, known_call: KnownCall) -> ChangedCall | None:
        """Return and forget the call that was kept for this reading and `known_call`."""
        return self._changed.take(reading, known_call)

    def forget_old_changed(self) -> None:
        """Forget the changed calls of all but the latest readings."""
        self._changed.forget_old()

    def write(self) -> None:
        """Write the changes; the caller's transaction makes them durable."""
        self._changed.write()
        self._rows.write()
        self.values.write()
        self._database.executemany(
            "INSERT OR REPLACE INTO main.slots (second, person, calls) VALUES (?, ?, ?)",
            [
                (second, person, encode_slot(person, second, self._dirty[second, person]))
                for second, person in sorted(self._dirty)
            ],
        )
        self._dirty.clear()
        self.people.write_owners()
        if self._ids:
            self._database.executemany(
                "INSERT OR REPLACE INTO main.ids (id, person, second) VALUES (?, ?, ?)",
                [(event_id, *home) for event_id, home in self._ids.items()],
            )
            self._ids.clear()
        # Not `Remembered`, which might forget a change before it is written: this is emptied only here.
        if len(self._cache) > _MOST_CACHED:
            self._empty_cache()

    def _empty_cache(self) -> None:
        self._cache.clear()
        self._latest_on_disk = self._latest

    @property
    def is_ahead(self) -> bool:
        """Whether changes are in memory alone."""
        ahead = self._changed.is_ahead or self._rows.is_ahead or self.values.is_ahead
        return bool(self._dirty or self._ids or self.people.is_ahead or ahead)

    def discard(self) -> None:
        """Forget the changes that were not written."""
        self._empty_cache()
        self._dirty.clear()
        self._ids.clear()
        self.people.discard_owners()
        self._changed.discard()
        self._rows.discard()
        self.values.discard()


def _query_of_all(schema: str, above: tuple[str, ...]) -> str:
    """Return the query for the slots of wanted people in a schema, without those that `above` replace."""
    return f"SELECT second, person, calls FROM {schema}.slots AS slot WHERE person IN temp.wanted" + "".join(
        f" AND NOT EXISTS (SELECT 1 FROM {name}.slots AS other "
        "WHERE other.second = slot.second AND other.person = slot.person)"
        for name in above
    )
