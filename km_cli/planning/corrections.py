"""Lines of which a corrected reject was sent: whatever is corrected later, the line is not sent again.

A corrected reject belongs to the reading and the line that it came from (promise 5). A person may import it
twice, with two different times. The second one has another deed, so nothing but its line shows that it was
sent. The ledger therefore keeps an id for each line and part that was sent in this way, as it does for the
log's own ids.
"""

from __future__ import annotations

from km_cli.model import NO_EVENT, KnownCall, Record, Timed, part_of, split_pairs
from km_cli.planning.decision import RowDecision
from km_cli.planning.digests import digest
from km_cli.planning.fingerprints import CallFingerprint
from km_cli.protocols import Slots


class Corrections:
    """The lines of corrected rejects that were sent, by site and part of the row."""

    def __init__(self, slots: Slots, tracker: str) -> None:
        self._slots = slots
        self._tracker = tracker

    def repeats(self, call: Timed, fingerprint: CallFingerprint, decision: RowDecision) -> bool:
        """Tell whether the line of a corrected reject was sent before as another call; if so, note that.

        A record with the deed that was sent is left to `Matching`, and properties of that moment with the
        values that were sent to `Sets`: some may be owed still. A call that the destination refused is not in
        the slots any more, and may be sent.
        """
        if not decision.is_corrected:
            return False
        place = self._slots.slot_of_id(self._id(call, decision))
        known_call = self._of_line(call, *place, decision) if place else None
        if known_call is None:
            return False
        is_same = place == (fingerprint.person, fingerprint.second) and known_call.deed == fingerprint.deed
        if is_same and (type(call) is Record or _has_all_of(known_call, fingerprint)):
            return False
        decision.note_sent_line(call)
        return True

    def keep(self, call: Timed, fingerprint: CallFingerprint, decision: RowDecision) -> None:
        """Remember the call of a corrected reject, if one of its line is in the slots now."""
        if not decision.is_corrected:
            return
        place = (fingerprint.person, fingerprint.second)
        if self._of_line(call, *place, decision):
            self._slots.keep_id(self._id(call, decision), *place)

    def _of_line(self, call: Timed, person: bytes, second: int, decision: RowDecision) -> KnownCall | None:
        """Return the call of this slot that was sent from the row's line, None if there is none."""
        is_event = type(call) is Record
        for known_call in self._slots.slot(person, second).known:
            claim = known_call.claim_of(decision.reading)
            is_of_line = claim is not None and claim.line == decision.line
            if is_of_line and (known_call.event != NO_EVENT) is is_event:
                return known_call
        return None

    def _id(self, call: Timed, decision: RowDecision) -> bytes:
        line = (str(decision.reading), str(decision.line))
        return digest(8, self._tracker, call.site, part_of(call), "corrected", *line)


def _has_all_of(known_call: KnownCall, fingerprint: CallFingerprint) -> bool:
    """Tell whether a row has all properties of a call. Of followed columns only changes were sent."""
    known = set(split_pairs(known_call.pairs))
    return fingerprint.total in known_call.totals or known <= set(split_pairs(fingerprint.pairs))
