"""Decides which aliases may be sent: only those that make one person of exactly two identities (I2).

Kissmetrics cannot undo an alias, and a chain of aliases merges everyone in it. So a person either leads (its
identity stands first in aliases) or is led by one other person, and both are of one persona.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from km_cli.model import NO_SECOND, Alias, Gain, Owner, PlannedCall, part_of
from km_cli.planning.decision import NotPlanned, RowDecision
from km_cli.planning.fingerprints import CallFingerprint, Fingerprints
from km_cli.planning.limits import Limits, check_limits
from km_cli.planning.seconds import Encode
from km_cli.protocols import Slots


class DecidesAliases(Protocol):
    """Decides on the aliases of a row, after all its other calls."""

    def decide(self, call: Alias, fingerprint: CallFingerprint, decision: RowDecision) -> None:
        """Plan or reject an alias, or leave it to others."""


class Aliases:
    """Decides on aliases, by the owners of the two people. `limits` is as for Planner."""

    def __init__(
        self, slots: Slots, fingerprints: Fingerprints, encode: Encode, limits: Limits | None = None
    ) -> None:
        self._slots = slots
        self._limits = limits
        self._encode = encode
        self._fingerprints = fingerprints

    def decide(self, call: Alias, fingerprint: CallFingerprint, decision: RowDecision) -> None:
        """Plan or reject an alias. If its persona's other calls in the row are rejected, the alias is too.

        An alias shows only when its identity has data (I3), so it is owed together with that data.
        """
        if decision.withholds(call):
            return
        try:
            self._decide(call, fingerprint, decision)
        except NotPlanned as error:
            decision.reject(error, part_of(call))

    def _decide(self, call: Alias, fingerprint: CallFingerprint, decision: RowDecision) -> None:
        """Make two identities one person. Raises NotPlanned if that would merge any others."""
        leader = self._slots.owner(fingerprint.person)
        other = self._slots.owner(fingerprint.other)
        owner = self._fingerprints.owner_through(call)
        if other == owner or (leader is not None and leader.leader == fingerprint.other):
            return  # The alias is known, perhaps in the other order, which does not matter.
        self._check(call, fingerprint, leader, other, owner)
        check_limits(self._limits, call)
        if leader is None:
            self._slots.set_owner(fingerprint.person, Owner(call.persona, fingerprint.identity))
        if other is None:
            decision.note_alias_without_data(call)
        self._slots.set_owner(fingerprint.other, owner)
        person, deed, payload = fingerprint.person, fingerprint.deed, self._encode(call, NO_SECOND)
        planned = PlannedCall(call.site, call.persona, payload, person, NO_SECOND, NO_SECOND, deed, total=b"")
        both_have_data = leader is not None and other is not None
        decision.plan(planned, call, Gain(people=-both_have_data))  # Two people that were counted become one.

    def _check(
        self,
        call: Alias,
        fingerprint: CallFingerprint,
        leader: Owner | None,
        other: Owner | None,
        owner: Owner,
    ) -> None:
        """Raise NotPlanned if the alias would make one person of more than its two identities."""
        if other is not None and other.persona != call.persona:
            raise NotPlanned(
                "I2",
                f"{call.other!r} is the {other.persona}: an alias of the {call.persona} {call.identity!r} "
                "would make one person of both, for good",
            )
        if other is not None and other.identity != owner.identity:
            raise NotPlanned(
                "D4-ids", f"{call.other!r} differs from an earlier identity only by commas or colons"
            )
        if (other is not None and other.leader) or self._slots.is_leader(fingerprint.other):
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


class WithheldAliases:
    """Rejects the aliases of rejected calls, and leaves all others to whoever knows both people."""

    def decide(self, call: Alias, fingerprint: CallFingerprint, decision: RowDecision) -> None:  # noqa: ARG002
        """Reject an alias if its persona's other calls in the row are rejected."""
        decision.withholds(call)


class DecidedAlias(NamedTuple):
    """An alias, with the owners that it gives to its people: the leader's, and the other's."""

    call: Alias
    decision: RowDecision
    leader: Owner
    other: Owner


class AliasesApart(Aliases):
    """Keeps the decisions on aliases apart from those on the rest of their rows, in `decided`.

    An alias that is rejected with other calls of its persona is none of them.
    """

    def __init__(
        self, slots: Slots, fingerprints: Fingerprints, encode: Encode, limits: Limits | None = None
    ) -> None:
        super().__init__(slots, fingerprints, encode, limits)
        self.decided: list[DecidedAlias] = []

    def decide(self, call: Alias, fingerprint: CallFingerprint, decision: RowDecision) -> None:
        """Plan or reject an alias, in a decision of its own."""
        if decision.withholds(call):
            return
        alone = RowDecision(decision.row, decision.reading)
        super().decide(call, fingerprint, alone)
        leader = Owner(call.persona, fingerprint.identity)
        self.decided.append(DecidedAlias(call, alone, leader, self._fingerprints.owner_through(call)))
