"""Slots on disk: which calls stand in a person's second, in few bytes.

A ledger has about one slot for each call that was ever sent, so that their size is the ledger's. Rows of the
table are sorted by second, then person: a log is mostly in order of time, so new slots go to the end of the
table, and a batch writes few of its pages. (Sorted by person, each slot would go to a page of its own.)

A slot's blob is its entries, one after the other, and a check sum. An entry is a header (kind, seconds
moved, deed, total, event, whether it has an id, how many claims and properties, the number of its row) and
then the id, the claims and the properties. A claim is its reading, flags with the size of its total, its
line, and that total. Person and second are the same for all entries of a slot, and so are only in the key.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterator
from itertools import chain
from struct import Struct
from zlib import crc32

from km_cli.ledger.changed import ChangedTable
from km_cli.ledger.damage import decoding, expect
from km_cli.ledger.rows import RowTable
from km_cli.model import (
    NO_SECOND,
    ChangedCall,
    Claim,
    Gain,
    KnownCall,
    KnownRow,
    MovedCall,
    Owner,
    PlannedCall,
    Slot,
)

_KNOWN, _MOVED = 1, 2
_HEADER = Struct(">BI8s8s4sBBHQ")
_CLAIM = Struct(">IBI")
_HEADER_AND_CLAIM = Struct(_HEADER.format + _CLAIM.format[1:])
_SUM = Struct(">I")
_HAS_ID, _CHANGED, _SIZE = 0x80, 0x40, 0x3F
_MOST_LINE = 0xFFFF_FFFF
_EMPTY = Slot()
_MOST_CACHED = 20_000
_MOST_OWNERS = 100_000

Key = tuple[bytes, int]


def encode_slot(person: bytes, second: int, slot: Slot) -> bytes:
    """Return the slot as bytes, with a check sum over them and the slot's place, person and second."""
    known, moved = slot
    if len(known) == 1 and not moved:  # most of them
        blob = encode_known(known[0])
    else:
        blob = b"".join([*map(encode_known, known), *map(_encode_moved, moved)])
    return blob + _check_sum(person, second, blob)


def _check_sum(person: bytes, second: int, blob: bytes) -> bytes:
    return _SUM.pack(crc32(blob, crc32(person, second)))


def _encode_moved(moved_call: MovedCall) -> bytes:
    event, pairs = moved_call
    return _HEADER.pack(_MOVED, 0, b"", b"", event, 0, 0, len(pairs) // 8, 0) + pairs


def encode_known(known_call: KnownCall) -> bytes:
    """Return one entry as bytes."""
    _, second, taken, deed, total, event, pairs, call_id, claims, row = known_call
    moved, count = taken - second, len(pairs) // 8
    if len(claims) == 1 and not call_id:
        reading, has_id, other, line, changed = claims[0]
        if not (has_id or other or changed):  # the first claim of a call without an id
            line = min(line, _MOST_LINE)
            return (
                _HEADER_AND_CLAIM.pack(_KNOWN, moved, deed, total, event, 0, 1, count, row, reading, 0, line)
                + pairs
            )
    header = _HEADER.pack(_KNOWN, moved, deed, total, event, len(call_id), len(claims), count, row)
    return header + call_id + b"".join([_encode_claim(*one) for one in claims]) + pairs


def _encode_claim(reading: int, has_id: bool, total: bytes, line: int, changed: bool) -> bytes:
    flags = len(total) | has_id * _HAS_ID | changed * _CHANGED
    return _CLAIM.pack(reading, flags, min(line, _MOST_LINE)) + total


def decode_slot(person: bytes, second: int, blob: bytes) -> Slot:
    """Return the slot of a blob. Raises ValueError and struct.error if the blob is damaged."""
    blob, found = blob[: -_SUM.size], blob[-_SUM.size :]
    if found != _check_sum(person, second, blob):
        raise ValueError("its check sum is wrong")
    known_calls: list[KnownCall] = []
    moved_calls: list[MovedCall] = []
    at = 0
    while at < len(blob):
        kind, moved, deed, total, event, id_size, count, pairs_count, row = _HEADER.unpack_from(blob, at)
        at += _HEADER.size
        event_id = blob[at : at + id_size]
        at += id_size
        claims = []
        for _ in range(count):
            reading, flags, line = _CLAIM.unpack_from(blob, at)
            at += _CLAIM.size
            size = flags & _SIZE
            claim = Claim(reading, bool(flags & _HAS_ID), blob[at : at + size], line, bool(flags & _CHANGED))
            claims.append(claim)
            at += size
        pairs = blob[at : at + 8 * pairs_count]
        at += 8 * pairs_count
        if kind not in (_KNOWN, _MOVED) or at > len(blob) or (kind == _KNOWN and not claims):
            raise ValueError(f"kind {kind}, {len(blob)} bytes")
        if kind == _MOVED:
            moved_calls.append(MovedCall(event, pairs))
        else:
            taken = second + moved
            known_calls.append(
                KnownCall(person, second, taken, deed, total, event, pairs, event_id, tuple(claims), row)
            )
    return Slot(tuple(known_calls), tuple(moved_calls))


class SlotTable:
    """The slots of a ledger: changed in memory while a batch is planned, written when it commits.

    `schemas` are searched in this order; writes go to the first. A dry run lays one over the ledger's.
    """

    def __init__(self, database: sqlite3.Connection, schemas: tuple[str, ...]) -> None:
        self._database = database
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
        self._owners: dict[bytes, Owner] = {}
        self._new_owners: dict[bytes, Owner] = {}
        self._new_led: defaultdict[bytes, set[bytes]] = defaultdict(set)
        """By leader, the people that aliases made part of it, as far as they are not written yet."""
        self._owner_queries = [
            f"SELECT persona, identity, leader FROM {name}.owners WHERE person = ?" for name in schemas
        ]
        self._led_queries = [
            f"SELECT person FROM {name}.owners WHERE leader = ? AND leader <> x''" for name in schemas
        ]
        self._has_owners_on_disk = any(
            database.execute(f"SELECT 1 FROM {name}.owners LIMIT 1").fetchone() for name in schemas
        )
        self._changed = ChangedTable(database, schemas)
        self._rows = RowTable(database, schemas)
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
        known = self._owners.get(person)
        if known is None and self._has_owners_on_disk:
            with decoding(self._database, "owners"):
                for query in self._owner_queries:
                    found = self._database.execute(query, (person,)).fetchone()
                    if found is not None:
                        expect(found, str, bytes, bytes)
                        known = self._owners[person] = Owner(*found)
                        break
        return known

    def set_owner(self, person: bytes, owner: Owner) -> None:
        """Remember the owner of a person, for now in memory."""
        self._owners[person] = owner
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
        self._database.executemany(
            "INSERT OR REPLACE INTO main.slots (second, person, calls) VALUES (?, ?, ?)",
            [
                (second, person, encode_slot(person, second, self._dirty[second, person]))
                for second, person in sorted(self._dirty)
            ],
        )
        self._dirty.clear()
        if self._new_owners:
            self._database.executemany(
                "INSERT OR REPLACE INTO main.owners VALUES (?, ?, ?, ?)",
                [(person, *owner) for person, owner in self._new_owners.items()],
            )
            self._new_owners.clear()
            self._new_led.clear()
        if self._ids:
            self._database.executemany(
                "INSERT OR REPLACE INTO main.ids (id, person, second) VALUES (?, ?, ?)",
                [(event_id, *home) for event_id, home in self._ids.items()],
            )
            self._ids.clear()
        # Not `Remembered`, which might forget a change before it is written: these are emptied only here.
        if len(self._cache) > _MOST_CACHED:
            self._empty_cache()
        if len(self._owners) > _MOST_OWNERS:
            self._forget_owners()

    def _forget_owners(self) -> None:
        self._owners.clear()
        self._has_owners_on_disk = True

    def _empty_cache(self) -> None:
        self._cache.clear()
        self._latest_on_disk = self._latest

    @property
    def is_ahead(self) -> bool:
        """Whether changes are in memory alone."""
        ahead = self._changed.is_ahead or self._rows.is_ahead
        return bool(self._dirty or self._ids or self._new_owners or ahead)

    def discard(self) -> None:
        """Forget the changes that were not written."""
        self._empty_cache()
        self._dirty.clear()
        self._ids.clear()
        self._forget_owners()
        self._new_owners.clear()
        self._new_led.clear()
        self._changed.discard()
        self._rows.discard()


def _query_of_all(schema: str, above: tuple[str, ...]) -> str:
    """Return the query for the slots of wanted people in a schema, without those that `above` replace."""
    return f"SELECT second, person, calls FROM {schema}.slots AS slot WHERE person IN temp.wanted" + "".join(
        f" AND NOT EXISTS (SELECT 1 FROM {name}.slots AS other "
        "WHERE other.second = slot.second AND other.person = slot.person)"
        for name in above
    )
