"""Which second a call gets: the first, from its own on, in which Kissmetrics merges it with nothing."""

from __future__ import annotations

from enum import Enum

from km_cli.model import (
    NO_EVENT,
    Claim,
    Filed,
    Guest,
    News,
    Owner,
    Placed,
    Record,
    Slot,
    Timed,
    split_pairs,
)
from km_cli.planning.decision import Desk, NotPlaced
from km_cli.planning.fingerprints import Print
from km_cli.protocols import Slots


class Collisions(Enum):
    """What happens to a call that Kissmetrics would merge with another (D1, D2)."""

    SPREAD = "spread"
    KEEP = "keep"
    REJECT = "reject"


class Seconds:
    """Gives calls their seconds. `spread` is how many seconds a call may be moved by."""

    def __init__(self, slots: Slots, spread: int, collisions: Collisions) -> None:
        self._slots = slots
        self._spread = spread if collisions is Collisions.SPREAD else 0
        self._collisions = collisions

    def place(self, call: Timed, mark: Print, desk: Desk) -> None:
        """Choose the second, take it, and put the call on the desk. Raises NotPlaced."""
        own = self._slots.slot(mark.person, mark.second)
        taken = mark.second
        is_new = self._slots.owner(mark.person) is None
        if own.filed or own.guests:
            taken = self._choose(call, mark, own, desk)
            more = self._slots.slot(mark.person, taken).more(mark.event, mark.pairs, taken)
            news = more._replace(people=int(is_new))
        else:
            news = News(int(is_new), mark.event, mark.names)
        filed = Filed(
            mark.person,
            mark.second,
            taken,
            mark.deed,
            mark.total,
            mark.event,
            mark.pairs,
            mark.id,
            (Claim(desk.reading, mark.id != b"", line=desk.line),),
            desk.row_number(self._slots) if type(call) is Record else 0,
        )
        self._slots.put(mark.person, mark.second, Slot((*own.filed, filed), own.guests))
        if taken != mark.second:
            there = self._slots.slot(mark.person, taken)
            guest = Guest(mark.event, mark.pairs)
            self._slots.put(mark.person, taken, Slot(there.filed, (*there.guests, guest)))
        if mark.id:
            self._slots.file_id(mark.id, mark.person, mark.second)
        if is_new:
            self._slots.own(mark.person, Owner(call.persona, mark.identity))
        desk.placed.append(Placed(desk.row, call, filed, news))

    def _choose(self, call: Timed, mark: Print, own: Slot, desk: Desk) -> int:
        """Return the first second that is free at this call's turn (promise 6)."""
        first = mark.second
        without_event = -1
        clash = ""
        for second in range(first, first + self._spread + 1):
            slot = own if second == first else self._slots.slot(mark.person, second)
            rule = _clash(slot, second, mark)
            if second == first and rule == "D1" and (mark.event, mark.pairs) in slot.standing(second):
                desk.note_alike(call)
            clash = clash or rule
            if not rule:
                if second != first:
                    desk.note_moved(clash, call, second - first)
                return second
            if rule == "D2" and without_event < 0:
                without_event = second
        if self._collisions is Collisions.REJECT or without_event < 0:
            return self._crowded(call, mark, clash, desk)
        desk.note_lost(call)
        return without_event

    def _crowded(self, call: Timed, mark: Print, clash: str, desk: Desk) -> int:
        """No second is free: keep the call where it is if that was asked for, else refuse it."""
        first = mark.second
        if self._collisions is Collisions.KEEP:
            desk.note_merged(call)
            if _differs(self._slots.slot(mark.person, first), first, mark):
                desk.note_lost(call)
            return first
        desk.note_full(call, clash)
        what = (
            f"{call.identity!r} did {call.event!r}" if clash == "D1" else f"{call.identity!r} has properties"
        )
        span = (
            f"in the same second and in the {self._spread} after it" if self._spread else "in the same second"
        )
        raise NotPlaced(
            clash,
            f"{what} already {span}: Kissmetrics would merge them (a larger --spread, or --collisions keep)",
        )


def _clash(slot: Slot, second: int, mark: Print) -> str:
    """Name the rule by which Kissmetrics would merge the call with one that stands there, or ""."""
    if mark.event != NO_EVENT and any(event == mark.event for event, _ in slot.standing(second)):
        return "D1"
    return "D2" if _differs(slot, second, mark) else ""


def _differs(slot: Slot, second: int, mark: Print) -> bool:
    """Tell whether a property of the call has another value there (D2)."""
    mine: dict[bytes, bytes] | None = None
    for _, pairs in slot.standing(second):
        if pairs != mark.pairs and pairs:
            mine = mine if mine is not None else dict(split_pairs(mark.pairs))
            if any(mine.get(name, value) != value for name, value in split_pairs(pairs)):
                return True
    return False
