"""Which aliases may be sent: those that make one person of no others (I2)."""

from __future__ import annotations

from km_cli.model import NO_EVENT, NO_SECOND, Alias, Filed, News, Owner, Placed, part_of
from km_cli.planning.decision import Desk, NotPlaced
from km_cli.planning.fingerprints import Print, Prints
from km_cli.protocols import Slots


class Aliases:
    """Decides on aliases by whose the people are."""

    def __init__(self, slots: Slots, prints: Prints) -> None:
        self._slots = slots
        self._prints = prints

    def decide(self, call: Alias, mark: Print, desk: Desk) -> None:
        """Decide on an alias, unless its persona owes something of the row: then it waits for that (I3)."""
        if desk.withholds(call):
            return
        try:
            self._decide(call, mark, desk)
        except NotPlaced as error:
            desk.reject(error, part_of(call))

    def _decide(self, call: Alias, mark: Print, desk: Desk) -> None:
        """Make two identities one person, if that makes one of no others (I2). Raises NotPlaced."""
        leader = self._slots.owner(mark.person)
        other = self._slots.owner(mark.other)
        made = self._prints.of_other(call)
        if other == made or (leader is not None and leader.leader == mark.other):
            return  # Known, whichever way round: its order does not matter.
        if other is not None and other.persona != call.persona:
            raise NotPlaced(
                "I2",
                f"{call.other!r} is the {other.persona}: an alias of the {call.persona} {call.identity!r} "
                "would make one person of both, for good",
            )
        if other is not None and other.identity != made.identity:
            raise NotPlaced("D4", f"{call.other!r} differs from an identity before only by commas or colons")
        if (other is not None and other.leader) or self._slots.leads(mark.other):
            raise NotPlaced(
                "I2",
                f"{call.other!r} is an alias of another {call.persona}, or has aliases of its own: one more, "
                f"of {call.identity!r}, would make one person of them all, for good",
            )
        if leader is not None and leader.leader:
            raise NotPlaced(
                "I2",
                f"{call.identity!r} is an alias of another {call.persona}: with {call.other!r} as one more "
                "they would all be one person, for good",
            )
        if leader is None:
            self._slots.own(mark.person, Owner(call.persona, mark.identity))
        if other is None:
            desk.note_bare(call)
        self._slots.own(mark.other, made)
        filed = Filed(mark.person, NO_SECOND, NO_SECOND, mark.deed, b"", NO_EVENT, b"", b"", ())
        both = leader is not None and other is not None
        desk.placed.append(Placed(desk.row, call, filed, News(people=-both)))
