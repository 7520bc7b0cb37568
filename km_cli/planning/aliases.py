"""Which aliases may be sent: those that make one person of no others (I2)."""

from __future__ import annotations

from km_cli.model import NO_EVENT, NO_SECOND, Alias, Gain, KnownCall, Owner, PlannedCall, part_of
from km_cli.planning.decision import NotPlanned, RowDecision
from km_cli.planning.fingerprints import Fingerprint, Fingerprints
from km_cli.protocols import Slots


class Aliases:
    """Decides on aliases by whose the people are."""

    def __init__(self, slots: Slots, fingerprints: Fingerprints) -> None:
        self._slots = slots
        self._fingerprints = fingerprints

    def decide(self, call: Alias, fingerprint: Fingerprint, decision: RowDecision) -> None:
        """Decide on an alias, unless its persona owes something of the row: then it waits for that (I3)."""
        if decision.withholds(call):
            return
        try:
            self._decide(call, fingerprint, decision)
        except NotPlanned as error:
            decision.reject(error, part_of(call))

    def _decide(self, call: Alias, fingerprint: Fingerprint, decision: RowDecision) -> None:
        """Make two identities one person, if that makes one of no others (I2). Raises NotPlanned."""
        leader = self._slots.owner(fingerprint.person)
        other = self._slots.owner(fingerprint.other)
        made = self._fingerprints.of_other(call)
        if other == made or (leader is not None and leader.leader == fingerprint.other):
            return  # Known, whichever way round: its order does not matter.
        if other is not None and other.persona != call.persona:
            raise NotPlanned(
                "I2",
                f"{call.other!r} is the {other.persona}: an alias of the {call.persona} {call.identity!r} "
                "would make one person of both, for good",
            )
        if other is not None and other.identity != made.identity:
            raise NotPlanned("D4", f"{call.other!r} differs from an identity before only by commas or colons")
        if (other is not None and other.leader) or self._slots.leads(fingerprint.other):
            raise NotPlanned(
                "I2",
                f"{call.other!r} is an alias of another {call.persona}, or has aliases of its own: one more, "
                f"of {call.identity!r}, would make one person of them all, for good",
            )
        if leader is not None and leader.leader:
            raise NotPlanned(
                "I2",
                f"{call.identity!r} is an alias of another {call.persona}: with {call.other!r} as one more "
                "they would all be one person, for good",
            )
        if leader is None:
            self._slots.own(fingerprint.person, Owner(call.persona, fingerprint.identity))
        if other is None:
            decision.note_bare(call)
        self._slots.own(fingerprint.other, made)
        known_call = KnownCall(
            fingerprint.person, NO_SECOND, NO_SECOND, fingerprint.deed, b"", NO_EVENT, b"", b"", ()
        )
        both = leader is not None and other is not None
        decision.planned.append(PlannedCall(decision.row, call, known_call, Gain(people=-both)))
