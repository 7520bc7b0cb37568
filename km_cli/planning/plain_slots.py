"""Slots in plain dictionaries, for tests and as the shortest explanation of the protocol.

The ledger's slots give the same answers: `tests/test_slots.py` runs one suite over both.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping

from km_cli.model import NANOSECONDS, ChangedCall, KnownCall, KnownRow, KnownValue, Owner, Slot

_EMPTY = Slot()


class PlainValues(dict[bytes, dict[tuple[int, int], KnownValue]]):
    """The `Values` of `protocols`, in memory."""

    @property
    def is_empty(self) -> bool:
        """Whether no value was ever sent because it changed."""
        return not self

    def until(self, key: bytes, moment: int) -> Iterator[KnownValue]:
        """Yield the values of this moment and before it, the latest first."""
        known = self.get(key, {})
        return (known[at] for at in sorted(known, reverse=True) if at[0] <= moment)

    def after(self, key: bytes, moment: int) -> KnownValue | None:
        """Return the earliest value of a later moment."""
        known = self.get(key, {})
        later = [at for at in known if at[0] > moment]
        return known[min(later)] if later else None

    def put(self, key: bytes, value: KnownValue) -> None:
        """Keep a value, in place of the one with the same moment and place."""
        self.setdefault(key, {})[value[:2]] = value

    def forget(self, key: bytes, second: int, taken: int, value: bytes) -> None:
        """Forget the value of this second that was sent with `taken`."""
        known = self.get(key, {})
        for at, one in list(known.items()):
            if (one.moment // NANOSECONDS, one.taken, one.value[:4]) == (second, taken, value):
                del known[at]


class PlainSlots:
    """The `Slots` of `protocols`, in memory."""

    def __init__(self) -> None:
        self.refused = 0
        self.values = PlainValues()
        self._slots: MutableMapping[tuple[bytes, int], Slot] = {}
        self._ids: MutableMapping[bytes, tuple[bytes, int]] = {}
        self._rows: list[KnownRow] = []
        self._owners: dict[bytes, Owner] = {}
        self._changed: MutableMapping[tuple[int, bytes, int, bytes, bytes], ChangedCall] = {}

    def slot(self, person: bytes, second: int) -> Slot:
        """Return the slot, an empty one if the person has no call in that second."""
        return self._slots.get((person, second), _EMPTY)

    def put(self, person: bytes, second: int, slot: Slot) -> None:
        """Replace the slot."""
        self._slots[person, second] = slot

    def slot_of_id(self, event_id: bytes) -> tuple[bytes, int] | None:
        """Return person and second of the slot that keeps the call with this id."""
        return self._ids.get(event_id)

    def keep_id(self, event_id: bytes, person: bytes, second: int) -> None:
        """Remember which slot keeps the call with this id."""
        self._ids[event_id] = (person, second)

    def keep_row(self, row: KnownRow) -> int:
        """Keep the columns of a row; return its number."""
        self._rows.append(row)
        return len(self._rows)

    def row(self, number: int) -> KnownRow | None:
        """Return the row with this number."""
        return self._rows[number - 1] if 0 < number <= len(self._rows) else None

    def owner(self, person: bytes) -> Owner | None:
        """Return the owner of a person."""
        return self._owners.get(person)

    def set_owner(self, person: bytes, owner: Owner) -> None:
        """Remember the owner of a person, in place of the one before."""
        self._owners[person] = owner

    def is_leader(self, person: bytes) -> bool:
        """Tell whether an alias made another person part of this one."""
        return person != b"" and any(owner.leader == person for owner in self._owners.values())

    def keep_changed(self, reading: int, known_call: KnownCall, changed: ChangedCall) -> None:
        """Keep the call of a row that this reading took for `known_call`."""
        self._changed[_key(reading, known_call)] = changed

    def take_changed(self, reading: int, known_call: KnownCall) -> ChangedCall | None:
        """Return and forget the call that was kept for this reading and `known_call`."""
        return self._changed.pop(_key(reading, known_call), None)


def _key(reading: int, known_call: KnownCall) -> tuple[int, bytes, int, bytes, bytes]:
    return reading, known_call.person, known_call.second, known_call.deed, known_call.total
