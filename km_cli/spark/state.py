"""A person's slots while its rows are planned: its calls in the receipts, and the changes since."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from km_cli.model import KnownCall, KnownValue, Slot
from km_cli.planning.plain_slots import PlainSlots, PlainValues

_VALUE = Struct(">qqqqq")


def pack_value(value: KnownValue) -> bytes:
    """Return a value as bytes."""
    return _VALUE.pack(*value[:-1]) + value.value


def unpack_value(packed: bytes) -> KnownValue:
    """Return the value that `pack_value` wrote. Raises struct.error if it is damaged."""
    moment, place, first, last, taken = _VALUE.unpack_from(packed)
    return KnownValue(moment, place, first, last, taken, packed[_VALUE.size :])


class Place(NamedTuple):
    """The place by which a call is known for ever, beside its person: see `spark.tables`."""

    reading: int
    row: int
    part: int


Seat = tuple[int, int]
"""A call of the person: the second of its slot, and its number in the slot. Calls are never taken out."""


class PersonValues(PlainValues):
    """The values of a person's properties. `changed` are those that are not in the receipts."""

    def __init__(self) -> None:
        super().__init__()
        self.changed: dict[tuple[bytes, int, int], KnownValue] = {}

    def put(self, key: bytes, value: KnownValue) -> None:
        """Keep a value, in place of the one with the same moment and place."""
        super().put(key, value)
        self.changed[(key, value.moment, value.place)] = value

    def begin(self) -> None:
        """Begin with a person of whom nothing is known."""
        self.clear()
        self.changed.clear()


class PersonSlots(PlainSlots):
    """The slots of one person after the other. All that is kept is thrown away at the next person.

    `fresh` are the calls that were added since it was emptied, `changed` those that were replaced.
    """

    def __init__(self) -> None:
        super().__init__()
        self.person_values = self.values = PersonValues()
        self.begin()

    def begin(self) -> None:
        """Begin with a person of whom nothing is known."""
        self.person_values.begin()
        self._slots.clear()
        self._ids.clear()
        self._rows.clear()
        self._owners.clear()
        self._changed.clear()
        self.fresh: list[Seat] = []
        self.changed: dict[Seat, None] = {}
        self.places: dict[int, list[Place]] = {}

    def put(self, person: bytes, second: int, slot: Slot) -> None:
        """Replace the slot, and note which of its calls are new or changed."""
        before, now = self.slot(person, second).known, slot.known
        if before is not now:
            for at, (old, new) in enumerate(zip(before, now, strict=False)):
                if old is not new:
                    self.changed[second, at] = None
            self.fresh += [(second, at) for at in range(len(before), len(now))]
        super().put(person, second, slot)

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
        return self.places[second][at]

    def seat(self, seat: Seat, place: Place) -> None:
        """Note the place of a call. The calls of a slot come in their order."""
        second, at = seat
        places = self.places.setdefault(second, [])
        assert len(places) == at, "a call before it has no place"
        places.append(place)
