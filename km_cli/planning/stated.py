"""Decides on the properties that a row states: a row without an event only sets them (`--profiles`).

Kissmetrics gets them at the moment of the row, as often as rows state them, because it may have got another
value in between. Values that it has at that very moment are known: a file that comes again, or one more row
of the same account, sends nothing. Like events, rows are matched one for one across readings, and other
values of another reading at the same moment are a conflict (promise 5).
"""

from __future__ import annotations

from collections.abc import Sequence

from km_cli.model import NO_EVENT, KnownCall, Overlap, Set, Slot, split_pairs
from km_cli.planning.claims import Claims
from km_cli.planning.decision import NotPlanned, RowDecision
from km_cli.planning.fingerprints import CallFingerprint, old_deed_of_stated
from km_cli.planning.listing import list_values
from km_cli.planning.matching import Matching
from km_cli.planning.seconds import Room, Seconds
from km_cli.planning.sets import Sets
from km_cli.protocols import Slots

_SAME_MOMENT = "properties of the same identity at the same moment were sent before,"
_DECIDE = (
    ": if these values came later, import them with --overlap separate; if the values sent before are right, "
    "with --overlap repeats"
)


class StatedSets:
    """Decides on Sets that are stated."""

    def __init__(
        self, slots: Slots, seconds: Seconds, matching: Matching, claims: Claims, sets: Sets
    ) -> None:
        self._slots = slots
        self._claims = claims
        self._seconds = seconds
        self._matching = matching
        self._sets = sets

    def decide(self, call: Set, fingerprint: CallFingerprint, decision: RowDecision) -> None:
        """Plan the properties, unless they are known. Raises NotPlanned."""
        own = self._slots.slot(fingerprint.person, fingerprint.second)
        if own.known and self._knows(call, fingerprint, own, decision):
            return
        room = Room(_second_behind(own, fingerprint))
        taken = self._seconds.plan_set(call, fingerprint, decision, room)
        self._sets.note_stated(call, taken)

    def _knows(self, call: Set, fingerprint: CallFingerprint, own: Slot, decision: RowDecision) -> bool:
        """Claim a call for its reading if it is known; return whether it is. Raises NotPlanned."""
        old = old_deed_of_stated(call)
        if any(one.deed == old and one.total == fingerprint.total for one in own.known):
            return True
        candidates = self._matching.with_same_deed(own, fingerprint, decision)
        for known_call in candidates:
            if fingerprint.total in known_call.totals and _may_claim(known_call, decision):
                self._claims.claim(known_call, fingerprint, decision)
                return True
        return _are_latest(fingerprint, candidates) or self._is_repeated(
            call, fingerprint, candidates, decision
        )

    def _is_repeated(
        self, call: Set, fingerprint: CallFingerprint, candidates: Sequence[KnownCall], decision: RowDecision
    ) -> bool:
        """Decide on a row if values that differ were stated for its moment. Raises NotPlanned.

        A call that another row of this reading has claimed is matched already, so it does not conflict.
        """
        for known_call in candidates:
            if not _may_claim(known_call, decision):
                continue
            if not (columns := _differing(call, fingerprint, known_call)):
                continue
            is_line_again = known_call.claim_of(decision.reading) is not None
            overlap = self._matching.overlap(known_call, decision)
            if is_line_again or self._matching.is_read_again(known_call, decision):
                overlap = Overlap.REPEATS
            if overlap is Overlap.SEPARATE:
                continue
            here = list_values(columns, call.properties)
            origin = f"{self._matching.describe_origin(known_call, [], decision)}, with another {here}"
            if overlap is Overlap.ASK:
                raise NotPlanned("conflict", f"{_SAME_MOMENT} {origin}{_DECIDE}")
            self._claims.claim(known_call, fingerprint, decision)
            decision.note_changed(call, origin)
            return True
        return False


def _may_claim(known_call: KnownCall, decision: RowDecision) -> bool:
    """Tell whether the row may be the call: no other row of its reading is."""
    claim = known_call.claim_of(decision.reading)
    return claim is None or claim.line == decision.line != 0


def _are_latest(fingerprint: CallFingerprint, candidates: Sequence[KnownCall]) -> bool:
    """Tell whether the latest calls of the moment have all these values. Calls are kept in their order."""
    wanted = dict(split_pairs(fingerprint.pairs))
    for known_call in reversed(candidates):
        for name, value in split_pairs(known_call.pairs):
            if wanted.pop(name, value) != value:
                return False
        if not wanted:
            return True
    return False


def _differing(call: Set, fingerprint: CallFingerprint, known_call: KnownCall) -> list[str]:
    """Return the names of the properties that a known call has with other values."""
    known = dict(split_pairs(known_call.pairs))
    both = zip(call.properties, split_pairs(fingerprint.pairs), strict=True)
    return [name for (name, _), (mark, value) in both if known.get(mark, value) != value]


def _second_behind(own: Slot, fingerprint: CallFingerprint) -> int:
    """Return the second behind the last other value that was set from rows of the same second."""
    wanted = dict(split_pairs(fingerprint.pairs))
    for known_call in reversed(own.known):
        if known_call.event == NO_EVENT:
            pairs = split_pairs(known_call.pairs)
            if any(wanted.get(name, value) != value for name, value in pairs):
                return known_call.taken + 1
    return 0
