"""Lines of which a corrected reject was sent: whatever is corrected later, the line is not sent again.

A corrected reject belongs to the reading and the line that it came from (promise 5). A person may import it
twice, with two different times. The second one has another deed, so nothing but its line shows that it was
sent. The ledger therefore keeps an id for each line and part that was sent in this way, as it does for the
log's own ids. A file may have been read twice, under two mappings, and have a reject of the line from each
reading. Readings that have read the same bytes have the same lines.
"""

from __future__ import annotations

from km_cli.model import NO_EVENT, KnownCall, Record, Timed, part_of, split_pairs
from km_cli.planning.claims import Claims
from km_cli.planning.decision import RowDecision
from km_cli.planning.digests import digest
from km_cli.planning.fingerprints import CallFingerprint
from km_cli.protocols import OtherReadings, Slots


class Corrections:
    """The lines of corrected rejects that were sent, by site and part of the row."""

    def __init__(self, slots: Slots, tracker: str, others: OtherReadings, claims: Claims) -> None:
        self._slots = slots
        self._tracker = tracker
        self._others = others
        self._claims = claims

    def repeats(self, call: Timed, fingerprint: CallFingerprint, decision: RowDecision) -> bool:
        """Tell whether the line of a corrected reject was sent before as another call; if so, note that.

        A record with the deed that was sent is left to `Matching`, and properties of that moment with the
        values that were sent to `Sets`: some may be owed still. A call that the destination refused is not in
        the slots any more, and may be sent.
        """
        if not decision.is_corrected:
            return False
        known_call = self._known(call, decision.reading, decision.line)
        if known_call is None:
            return self._repeats_other(call, fingerprint, decision)
        if _is_of_deed(known_call, fingerprint) and (
            type(call) is Record or _has_all_of(known_call, fingerprint)
        ):
            return False
        decision.note_sent_line(call)
        return True

    def _repeats_other(self, call: Timed, fingerprint: CallFingerprint, decision: RowDecision) -> bool:
        """Tell whether the line was sent from another reading of the same bytes; if so, claim the call.

        The claim keeps a second row of this reading from being matched with the call.
        """
        for reading in self._others.of_same_bytes(decision.reading):
            known_call = self._known(call, reading, decision.line)
            if known_call is None or self._others.is_passed_over(decision.reading, reading):
                continue
            is_same = _is_of_deed(known_call, fingerprint)
            if type(call) is not Record and is_same and _has_all_of(known_call, fingerprint):
                return False
            if type(call) is Record and is_same:
                self._claims.claim(known_call, fingerprint, decision)
            if not is_same or fingerprint.total not in known_call.totals:
                decision.note_sent_line(call)
            return True
        return False

    def _known(self, call: Timed, reading: int, line: int) -> KnownCall | None:
        """Return the call that was sent from a corrected reject of a line, None if there is none."""
        place = self._slots.slot_of_id(self._id(call, reading, line))
        return self._of_line(call, *place, reading, line) if place else None

    def keep(self, call: Timed, fingerprint: CallFingerprint, decision: RowDecision) -> None:
        """Remember the call of a corrected reject, if one of its line is in the slots now."""
        if not decision.is_corrected:
            return
        place = (fingerprint.person, fingerprint.second)
        if self._of_line(call, *place, decision.reading, decision.line):
            self._slots.keep_id(self._id(call, decision.reading, decision.line), *place)

    def _of_line(self, call: Timed, person: bytes, second: int, reading: int, line: int) -> KnownCall | None:
        """Return the call of this slot that was sent from a line of a reading, None if there is none."""
        is_event = type(call) is Record
        for known_call in self._slots.slot(person, second).known:
            claim = known_call.claim_of(reading)
            is_of_line = claim is not None and claim.line == line
            if is_of_line and (known_call.event != NO_EVENT) is is_event:
                return known_call
        return None

    def _id(self, call: Timed, reading: int, line: int) -> bytes:
        place = (str(reading), str(line))
        return digest(8, self._tracker, call.site, part_of(call), "corrected", *place)


def _is_of_deed(known_call: KnownCall, fingerprint: CallFingerprint) -> bool:
    known = (known_call.person, known_call.second, known_call.deed)
    return known == (fingerprint.person, fingerprint.second, fingerprint.deed)


def _has_all_of(known_call: KnownCall, fingerprint: CallFingerprint) -> bool:
    """Tell whether a row has all properties of a call. Of followed columns only changes were sent."""
    known = set(split_pairs(known_call.pairs))
    return fingerprint.total in known_call.totals or known <= set(split_pairs(fingerprint.pairs))
