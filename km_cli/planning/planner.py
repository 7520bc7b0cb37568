"""The planner: it decides on each call of a row, given the slots."""

from __future__ import annotations

from km_cli.memory import Remembered
from km_cli.model import Alias, Record, Reject, RowPlan, Sequence, Set, Wired, part_of, split_pairs
from km_cli.planning.aliases import Aliases
from km_cli.planning.decision import NotPlanned, RowDecision
from km_cli.planning.fingerprints import CallFingerprint, Fingerprints
from km_cli.planning.matching import Matching
from km_cli.planning.seconds import Collisions, Encode, Seconds, no_bytes
from km_cli.planning.straight import StraightPath
from km_cli.protocols import OtherReadings, Slots

_MOST_REMEMBERED = 100_000

_Fingerprinted = list[tuple[Wired, CallFingerprint]]


class Planner:
    """Plans the rows of one reading, in order.

    `spread` is how many seconds a call may be moved by. `encode` makes a call's final bytes (promise 2).
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
    ) -> None:
        self._slots = slots
        self.reading = reading
        self._fingerprints = Fingerprints(tracker)
        self._seconds = Seconds(slots, spread, collisions, encode)
        self._matching = Matching(slots, self._fingerprints, self._seconds, others)
        self._aliases = Aliases(slots, self._fingerprints, encode)
        self._straight = StraightPath(slots, self._fingerprints, encode)
        self._refused = slots.refused
        self._all_set: Remembered[tuple[str, str, str, tuple[str, ...]], bool] = Remembered(_MOST_REMEMBERED)

    def plan(self, sequence: Sequence, reading: int = 0) -> RowPlan:
        """Decide on every call of a row. `reading` is the row's own, if it is a corrected reject."""
        row = sequence.row
        row_fingerprint = self._fingerprints.fingerprint_row(sequence.cells)
        if not (reading or row.origin):
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
        self._decide_calls(calls, decision)
        return decision.made()

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

    def _decide_record(self, call: Record, fingerprint: CallFingerprint, decision: RowDecision) -> None:
        """Plan an event, unless it is known. Raises NotPlanned."""
        own = self._slots.slot(fingerprint.person, fingerprint.second)
        if fingerprint.id or own.known:
            if self._matching.knows(call, fingerprint, own, decision):
                return
            own = self._slots.slot(fingerprint.person, fingerprint.second)
        self._seconds.plan(call, fingerprint, own, decision)

    def _decide_set(self, call: Set, decision: RowDecision) -> None:
        """Plan the properties that were not set before for this identity. Raises NotPlanned."""
        if call.stated:
            self._decide_stated(call, decision)
            return
        names = tuple([name for name, _ in call.properties])
        known = (call.site, call.persona, call.identity, names)
        if self._slots.refused != self._refused:  # A Set may be among the refused calls: look again.
            self._refused = self._slots.refused
            self._all_set.clear()
        if known in self._all_set:
            return
        missing = tuple([pair for pair in call.properties if not self._is_set(call, pair[0])])
        if missing:
            call = call._replace(properties=missing)
            fingerprint = self._fingerprints.fingerprint_call(call)
            own = self._slots.slot(fingerprint.person, fingerprint.second)
            self._seconds.plan(call, fingerprint, own, decision)
            for name, _ in missing:
                set_id = self._fingerprints.fingerprint_set(call, name).id
                self._slots.keep_id(set_id, fingerprint.person, fingerprint.second)
        self._all_set.remember(known, True)

    def _decide_stated(self, call: Set, decision: RowDecision) -> None:
        """Plan the properties that a row states, unless that second has them. Raises NotPlanned."""
        fingerprint = self._fingerprints.fingerprint_call(call)
        own = self._slots.slot(fingerprint.person, fingerprint.second)
        if not any(one.deed == fingerprint.deed and one.total == fingerprint.total for one in own.known):
            self._seconds.plan(call, fingerprint, own, decision)

    def _is_set(self, call: Set, name: str) -> bool:
        """Tell whether a property was set before, and the destination did not refuse that call since."""
        fingerprint = self._fingerprints.fingerprint_set(call, name)
        place = self._slots.slot_of_id(fingerprint.id)
        return place is not None and any(
            known_call.deed == fingerprint.deed
            and fingerprint.name in (key for key, _ in split_pairs(known_call.pairs))
            for known_call in self._slots.slot(*place).known
        )
