"""The claims of readings on known calls: each says that a row of that reading is the call."""

from __future__ import annotations

from km_cli.model import Claim, KnownCall, Slot
from km_cli.planning.decision import RowDecision
from km_cli.planning.fingerprints import CallFingerprint
from km_cli.protocols import Slots

MOST_CLAIMS = 16
"""How many claims a call keeps, the first and the last ones: a nightly export must not let slots grow.

A reading loses its claim when fifteen later ones have claimed the call. If its file grows after that, a row
that is alike with the call is still known, by the call itself. Only a new row with the deed and other values
is taken for a row of another reading: it is a conflict, and rejected, unless `overlap` decides. So nothing is
lost or sent twice without a word.
"""


class Claims:
    """Notes in the slots which rows are known calls."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots

    def claim(
        self,
        known_call: KnownCall,
        fingerprint: CallFingerprint,
        decision: RowDecision,
        *,
        changed: bool = False,
    ) -> KnownCall:
        """Note that a row of this reading is the call: its line, its fingerprint, and the id it has there.

        A call that was sent without an id gets the first one that a reading has for it, so that the id is
        known from now on.
        """
        total = b"" if known_call.row and fingerprint.total == known_call.total else fingerprint.total
        claim = Claim(decision.reading, fingerprint.id != b"", total, decision.line, changed)
        others = tuple(other for other in known_call.claims if other.reading != claim.reading)
        if len(others) >= MOST_CLAIMS:
            others = (others[0], *others[2 - MOST_CLAIMS :])
        claimed = known_call._replace(claims=(*others, claim), id=fingerprint.id or known_call.id)
        if claimed.id != known_call.id:
            self._slots.keep_id(claimed.id, known_call.person, known_call.second)
        if claimed != known_call:
            self._replace(known_call, claimed)
        return claimed

    def _replace(self, known_call: KnownCall, by: KnownCall) -> None:
        slot = self._slots.slot(known_call.person, known_call.second)
        calls = tuple(by if other == known_call else other for other in slot.known)
        self._slots.put(known_call.person, known_call.second, Slot(calls, slot.moved))


def is_free(known_call: KnownCall, fingerprint: CallFingerprint, decision: RowDecision) -> bool:
    """Tell whether the row may claim the call: its reading has no claim, or one of a row taken for changed.

    Two different ids are never one event. But if the call has its id from a row that was taken for changed,
    that id goes when the row goes, and does not count.
    """
    both_have_ids = bool(fingerprint.id and known_call.id)
    claim = known_call.claim_of(decision.reading)
    if claim is None:
        return not both_have_ids
    return claim.changed and (claim.has_id or not both_have_ids)


def is_changed_row(known_call: KnownCall, fingerprint: CallFingerprint) -> bool:
    """Tell whether the row was taken for changed by all readings that have it as a row of the call."""
    total = fingerprint.total
    return total != known_call.total and all(
        claim.changed for claim in known_call.claims if claim.total == total
    )
