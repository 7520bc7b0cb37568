"""The planner: it decides on each call of a row, given the slots."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from km_cli.model import Alias, Record, Reject, RowPlan, Sequence, Set, Wired, part_of
from km_cli.planning.aliases import Aliases, DecidesAliases
from km_cli.planning.claims import Claims
from km_cli.planning.corrections import Corrections
from km_cli.planning.decision import NotPlanned, RowDecision, RowEvents
from km_cli.planning.fingerprints import CallFingerprint, Fingerprints
from km_cli.planning.limits import Limits
from km_cli.planning.matching import Matching
from km_cli.planning.seconds import Collisions, Encode, Seconds, no_bytes
from km_cli.planning.sets import Sets
from km_cli.planning.stated import StatedSets
from km_cli.planning.straight import StraightPath
from km_cli.protocols import OtherReadings, Slots

_Fingerprinted = list[tuple[Wired, CallFingerprint]]


class Planner:
    """Plans the rows of one reading, in order.

    `spread` is how many seconds a call may be moved by. `encode` makes a call's final bytes (promise 2).
    `followed` are the names of the personas whose properties follow columns. `limits`, if given, says why a
    call cannot be sent to the destination, "" if it can. `fingerprints`, if given, make all digests, and
    `aliases`, if given, decides on aliases.
    """

    def __init__(
        self,
        slots: Slots,
        tracker: str,
        reading: int,
        others: OtherReadings,
        *,
        spread: int = 60,
        collisions: Collisions = Collisions.SPREAD,
        encode: Encode = no_bytes,
        followed: Collection[str] = (),
        limits: Limits | None = None,
        fingerprints: Fingerprints | None = None,
        aliases: DecidesAliases | None = None,
    ) -> None:
        self._slots = slots
        self._limits = limits
        self.reading = reading
        self._fingerprints = fingerprints or Fingerprints(tracker)
        claims = Claims(slots)
        self._seconds = Seconds(slots, spread, collisions, encode, limits)
        self._matching = Matching(slots, self._fingerprints, self._seconds, others, claims, self._decide_set)
        self._corrections = Corrections(slots, tracker, others, claims)
        self._aliases = aliases or Aliases(slots, self._fingerprints, encode, limits)
        self._straight = StraightPath(slots, self._fingerprints, encode)
        self._sets = Sets(slots, self._fingerprints, self._seconds, followed)
        self._stated_sets = StatedSets(slots, self._seconds, self._matching, claims, self._sets)

    def plan(self, sequence: Sequence, reading: int = 0, events: RowEvents | None = None) -> RowPlan:
        """Decide on every call of a row. `reading` is the row's own, if it is a corrected reject.

        `events` are those of the whole row, if the sequence holds the calls of one of its people alone.
        """
        row = sequence.row
        row_fingerprint = self._fingerprints.fingerprint_row(sequence.cells)
        if not (reading or row.origin) and self._fits(sequence):
            plan = self._straight.plan(sequence, row_fingerprint, self.reading)
            if plan is not None:
                return plan
        decision = RowDecision(row, reading or self.reading, row_fingerprint, sequence.cells)
        if row.origin and not reading:
            decision.line = 0  # The line belongs to a log that this ledger does not know.
        calls = [
            (call, self._fingerprints.fingerprint_call(call, row_fingerprint.total))
            for call in sequence.calls
        ]
        try:
            self._check_owners(calls, decision)
        except NotPlanned as error:
            return RowPlan(row, rejects=(Reject(row, error.code, str(error)),))
        decision.events = events
        self._decide_calls(calls, decision)
        return decision.made()

    def _fits(self, sequence: Sequence) -> bool:
        """Tell whether the destination can hold all calls of a row."""
        return self._limits is None or not any(map(self._limits, sequence.calls))

    def _check_owners(self, calls: _Fingerprinted, decision: RowDecision) -> None:
        """Note who is new. Raise NotPlanned if a call would make one person of two, for good (I2, D4).

        The owners of people are known across rows, files and runs.
        """
        for call, fingerprint in calls:
            owner = self._slots.owner(fingerprint.person)
            if owner is None:
                decision.new_people.add(fingerprint.person)
                continue
            if owner.persona != call.persona:
                raise NotPlanned(
                    "I2",
                    f"{call.identity!r} is the {call.persona} here and was the {owner.persona} before: "
                    "Kissmetrics would make one person of both, for good; a prefix in km.toml keeps them "
                    "apart (if the persona was only renamed, keep its old name)",
                )
            if owner.identity != fingerprint.identity:
                raise NotPlanned(
                    "D4-ids",
                    f"the {call.persona} {call.identity!r} differs from an earlier one only by commas or "
                    "colons: Kissmetrics would make one person of both, for good",
                )

    def _decide_calls(self, calls: _Fingerprinted, decision: RowDecision) -> None:
        """Decide on the calls in their order, on aliases last.

        By then all people of the row have their owners, and it is known which calls are rejected: an alias
        depends on both.
        """
        aliases: list[tuple[Alias, CallFingerprint]] = []
        decision.sets = tuple([call for call, _ in calls if type(call) is Set])
        if decision.sets:
            calls = self._without_known(calls, decision)
        for call, fingerprint in calls:
            try:
                if type(call) is Record:
                    self._decide_record(call, fingerprint, decision)
                elif type(call) is Set:
                    self._decide_set(call, decision)
                elif type(call) is Alias:
                    aliases.append((call, fingerprint))
            except NotPlanned as error:
                decision.reject(error, part_of(call))
        for alias, fingerprint in aliases:
            self._aliases.decide(alias, fingerprint, decision)

    def _without_known(self, calls: _Fingerprinted, decision: RowDecision) -> _Fingerprinted:
        """Return the calls without the events that are known or rejected: Sets depend on which these are."""
        left: _Fingerprinted = []
        events = new = 0
        for call, fingerprint in calls:
            if type(call) is Record:
                events += 1
                try:
                    if self._knows(call, fingerprint, decision):
                        continue
                except NotPlanned as error:
                    decision.reject(error, part_of(call))
                    decision.is_contested = True
                    continue
                new += 1
            left.append((call, fingerprint))
        decision.note_events(RowEvents(events, new, decision.is_contested, decision.is_changed))
        return left

    def events_in(self, sequence: Sequence) -> RowEvents:
        """Return the events of a row, of which some may be known, and plan the row."""
        decision = RowDecision(
            sequence.row, self.reading, self._fingerprints.fingerprint_row(sequence.cells), sequence.cells
        )
        total = decision.row_fingerprint.total
        calls = [(call, self._fingerprints.fingerprint_call(call, total)) for call in sequence.calls]
        self._check_owners(calls, decision)
        records: _Fingerprinted = [one for one in calls if type(one[0]) is Record]
        for call, fingerprint in self._without_known(records, decision):
            assert type(call) is Record
            own = self._slots.slot(fingerprint.person, fingerprint.second)
            with suppress(NotPlanned):
                self._seconds.plan(call, fingerprint, own, decision)
        assert decision.events is not None
        return decision.events

    def _knows(self, call: Record, fingerprint: CallFingerprint, decision: RowDecision) -> bool:
        """Tell whether an event is known. Raises NotPlanned."""
        if self._corrections.repeats(call, fingerprint, decision):
            return True
        own = self._slots.slot(fingerprint.person, fingerprint.second)
        is_possible = bool(fingerprint.id or own.known)
        is_known = is_possible and self._matching.knows(call, fingerprint, own, decision)
        if is_known:
            self._corrections.keep(call, fingerprint, decision)
        return is_known

    def _decide_record(self, call: Record, fingerprint: CallFingerprint, decision: RowDecision) -> None:
        """Plan an event, unless it is known. Raises NotPlanned."""
        if not self._knows(call, fingerprint, decision):
            own = self._slots.slot(fingerprint.person, fingerprint.second)
            self._seconds.plan(call, fingerprint, own, decision)
            self._corrections.keep(call, fingerprint, decision)

    def _decide_set(self, call: Set, decision: RowDecision) -> None:
        """Plan the properties that changed, or that the row states. Raises NotPlanned."""
        if not (call.stated or decision.is_corrected):
            self._sets.decide(call, decision)  # Most Sets change nothing, so that digests would be wasted.
            return
        fingerprint = self._fingerprints.fingerprint_call(call)
        if self._corrections.repeats(call, fingerprint, decision):
            return
        if call.stated:
            self._stated_sets.decide(call, fingerprint, decision)
        else:
            self._sets.decide(call, decision)
        self._corrections.keep(call, fingerprint, decision)
