"""Looks into slots with very many calls: in a log of dates, all events of a day are in one second.

Looking through such a slot for every call would take time that grows with the slot. So an index of the slot
is kept, and grows with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from km_cli.memory import Remembered
from km_cli.model import KnownCall, Slot

_MANY = 20
_MOST_REMEMBERED = 2000


class _Crowd:
    """The index of one slot: the calls that stand in its second, and its known calls by their deed."""

    def __init__(self, slot: Slot, second: int) -> None:
        self.slot = slot
        self.standing = list(slot.standing(second))
        self.by_deed: defaultdict[bytes, list[KnownCall]] = defaultdict(list)
        for known_call in slot.known:
            self.by_deed[known_call.deed].append(known_call)


class Crowds:
    """The indexes of the slots with many calls that were looked at last."""

    def __init__(self) -> None:
        self._known: Remembered[tuple[bytes, int], _Crowd] = Remembered(_MOST_REMEMBERED)

    def standing(self, slot: Slot, second: int) -> Iterable[tuple[bytes, bytes]]:
        """Return event and pairs of each call that is sent with the second of this slot."""
        return slot.standing(second) if len(slot.known) < _MANY else self._crowd(slot).standing

    def with_deed(self, slot: Slot, deed: bytes) -> Sequence[KnownCall]:
        """Return the known calls of a slot that have this deed."""
        if len(slot.known) < _MANY:
            return [known_call for known_call in slot.known if known_call.deed == deed]
        return self._crowd(slot).by_deed.get(deed, ())

    def _crowd(self, slot: Slot) -> _Crowd:
        person, second, *_ = slot.known[0]
        crowd = self._known.get((person, second))
        if crowd is None or crowd.slot is not slot:
            crowd = self._known.remember((person, second), _Crowd(slot, second))
        return crowd

    def grow(self, slot: Slot, to: Slot, known_call: KnownCall) -> None:
        """Note that a slot was replaced by one that has one more known call."""
        crowd = self._known.get((known_call.person, known_call.second))
        if crowd is not None and crowd.slot is slot:
            crowd.slot = to
            crowd.by_deed[known_call.deed].append(known_call)
            if known_call.taken == known_call.second:
                crowd.standing.append((known_call.event, known_call.pairs))
