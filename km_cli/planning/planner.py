"""The planner: what each call of a row gets, by what the ledger knows."""

from __future__ import annotations

from km_cli.model import Alias, Identify, Record, Reject, RowPlan, Sequence, Set, Wired, part_of, split_pairs
from km_cli.planning.aliases import Aliases
from km_cli.planning.decision import NotPlanned, RowDecision
from km_cli.planning.fingerprints import Fingerprint, Fingerprints
from km_cli.planning.matching import Matching
from km_cli.planning.seconds import Collisions, Seconds
from km_cli.protocols import OtherReadings, Slots

_MOST_KNOWN = 100_000


class Planner:
    """Plans the rows of one reading, in order. `spread` is how many seconds a call may be moved by."""

    def __init__(
        self,
        slots: Slots,
        tracker: str,
        reading: int,
        others: OtherReadings,
        *,
        spread: int = 60,
        collisions: Collisions = Collisions.SPREAD,
    ) -> None:
        self._slots = slots
        self.reading = reading
        self._fingerprints = Fingerprints(tracker)
        self._seconds = Seconds(slots, spread, collisions)
        self._matching = Matching(slots, self._fingerprints, self._seconds, others)
        self._aliases = Aliases(slots, self._fingerprints)
        self._refused = slots.refused
        self._all_set: set[tuple[str, str, str, tuple[str, ...]]] = set()

    def plan(self, sequence: Sequence, reading: int = 0) -> RowPlan:
        """Decide on every call of a row. `reading` is the row's own, if it is a corrected reject."""
        row = sequence.row
        row_fingerprint = self._fingerprints.of_row(sequence.cells)
        decision = RowDecision(row, reading or self.reading, row_fingerprint, sequence.cells)
        if row.origin and not reading:
            decision.line = 0  # it counts the lines of a log that this ledger does not know
        calls = [
            (call, self._fingerprints.of(call, row_fingerprint.total))
            for call in sequence.calls
            if not isinstance(call, Identify)
        ]
        try:
            self._check_owners(calls)
        except NotPlanned as error:
            return RowPlan(row, rejects=(Reject(row, error.code, str(error)),))
        aliases: list[tuple[Alias, Fingerprint]] = []
        for call, fingerprint in calls:
            try:
                if type(call) is Record:
                    if not self._matching.knows(call, fingerprint, decision):
                        self._seconds.place(call, fingerprint, decision)
                elif type(call) is Set:
                    self._decide_set(call, decision)
                elif type(call) is Alias:
                    aliases.append((call, fingerprint))
            except NotPlanned as error:
                decision.reject(error, part_of(call))
        for (
            call,
            fingerprint,
        ) in aliases:  # Now all in the row have their owners, and what is refused is known.
            self._aliases.decide(call, fingerprint, decision)
        return RowPlan(row, tuple(decision.planned), tuple(decision.rejects), tuple(decision.findings))

    def _check_owners(self, calls: list[tuple[Wired, Fingerprint]]) -> None:
        """Refuse a row that would make one person of two, for good: across rows, files and runs (I2, D4)."""
        for call, fingerprint in calls:
            owner = self._slots.owner(fingerprint.person)
            if owner is None:
                continue
            if owner.persona != call.persona:
                raise NotPlanned(
                    "I2",
                    f"{call.identity!r} is the {call.persona} here and was the {owner.persona} before: "
                    "Kissmetrics would make one person of both, for good; "
                    "a prefix in km.toml keeps them apart (if it was only renamed, keep the old name)",
                )
            if owner.identity != fingerprint.identity:
                raise NotPlanned(
                    "D4",
                    f"the {call.persona} {call.identity!r} differs from one before only by commas or colons: "
                    "Kissmetrics would make one person of both, for good",
                )

    def _decide_set(self, call: Set, decision: RowDecision) -> None:
        """Set what was not set before for this identity, each property once."""
        names = tuple([name for name, _ in call.properties])
        known = (call.site, call.persona, call.identity, names)
        if self._slots.refused != self._refused:
            self._refused = self._slots.refused
            self._all_set.clear()
        if known in self._all_set:
            return
        missing = tuple([pair for pair in call.properties if not self._is_set(call, pair[0])])
        if missing:
            call = call._replace(properties=missing)
            fingerprint = self._fingerprints.of(call)
            self._seconds.place(call, fingerprint, decision)
            for name, _ in missing:
                self._slots.file_id(
                    self._fingerprints.of_fact(call, name).id, fingerprint.person, fingerprint.second
                )
        if len(self._all_set) > _MOST_KNOWN:
            self._all_set.clear()
        self._all_set.add(known)

    def _is_set(self, call: Set, name: str) -> bool:
        """Tell whether this was set before, and not refused by the destination since."""
        fact = self._fingerprints.of_fact(call, name)
        home = self._slots.home(fact.id)
        return home is not None and any(
            known_call.deed == fact.deed and fact.name in (key for key, _ in split_pairs(known_call.pairs))
            for known_call in self._slots.slot(*home).known
        )
