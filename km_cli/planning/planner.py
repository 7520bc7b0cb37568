"""The planner: what each call of a row gets, by what the ledger knows."""

from __future__ import annotations

from km_cli.model import Alias, Identify, Plan, Record, Reject, Sequence, Set, Wired, part_of, split_pairs
from km_cli.planning.aliases import Aliases
from km_cli.planning.decision import Desk, NotPlaced
from km_cli.planning.matching import Matching
from km_cli.planning.seconds import Collisions, Seconds
from km_cli.planning.fingerprints import Print, Prints
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
        self._prints = Prints(tracker)
        self._seconds = Seconds(slots, spread, collisions)
        self._matching = Matching(slots, self._prints, self._seconds, others)
        self._aliases = Aliases(slots, self._prints)
        self._refused = slots.refused
        self._all_set: set[tuple[str, str, str, tuple[str, ...]]] = set()

    def plan(self, sequence: Sequence, reading: int = 0) -> Plan:
        """Decide on every call of a row. `reading` is the row's own, if it is a corrected reject."""
        row = sequence.row
        fingerprint = self._prints.of_row(sequence.cells)
        desk = Desk(row, reading or self.reading, fingerprint, sequence.cells)
        if row.origin and not reading:
            desk.line = 0  # it counts the lines of a log that this ledger does not know
        calls = [
            (call, self._prints.of(call, fingerprint.total))
            for call in sequence.calls
            if not isinstance(call, Identify)
        ]
        try:
            self._check_owners(calls)
        except NotPlaced as error:
            return Plan(row, rejects=(Reject(row, error.code, str(error)),))
        aliases: list[tuple[Alias, Print]] = []
        for call, mark in calls:
            try:
                if type(call) is Record:
                    if not self._matching.knows(call, mark, desk):
                        self._seconds.place(call, mark, desk)
                elif type(call) is Set:
                    self._decide_set(call, desk)
                elif type(call) is Alias:
                    aliases.append((call, mark))
            except NotPlaced as error:
                desk.reject(error, part_of(call))
        for call, mark in aliases:  # Now all in the row have their owners, and what is refused is known.
            self._aliases.decide(call, mark, desk)
        return Plan(row, tuple(desk.placed), tuple(desk.rejects), tuple(desk.findings))

    def _check_owners(self, calls: list[tuple[Wired, Print]]) -> None:
        """Refuse a row that would make one person of two, for good: across rows, files and runs (I2, D4)."""
        for call, mark in calls:
            owner = self._slots.owner(mark.person)
            if owner is None:
                continue
            if owner.persona != call.persona:
                raise NotPlaced(
                    "I2",
                    f"{call.identity!r} is the {call.persona} here and was the {owner.persona} before: "
                    "Kissmetrics would make one person of both, for good; "
                    "a prefix in km.toml keeps them apart (if it was only renamed, keep the old name)",
                )
            if owner.identity != mark.identity:
                raise NotPlaced(
                    "D4",
                    f"the {call.persona} {call.identity!r} differs from one before only by commas or colons: "
                    "Kissmetrics would make one person of both, for good",
                )

    def _decide_set(self, call: Set, desk: Desk) -> None:
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
            mark = self._prints.of(call)
            self._seconds.place(call, mark, desk)
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
            filed.deed == fact.deed and fact.name in (key for key, _ in split_pairs(filed.pairs))
            for filed in self._slots.slot(*home).filed
        )
