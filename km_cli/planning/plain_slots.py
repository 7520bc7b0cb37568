"""Slots in plain dictionaries, for tests and as the shortest explanation of the protocol.

The ledger's slots give the same answers: `tests/test_slots.py` runs one suite over both.
"""

from __future__ import annotations

from km_cli.model import ChangedCall, KnownCall, KnownRow, Owner, Slot

_EMPTY = Slot()


class PlainSlots:
    """The `Slots` of `protocols`, in memory."""

    def __init__(self) -> None:
        self.refused = 0
        self._slots: dict[tuple[bytes, int], Slot] = {}
        self._ids: dict[bytes, tuple[bytes, int]] = {}
        self._rows: list[KnownRow] = []
        self._owners: dict[bytes, Owner] = {}
        self._changed: dict[tuple[int, bytes, int, bytes, bytes], ChangedCall] = {}

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
