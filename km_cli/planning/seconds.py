"""Chooses the second of a call: the first one, from its own on, in which Kissmetrics does not merge it.

A second is chosen once, when the call is planned, and kept with the call. It depends on the slots and on the
order of the rows alone, so that the same files over an empty ledger always get the same seconds (promise 6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import NamedTuple

from km_cli.memory import Remembered
from km_cli.model import (
    NO_EVENT,
    Gain,
    KnownCall,
    MovedCall,
    Owner,
    PlannedCall,
    Record,
    Set,
    Slot,
    Timed,
    Wired,
    split_pairs,
)
from km_cli.model.making import maker
from km_cli.planning.crowds import Crowds
from km_cli.planning.decision import NotPlanned, RowDecision
from km_cli.planning.fingerprints import CallFingerprint
from km_cli.planning.limits import Limits, check_limits
from km_cli.protocols import Slots

_gain, _known_call, _planned_call, _slot = maker(Gain), maker(KnownCall), maker(PlannedCall), maker(Slot)


_MOST_REMEMBERED = 100_000


class Collisions(Enum):
    """How to treat a call that Kissmetrics would merge with another (D1, D2)."""

    SPREAD = "spread"
    KEEP = "keep"
    REJECT = "reject"


class Room(NamedTuple):
    """The seconds that a Set may take: from `begin` on, and before `end` if there is one.

    They lie behind the value before it and ahead of the value after it, which it must not overwrite.
    """

    begin: int = 0
    end: int | None = None


_ANYWHERE = Room()

Encode = Callable[[Wired, int], bytes]
"""Returns the final bytes of a call with its second, but for the key."""


def no_bytes(_call: Wired, _second: int) -> bytes:
    """Return no bytes, for a dry run: nothing reads them."""
    return b""


class Seconds:
    """Chooses seconds. `spread` is how many seconds a call may be moved by; `limits` is as for Planner."""

    def __init__(
        self,
        slots: Slots,
        spread: int,
        collisions: Collisions,
        encode: Encode,
        limits: Limits | None = None,
    ) -> None:
        self._slots = slots
        self._limits = limits
        self._encode = encode
        self._spread = spread if collisions is Collisions.SPREAD else 0
        self._collisions = collisions
        self.crowds = Crowds()
        self._refused = slots.refused
        self._taken: Remembered[tuple[bytes, int, bytes, bytes | None], int] = Remembered(_MOST_REMEMBERED)
        """The first second after a call's own that may be free for an event, or for event and properties."""

    def plan(self, call: Timed, fingerprint: CallFingerprint, own: Slot, decision: RowDecision) -> None:
        """Choose the second of a new call, take it, and plan the call. `own` is the slot of its own second.

        Raises NotPlanned.
        """
        check_limits(self._limits, call)
        taken = fingerprint.second
        if own.known or own.moved:
            taken = self._choose(call, fingerprint, own, decision)
        self._plan_at(taken, call, fingerprint, own, decision)

    def plan_set(
        self, call: Set, fingerprint: CallFingerprint, decision: RowDecision, room: Room = _ANYWHERE
    ) -> int:
        """Plan a Set with a second that lies within `room`; return that second. Raises NotPlanned."""
        check_limits(self._limits, call)
        own = self._slots.slot(fingerprint.person, fingerprint.second)
        taken = self._choose_for_set(call, fingerprint, decision, room)
        self._plan_at(taken, call, fingerprint, own, decision)
        return taken

    def _plan_at(
        self, taken: int, call: Timed, fingerprint: CallFingerprint, own: Slot, decision: RowDecision
    ) -> None:
        """Take a second for a new call, and plan the call. `own` is the slot of its own second."""
        person, identity, second, deed, total, event, pairs, call_id, _, names = fingerprint
        is_new_person = person in decision.new_people
        if taken != second or own.known or own.moved:
            there = own if taken == second else self._slots.slot(person, taken)
            gain = there.gain(event, pairs, taken)._replace(people=int(is_new_person))
        else:
            gain = _gain((int(is_new_person), event, names))
        row_number = decision.keep_row(self._slots) if type(call) is Record else 0
        claims = decision.first_claims(has_id=call_id != b"")
        known_call = _known_call(
            (person, second, taken, deed, total, event, pairs, call_id, claims, row_number)
        )
        self._take(known_call, own)
        if is_new_person:
            decision.new_people.discard(person)
            self._slots.set_owner(person, Owner(call.persona, identity))
        payload = self._encode(call, taken)
        planned_call = _planned_call(
            (call.site, call.persona, payload, person, second, taken, deed, total, 0, 0)
        )
        decision.plan(planned_call, call, gain)

    def _take(self, known_call: KnownCall, own: Slot) -> None:
        """Put a call into the slots.

        The call is kept in the slot of its own second even if it is sent with a later one: when its row comes
        again, only the row's own time is known. The slot of the later second gets a MovedCall, so that no
        other call merges with this one there.
        """
        person, second, taken, *_ = known_call
        grown = _slot(((*own.known, known_call), own.moved))
        self._slots.put(person, second, grown)
        if len(own.known) > 1:
            self.crowds.grow(own, grown, known_call)
        if taken != second:
            there = self._slots.slot(person, taken)
            moved_call = MovedCall(known_call.event, known_call.pairs)
            self._slots.put(person, taken, Slot(there.known, (*there.moved, moved_call)))
        if known_call.id:
            self._slots.keep_id(known_call.id, person, second)

    def _choose(self, call: Timed, fingerprint: CallFingerprint, own: Slot, decision: RowDecision) -> int:
        """Return the first second that is free at this call's turn (promise 6). Raises NotPlanned.

        If no second is free, a second without the event is the next best: there the event counts (D1), and
        only a property value is lost (D2).
        """
        first = fingerprint.second
        rule = self._rule_in(first, fingerprint)
        if not rule:
            return first
        if rule == "D1" and (fingerprint.event, fingerprint.pairs) in self.crowds.standing(own, first):
            decision.note_alike(call)
        free = self._free_after(fingerprint)
        if free is not None:
            decision.note_moved(rule, call, free - first)
            return free
        seconds = range(first, first + self._spread + 1)
        without_event = next((second for second in seconds if self._rule_in(second, fingerprint) == "D2"), -1)
        if self._collisions is Collisions.REJECT or without_event < 0:
            return self._keep_or_reject(call, fingerprint, rule, decision)
        decision.note_lost(call)
        return without_event

    def _choose_for_set(
        self, call: Set, fingerprint: CallFingerprint, decision: RowDecision, room: Room
    ) -> int:
        """Return the first second in `room` without another value of a property (D2). Raises NotPlanned.

        If all of them have another value, one value is lost: that is better than one after the next change.
        """
        first, last = fingerprint.second, fingerprint.second + self._spread
        begin = max(first, room.begin)
        end = last if room.end is None else min(last, room.end - 1)
        for second in range(begin, end + 1):
            if not self._rule_in(second, fingerprint):
                if second != first:
                    decision.note_moved("D2", call, second - first)
                return second
        is_full = self._collisions is Collisions.SPREAD and begin > last + 1
        if self._collisions is Collisions.REJECT or is_full:
            return self._keep_or_reject(call, fingerprint, "D2", decision)
        decision.note_lost(call)
        return min(begin, last)

    def _free_after(self, fingerprint: CallFingerprint) -> int | None:
        """Return the first free second after the call's own; None if there is none within the spread.

        A second that is taken stays taken, as long as no call is refused. So the search goes on where the
        last one for the same event, or for the same event and properties, has ended.
        """
        if self._slots.refused != self._refused:
            self._refused = self._slots.refused
            self._taken.clear()
        first, last = fingerprint.second, fingerprint.second + self._spread
        of_event = (fingerprint.person, first, fingerprint.event, None)
        of_call = (fingerprint.person, first, fingerprint.event, fingerprint.pairs)
        with_event = self._taken.get(of_event, first + 1)
        second = max(with_event, self._taken.get(of_call, first + 1))
        while second <= last and (rule := self._rule_in(second, fingerprint)):
            with_event += with_event == second and rule == "D1"
            second += 1
        self._taken.remember(of_event, with_event)
        self._taken.remember(of_call, second)
        return second if second <= last else None

    def _rule_in(self, second: int, fingerprint: CallFingerprint) -> str:
        """Return the rule by which Kissmetrics would merge the call with one in a second, "" if none."""
        standing = list(self.crowds.standing(self._slots.slot(fingerprint.person, second), second))
        event = fingerprint.event
        if event != NO_EVENT and any(event == other for other, _ in standing):
            return "D1"
        return "D2" if _has_other_value(standing, fingerprint) else ""

    def _keep_or_reject(
        self, call: Timed, fingerprint: CallFingerprint, rule: str, decision: RowDecision
    ) -> int:
        """Return the call's own second if `--collisions keep` was asked for. Raises NotPlanned otherwise."""
        first = fingerprint.second
        if self._collisions is Collisions.KEEP:
            decision.note_merged(call)
            standing = self._slots.slot(fingerprint.person, first).standing(first)
            if _has_other_value(standing, fingerprint):
                decision.note_lost(call)
            return first
        decision.note_full(call, rule)
        done = (
            f"{call.identity!r} did {call.event!r}" if rule == "D1" else f"{call.identity!r} has properties"
        )
        span = (
            f"in the same second and in the {self._spread} after it" if self._spread else "in the same second"
        )
        raise NotPlanned(
            f"{rule}-full",
            f"{done} already {span}: Kissmetrics would merge them (a larger --spread, or --collisions keep)",
        )


def _has_other_value(standing: Iterable[tuple[bytes, bytes]], fingerprint: CallFingerprint) -> bool:
    """Tell whether a property of the call has another value among the calls of a second (D2)."""
    own: dict[bytes, bytes] | None = None
    for _, pairs in standing:
        if pairs != fingerprint.pairs and pairs:
            own = own if own is not None else dict(split_pairs(fingerprint.pairs))
            if any(own.get(name, value) != value for name, value in split_pairs(pairs)):
                return True
    return False
