"""Sequences → Plans: what is known is skipped, what Kissmetrics would merge gets a second of its own.

A call is known by its *deed*: who did what when. Within a reading, calls of one deed with different
properties are several and those alike in everything are one. Across readings a call is matched with
what is known: exactly alike first, then one for one as the same call whose properties changed meanwhile;
what is left over is new. The ledger's slots hold what is known; here are only the decisions.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from km_cli.model import (
    NO_SECOND,
    Alias,
    Claim,
    Filed,
    Finding,
    Guest,
    Identify,
    News,
    Owner,
    Placed,
    Plan,
    Record,
    Reject,
    Row,
    Sequence,
    Set,
    Slot,
    Slots,
    Timed,
    Wired,
)
from km_cli.prints import NO_EVENT, Print, Prints

MOST_READINGS = 16
"""How many readings are remembered to hold a call: the first and the last ones, so that slots stay small."""

_MOST_KNOWN = 100_000


class Collisions(Enum):
    """What happens to a call that Kissmetrics would merge with another (D1, D2)."""

    SPREAD = "spread"
    KEEP = "keep"
    REJECT = "reject"


class _NotPlaced(Exception):
    """This call cannot be sent; `code` and `reason` say why."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Planner:
    """Plans the rows of one reading, in order. `spread` is how many seconds a call may be moved by."""

    def __init__(
        self,
        slots: Slots,
        tracker: str,
        reading: int,
        *,
        spread: int = 60,
        collisions: Collisions = Collisions.SPREAD,
    ) -> None:
        self._slots = slots
        self.reading = reading
        self._spread = spread if collisions is Collisions.SPREAD else 0
        self._collisions = collisions
        self._prints = Prints(tracker)
        self._all_set: set[tuple[str, str, str, tuple[str, ...]]] = set()

    def plan(self, sequence: Sequence, reading: int = 0) -> Plan:
        """Decide on every call of a row. `reading` is the row's own, if it is a corrected reject."""
        row = sequence.row
        desk = _Desk(row, reading or self.reading)
        calls = [(call, self._prints.of(call)) for call in sequence.calls if not isinstance(call, Identify)]
        try:
            self._check_owners(calls)
        except _NotPlaced as error:
            return Plan(row, rejects=(Reject(row, error.code, str(error)),))
        aliases: list[tuple[Alias, Print]] = []
        for call, mark in calls:
            try:
                if type(call) is Record:
                    self._decide(call, mark, desk)
                elif type(call) is Set:
                    self._decide_set(call, desk)
                elif type(call) is Alias:
                    aliases.append((call, mark))
            except _NotPlaced as error:
                desk.reject(error, call.persona)
        for call, mark in aliases:  # Now all in the row have their owners, and what is refused is known.
            self._try_alias(call, mark, desk)
        return Plan(row, tuple(desk.placed), tuple(desk.rejects), tuple(desk.findings))

    def _check_owners(self, calls: list[tuple[Wired, Print]]) -> None:
        """Refuse a row that would make one person of two, for good: across rows, files and runs (I2, D4)."""
        for call, mark in calls:
            owner = self._slots.owner(mark.person)
            if owner is None:
                continue
            if owner.persona != call.persona:
                raise _NotPlaced(
                    "I2",
                    f"{call.identity!r} is the {call.persona} here and was the {owner.persona} before: "
                    "Kissmetrics would make one person of both, for good; "
                    "a prefix in km.toml keeps them apart (if it was only renamed, keep the old name)",
                )
            if owner.identity != mark.identity:
                raise _NotPlaced(
                    "D4",
                    f"the {call.persona} {call.identity!r} differs from one before only by commas or colons: "
                    "Kissmetrics would make one person of both, for good",
                )

    def _decide(self, call: Record, mark: Print, desk: _Desk) -> None:
        if mark.id and self._known_by_id(call, mark, desk):
            return
        slot = self._slots.slot(mark.person, mark.second)
        if slot.filed:
            kin = [filed for filed in slot.filed if filed.deed == mark.deed]
            if self._known_alike(mark, kin, desk) or self._known_changed(call, mark, kin, desk):
                return
        self._place(call, mark, desk)

    def _decide_set(self, call: Set, desk: _Desk) -> None:
        """Set what was not set before for this identity, each property once."""
        names = tuple([name for name, _ in call.properties])
        known = (call.site, call.persona, call.identity, names)
        if known in self._all_set:
            return
        missing = tuple([pair for pair in call.properties if not self._is_set(call, pair[0])])
        if missing:
            call = call._replace(properties=missing)
            mark = self._prints.of(call)
            self._place(call, mark, desk)
            for name, _ in missing:
                self._slots.file_id(self._prints.of_fact(call, name).id, mark.person, mark.second)
        if len(self._all_set) > _MOST_KNOWN:
            self._all_set.clear()
        self._all_set.add(known)

    def _is_set(self, call: Set, name: str) -> bool:
        """Tell whether this was set before, and not refused by the destination since."""
        fact = self._prints.of_fact(call, name)
        home = self._slots.home(fact.id)
        return home is not None and any(
            filed.deed == fact.deed and fact.name in (key for key, _ in _split(filed.pairs))
            for filed in self._slots.slot(*home).filed
        )

    def _try_alias(self, call: Alias, mark: Print, desk: _Desk) -> None:
        """Decide on an alias, unless its persona owes something of the row: then it comes with that (I3)."""
        if desk.owes(call.persona):
            return
        try:
            self._decide_alias(call, mark, desk)
        except _NotPlaced as error:
            desk.reject(error, call.persona)

    def _decide_alias(self, call: Alias, mark: Print, desk: _Desk) -> None:
        """Make two identities one person, if that makes one of no others (I2). Raises _NotPlaced."""
        leader = self._slots.owner(mark.person)
        other = self._slots.owner(mark.other)
        made = self._prints.of_other(call)
        if other == made or (leader is not None and leader.leader == mark.other):
            return  # Known, whichever way round: its order does not matter.
        if other is not None and other.persona != call.persona:
            raise _NotPlaced(
                "I2",
                f"{call.other!r} is the {other.persona}: an alias of the {call.persona} {call.identity!r} "
                "would make one person of both, for good",
            )
        if other is not None and other.identity != made.identity:
            raise _NotPlaced("D4", f"{call.other!r} differs from an identity before only by commas or colons")
        if (other is not None and other.leader) or self._slots.leads(mark.other):
            raise _NotPlaced(
                "I2",
                f"{call.other!r} is an alias of another {call.persona}, or has aliases of its own: one more, "
                f"of {call.identity!r}, would make one person of them all, for good",
            )
        if leader is not None and leader.leader:
            raise _NotPlaced(
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
        desk.placed.append(Placed(desk.row, call, filed))

    def _known_by_id(self, call: Record, mark: Print, desk: _Desk) -> bool:
        """Tell whether the log's own id was sent before; raises _NotPlaced if it was another deed's."""
        home = self._slots.home(mark.id)
        if home is None:
            return False
        slot = self._slots.slot(*home)
        filed = next((filed for filed in slot.filed if filed.id == mark.id), None)
        if filed is None:
            return False
        if filed.deed != mark.deed:
            raise _NotPlaced(
                "id-reused",
                f"the id {call.id!r} was sent before with another {call.persona}, event or time; "
                "an id names one event for ever",
            )
        if filed.alike != mark.alike:
            desk.note_changed(call)
        displaced = self._slots.take_changed(desk.reading, filed)
        self._claim(filed, Claim(desk.reading, True))
        if displaced:
            self._rematch(displaced, desk)
        return True

    def _known_alike(self, mark: Print, kin: list[Filed], desk: _Desk) -> bool:
        """Match a call with one that is alike in everything; two ids are never the same call."""
        for filed in kin:
            claim = filed.claim_of(desk.reading)
            if claim is None:
                if filed.alike == mark.alike and not (mark.id and filed.id):
                    self._claim(filed, Claim(desk.reading, mark.id != b""), mark.id)
                    return True
            elif claim.alike and filed.alike == mark.alike and (claim.named or not (mark.id and filed.id)):
                if displaced := self._slots.take_changed(desk.reading, filed):
                    self._claim(filed, Claim(desk.reading, mark.id != b""), mark.id)
                    self._rematch(displaced, desk)
                return True
            elif (claim.alike or filed.alike) == mark.alike and not mark.id and not claim.named:
                return True
        return False

    def _known_changed(self, call: Record, mark: Print, kin: list[Filed], desk: _Desk) -> bool:
        """Match a call one for one with one whose properties were others when it was sent."""
        for filed in kin:
            if filed.claim_of(desk.reading) or (mark.id and filed.id):
                continue
            claimed = self._claim(filed, Claim(desk.reading, mark.id != b"", mark.alike), mark.id)
            self._slots.keep_changed(desk.reading, claimed, Placed(desk.row, call, claimed))
            desk.note_changed(call)
            return True
        return False

    def _rematch(self, displaced: Placed, desk: _Desk) -> None:
        """Decide anew on a call that was taken for another, now that the other turned up itself.

        So exactly alike goes first, whatever the order of the rows.
        """
        call = displaced.call
        assert type(call) is Record
        mark = self._prints.of(call)
        slot = self._slots.slot(mark.person, mark.second)
        kin = [filed for filed in slot.filed if filed.deed == mark.deed]
        own = _Desk(displaced.row, desk.reading)
        try:
            if not self._known_changed(call, mark, kin, own):
                self._place(call, mark, own)
                desk.findings += own.findings
        except _NotPlaced as error:
            desk.rejects.append(Reject(displaced.row, error.code, str(error), (call.persona,)))
        desk.placed += own.placed

    def _claim(self, filed: Filed, claim: Claim, event_id: bytes = b"") -> Filed:
        """Remember that a reading holds the call too, and the id it has there."""
        others = tuple(other for other in filed.claims if other.reading != claim.reading)
        if len(others) >= MOST_READINGS:
            others = (others[0], *others[2 - MOST_READINGS :])
        claims = (*others, claim)
        claimed = filed._replace(claims=claims, id=event_id or filed.id)
        if claimed.id != filed.id:
            self._slots.file_id(claimed.id, filed.person, filed.second)
        if claimed != filed:
            self._replace(filed, claimed)
        return claimed

    def _replace(self, filed: Filed, by: Filed) -> None:
        slot = self._slots.slot(filed.person, filed.second)
        calls = tuple(by if other == filed else other for other in slot.filed)
        self._slots.put(filed.person, filed.second, Slot(calls, slot.guests))

    def _place(self, call: Timed, mark: Print, desk: _Desk) -> None:
        """Choose the second, take it, and put the call on the desk. Raises _NotPlaced."""
        own = self._slots.slot(mark.person, mark.second)
        taken = mark.second
        events, properties = int(mark.event != NO_EVENT), mark.names
        if own.filed or own.guests:
            taken = self._choose(call, mark, own, desk)
            events, properties = self._more(mark, taken)
        filed = Filed(
            mark.person,
            mark.second,
            taken,
            mark.deed,
            mark.alike,
            mark.event,
            mark.pairs,
            mark.id,
            (Claim(desk.reading, mark.id != b""),),
        )
        self._slots.put(mark.person, mark.second, Slot((*own.filed, filed), own.guests))
        if taken != mark.second:
            there = self._slots.slot(mark.person, taken)
            guest = Guest(mark.event, mark.pairs)
            self._slots.put(mark.person, taken, Slot(there.filed, (*there.guests, guest)))
        if mark.id:
            self._slots.file_id(mark.id, mark.person, mark.second)
        is_new = self._slots.owner(mark.person) is None
        if is_new:
            self._slots.own(mark.person, Owner(call.persona, mark.identity))
        desk.placed.append(Placed(desk.row, call, filed, News(is_new, events, properties)))

    def _more(self, mark: Print, second: int) -> tuple[int, int]:
        """Return how many events and property values a call adds to what stands in a second."""
        standing = list(_standing(self._slots.slot(mark.person, second), second))
        is_new = mark.event != NO_EVENT and all(event != mark.event for event, _ in standing)
        known = {name for _, pairs in standing for name, _ in _split(pairs)}
        return int(is_new), len({name for name, _ in _split(mark.pairs)} - known)

    def _choose(self, call: Timed, mark: Print, own: Slot, desk: _Desk) -> int:
        """Return the first second that is free at this call's turn (promise 6)."""
        first = mark.second
        without_event = -1
        clash = ""
        for second in range(first, first + self._spread + 1):
            slot = own if second == first else self._slots.slot(mark.person, second)
            rule = _clash(slot, second, mark)
            if second == first and rule == "D1" and (mark.event, mark.pairs) in _standing(slot, second):
                desk.note_alike(call)
            clash = clash or rule
            if not rule:
                if second != first:
                    desk.note_moved(clash, call, second - first)
                return second
            if rule == "D2" and without_event < 0:
                without_event = second
        if self._collisions is Collisions.REJECT or without_event < 0:
            return self._crowded(call, clash, first, desk)
        desk.note_lost(call)
        return without_event

    def _crowded(self, call: Timed, clash: str, first: int, desk: _Desk) -> int:
        """No second is free: keep the call where it is if that was asked for, else refuse it."""
        if self._collisions is Collisions.KEEP:
            desk.note_merged(call)
            return first
        desk.note_full(call, clash)
        what = (
            f"{call.identity!r} did {call.event!r}" if clash == "D1" else f"{call.identity!r} has properties"
        )
        span = (
            f"in the same second and in the {self._spread} after it" if self._spread else "in the same second"
        )
        raise _NotPlaced(
            clash,
            f"{what} already {span}: Kissmetrics would merge them (a larger --spread, or --collisions keep)",
        )


class _Desk:
    """What has been decided on the row at hand."""

    def __init__(self, row: Row, reading: int) -> None:
        self.row = row
        self.reading = reading
        self.placed: list[Placed] = []
        self.rejects: list[Reject] = []
        self.findings: list[Finding] = []

    def reject(self, error: _NotPlaced, persona: str) -> None:
        """Part of the row is not sent; several parts for one reason are one reject."""
        for at, reject in enumerate(self.rejects):
            if reject.code == error.code and reject.row is self.row:
                both = f"{reject.reason}; {error}"
                self.rejects[at] = reject._replace(reason=both, owed=(*reject.owed, persona))
                return
        self.rejects.append(Reject(self.row, error.code, str(error), (persona,)))

    def owes(self, persona: str) -> bool:
        """Tell whether a part of this row is refused that is this persona's."""
        return any(persona in reject.owed for reject in self.rejects if reject.row is self.row)

    def _note(self, code: str, message: str, who: str) -> None:
        self.findings.append(Finding(code, message, self.row.source, self.row.line, who))

    def note_moved(self, rule: str, call: Timed, seconds: int) -> None:
        """A call was moved so that it does not merge."""
        what = f"{call.event!r}" if rule == "D1" else "another value of a property"
        who = _who(call)
        self._note(rule, f"{who} has {what} in that second already: sent {seconds} s later", who)

    def note_alike(self, call: Timed) -> None:
        """A call would merge by the newer page's reading of D1 too: its properties match."""
        who = _who(call)
        self._note(
            "D1-alike", f"{who}: {call.event!r} is in that second already with the same properties", who
        )

    def note_bare(self, call: Alias) -> None:
        """The other identity has no data of its own yet (I3)."""
        who = f"{call.persona} {call.identity!r}"
        self._note("I3", f"{who}: its alias {call.other!r} has no data of its own here", who)

    def note_full(self, call: Timed, rule: str) -> None:
        """There was no free second, and the call is rejected."""
        who = _who(call)
        self._note(f"{rule}-full", f"{who} has no second left for {call.event!r}: rejected", who)

    def note_lost(self, call: Timed) -> None:
        """A property value will be lost: no second was free of another value (D2)."""
        who = _who(call)
        self._note("D2-lost", f"{who} has another value of a property in every second: one survives", who)

    def note_merged(self, call: Timed) -> None:
        """Two events will be counted once, as was asked for (D1)."""
        who = _who(call)
        self._note("D1-merged", f"{who}: {call.event!r} will be counted once", who)

    def note_changed(self, call: Record) -> None:
        """The call was sent before, with other properties."""
        who = _who(call)
        self._note(
            "changed", f"{who}: {call.event!r} was sent before with other properties; not sent again", who
        )


def _who(call: Timed) -> str:
    return f"{call.persona} {call.identity!r}"


def _clash(slot: Slot, second: int, mark: Print) -> str:
    """Name the rule by which Kissmetrics would merge the call with one that stands there, or ""."""
    mine = None
    rule = ""
    for event, pairs in _standing(slot, second):
        if event == mark.event != NO_EVENT:
            return "D1"
        if not rule and pairs != mark.pairs and pairs:
            mine = mine if mine is not None else dict(_split(mark.pairs))
            if any(mine.get(name, value) != value for name, value in _split(pairs)):
                rule = "D2"
    return rule


def _standing(slot: Slot, second: int) -> Iterator[tuple[bytes, bytes]]:
    yield from slot.guests
    for filed in slot.filed:
        if filed.taken == second:
            yield filed.event, filed.pairs


def _split(pairs: bytes) -> Iterator[tuple[bytes, bytes]]:
    for at in range(0, len(pairs), 8):
        yield pairs[at : at + 4], pairs[at + 4 : at + 8]
