"""A person's slots while its rows are planned: its calls in the receipts, and the changes since."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from struct import Struct
from typing import NamedTuple, cast

from km_cli.ledger.slot_bytes import decode_slot, encode_slot
from km_cli.model import ChangedCall, KnownCall, KnownRow, Slot
from km_cli.planning.plain_slots import PlainSlots
from km_cli.spark.person_values import PersonValues
from km_cli.spark.spilling import MOST, Form, Spilling, TemporaryDatabase


class Place(NamedTuple):
    """The place by which a call is known for ever, beside its person: see `spark.tables`."""

    reading: int
    row: int
    part: int


Seat = tuple[int, int]
"""A call of the person: the second of its slot, and its number in the slot. Calls are never taken out."""


_SECOND = Struct(">q")
_SEAT = Struct(">qq")
_PLACE = Struct(">qqq")

_SlotKey = tuple[bytes, int]
_CallKey = tuple[int, bytes, int, bytes, bytes]
"""Reading, person, second, deed and total: three digests of the same size."""


def _pack_slot_key(key: _SlotKey) -> bytes:
    person, second = key
    return person + _SECOND.pack(second)


def _unpack_slot_key(packed: bytes) -> _SlotKey:
    at = -_SECOND.size
    return packed[:at], _SECOND.unpack(packed[at:])[0]


def _pack_number(number: int) -> bytes:
    return _SECOND.pack(number)


def _unpack_number(packed: bytes) -> int:
    (number,) = _SECOND.unpack(packed)
    return int(number)


def _unpack_row(packed: bytes) -> KnownRow:
    reading, line = _SEAT.unpack_from(packed)
    return KnownRow(reading, line, packed[_SEAT.size :])


def _pack_call_key(key: _CallKey) -> bytes:
    reading, person, second, deed, total = key
    return _SEAT.pack(reading, second) + person + deed + total


def _unpack_call_key(packed: bytes) -> _CallKey:
    (reading, second), digests = _SEAT.unpack_from(packed), packed[_SEAT.size :]
    size = len(digests) // 3
    return reading, digests[:size], second, digests[size : 2 * size], digests[2 * size :]


_SLOTS: Form[_SlotKey, Slot] = Form(
    _pack_slot_key,
    _unpack_slot_key,
    lambda key, slot: encode_slot(*key, slot),
    lambda key, blob: decode_slot(*key, blob),
)
_IDS: Form[bytes, _SlotKey] = Form(
    bytes, bytes, lambda _, place: _pack_slot_key(place), lambda _, packed: _unpack_slot_key(packed)
)
_ROWS: Form[int, KnownRow] = Form(
    _pack_number,
    _unpack_number,
    lambda _, row: _SEAT.pack(row.reading, row.line) + row.columns,
    lambda _, packed: _unpack_row(packed),
)
_PLACES: Form[int, tuple[Place, ...]] = Form(
    _pack_number,
    _unpack_number,
    lambda _, places: b"".join([_PLACE.pack(*place) for place in places]),
    lambda _, packed: tuple(map(Place._make, _PLACE.iter_unpack(packed))),
)
_SEATS: Form[Seat, bytes] = Form(
    lambda seat: _SEAT.pack(*seat),
    lambda packed: cast(Seat, _SEAT.unpack(packed)),
    lambda _, nothing: nothing,
    lambda _, nothing: nothing,
)
_CHANGED: Form[_CallKey, ChangedCall] = Form(
    _pack_call_key,
    _unpack_call_key,
    lambda _, changed: pickle.dumps(changed),
    lambda _, packed: pickle.loads(packed),
)
"""Calls that were taken for others. No other process reads these bytes."""


class PersonSlots(PlainSlots):
    """The slots of one person after the other. All that is kept is thrown away at the next person.

    `fresh` are the calls that were added since it was emptied, `changed` those that were replaced. Of each
    kind `most` entries stay in memory: a person with more has the others in a temporary file.
    """

    def __init__(self, most: int = MOST) -> None:
        super().__init__()
        file = TemporaryDatabase()
        self.person_values = self.values = PersonValues(file, most)
        self._slots = Spilling(file, "slots", _SLOTS, most)
        self._ids = Spilling(file, "ids", _IDS, most)
        self._changed = Spilling(file, "changed_calls", _CHANGED, most)
        self._known_rows = Spilling(file, "known_rows", _ROWS, most)
        self._row_count = 0
        self._places = Spilling(file, "places", _PLACES, most)
        self._seats = Spilling(file, "seats", _SEATS, most)
        self.begin()

    def begin(self) -> None:
        """Begin with a person of whom nothing is known."""
        self.person_values.begin()
        for kept in (self._slots, self._ids, self._changed, self._known_rows, self._places, self._seats):
            kept.clear()
        self._owners.clear()
        self._row_count = 0
        self.fresh: list[Seat] = []

    @property
    def changed(self) -> Iterable[Seat]:
        """The calls that were replaced, each once."""
        return self._seats

    def settle(self) -> None:
        """Take all calls so far for those that the receipts have: none of them is fresh or changed."""
        self.fresh.clear()
        self._seats.clear()
        self.person_values.changed.clear()

    def put(self, person: bytes, second: int, slot: Slot) -> None:
        """Replace the slot, and note which of its calls are new or changed."""
        before, now = self.slot(person, second).known, slot.known
        if before is not now:
            for at, (old, new) in enumerate(zip(before, now, strict=False)):
                if old is not new and old != new:
                    self._seats[second, at] = b""
            self.fresh += [(second, at) for at in range(len(before), len(now))]
        super().put(person, second, slot)

    def keep_row(self, row: KnownRow) -> int:
        """Keep the columns of a row; return its number."""
        self._row_count += 1
        self._known_rows[self._row_count] = row
        return self._row_count

    def row(self, number: int) -> KnownRow | None:
        """Return the row with this number."""
        return self._known_rows.get(number)

    def all(self) -> Iterator[tuple[int, Slot]]:
        """Yield the slots of the person, each with its second."""
        for (_, second), slot in self._slots.items():
            yield second, slot

    def call(self, person: bytes, seat: Seat) -> KnownCall:
        """Return a call."""
        second, at = seat
        return self.slot(person, second).known[at]

    def place(self, seat: Seat) -> Place:
        """Return the place of a call."""
        second, at = seat
        return self._places[second][at]

    def seat(self, seat: Seat, place: Place) -> None:
        """Note the place of a call. The calls of a slot come in their order."""
        second, at = seat
        places = self._places.get(second, ()) or ()
        assert len(places) == at, "a call before it has no place"
        self._places[second] = (*places, place)
