"""Which second a call gets: the first, from its own on, in which Kissmetrics merges it with nothing."""

from __future__ import annotations

from enum import Enum

from km_cli.model import (
    NO_EVENT,
    Claim,
    Gain,
    KnownCall,
    MovedCall,
    Owner,
    PlannedCall,
    Record,
    Slot,
    Timed,
    split_pairs,
)
from km_cli.planning.decision import NotPlanned, RowDecision
from km_cli.planning.fingerprints import Fingerprint
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

    def place(self, call: Timed, fingerprint: Fingerprint, decision: RowDecision) -> None:
        """Choose the second, take it, and put the call on the desk. Raises NotPlanned."""
        own = self._slots.slot(fingerprint.person, fingerprint.second)
        taken = fingerprint.second
        is_new = self._slots.owner(fingerprint.person) is None
        if own.known or own.moved:
            taken = self._choose(call, fingerprint, own, decision)
            more = self._slots.slot(fingerprint.person, taken).more(
                fingerprint.event, fingerprint.pairs, taken
            )
            gain = more._replace(people=int(is_new))
        else:
            gain = Gain(int(is_new), fingerprint.event, fingerprint.names)
        known_call = KnownCall(
            fingerprint.person,
            fingerprint.second,
            taken,
            fingerprint.deed,
            fingerprint.total,
            fingerprint.event,
            fingerprint.pairs,
            fingerprint.id,
            (Claim(decision.reading, fingerprint.id != b"", line=decision.line),),
            decision.row_number(self._slots) if type(call) is Record else 0,
        )
        self._slots.put(fingerprint.person, fingerprint.second, Slot((*own.known, known_call), own.moved))
        if taken != fingerprint.second:
            there = self._slots.slot(fingerprint.person, taken)
            moved_call = MovedCall(fingerprint.event, fingerprint.pairs)
            self._slots.put(fingerprint.person, taken, Slot(there.known, (*there.moved, moved_call)))
        if fingerprint.id:
            self._slots.file_id(fingerprint.id, fingerprint.person, fingerprint.second)
        if is_new:
            self._slots.own(fingerprint.person, Owner(call.persona, fingerprint.identity))
        decision.planned.append(PlannedCall(decision.row, call, known_call, gain))

    def _choose(self, call: Timed, fingerprint: Fingerprint, own: Slot, decision: RowDecision) -> int:
        """Return the first second that is free at this call's turn (promise 6)."""
        first = fingerprint.second
        without_event = -1
        clash = ""
        for second in range(first, first + self._spread + 1):
            slot = own if second == first else self._slots.slot(fingerprint.person, second)
            rule = _clash(slot, second, fingerprint)
            if (
                second == first
                and rule == "D1"
                and (fingerprint.event, fingerprint.pairs) in slot.standing(second)
            ):
                decision.note_alike(call)
            clash = clash or rule
            if not rule:
                if second != first:
                    decision.note_moved(clash, call, second - first)
                return second
            if rule == "D2" and without_event < 0:
                without_event = second
        if self._collisions is Collisions.REJECT or without_event < 0:
            return self._crowded(call, fingerprint, clash, decision)
        decision.note_lost(call)
        return without_event

    def _crowded(self, call: Timed, fingerprint: Fingerprint, clash: str, decision: RowDecision) -> int:
        """No second is free: keep the call where it is if that was asked for, else refuse it."""
        first = fingerprint.second
        if self._collisions is Collisions.KEEP:
            decision.note_merged(call)
            if _differs(self._slots.slot(fingerprint.person, first), first, fingerprint):
                decision.note_lost(call)
            return first
        decision.note_full(call, clash)
        what = (
            f"{call.identity!r} did {call.event!r}" if clash == "D1" else f"{call.identity!r} has properties"
        )
        span = (
            f"in the same second and in the {self._spread} after it" if self._spread else "in the same second"
        )
        raise NotPlanned(
            clash,
            f"{what} already {span}: Kissmetrics would merge them (a larger --spread, or --collisions keep)",
        )


def _clash(slot: Slot, second: int, fingerprint: Fingerprint) -> str:
    """Name the rule by which Kissmetrics would merge the call with one that stands there, or ""."""
    if fingerprint.event != NO_EVENT and any(
        event == fingerprint.event for event, _ in slot.standing(second)
    ):
        return "D1"
    return "D2" if _differs(slot, second, fingerprint) else ""


def _differs(slot: Slot, second: int, fingerprint: Fingerprint) -> bool:
    """Tell whether a property of the call has another value there (D2)."""
    mine: dict[bytes, bytes] | None = None
    for _, pairs in slot.standing(second):
        if pairs != fingerprint.pairs and pairs:
            mine = mine if mine is not None else dict(split_pairs(fingerprint.pairs))
            if any(mine.get(name, value) != value for name, value in split_pairs(pairs)):
                return True
    return False
