"""Which calls are known: sent before, from this reading or another one (promise 5).

Rows are compared, not the calls that they become. A persona may carry few of the columns, so two different
events can become calls that are alike; and a call changes when a property is added to the mapping, while its
row stays the same.

Within a reading, two rows are one only if they are alike in every column, or have the same id: a log does
not repeat itself by chance. Across readings, rows are matched one for one, in the order of the steps in
`knows`: by the log's own id, else if they are alike in every column that both logs have. One for one,
because two rows of one log are two events even if they are alike in the columns that the other log has.
Each match is noted as a *claim* of the reading on the known call, so that no second row of the reading gets
the same call.

A row whose deed another reading has with other values is a conflict. How the two readings overlap decides
whether it is rejected, another event, or *taken for changed*: the same event, with values changed since.
"""

from __future__ import annotations

from collections.abc import Callable

from km_cli.model import (
    ChangedCall,
    Claim,
    KnownCall,
    KnownRow,
    Overlap,
    Record,
    Reject,
    RowFingerprint,
    Set,
    Slot,
    part_of,
    split_pairs,
)
from km_cli.planning.claims import Claims, is_changed_row, is_free
from km_cli.planning.decision import NotPlanned, RowDecision
from km_cli.planning.digests import pairs_of_common_names
from km_cli.planning.fingerprints import CallFingerprint, Fingerprints
from km_cli.planning.listing import list_values
from km_cli.planning.seconds import Seconds
from km_cli.protocols import OtherReadings, Slots


class Matching:
    """Matches records with the known calls in the slots.

    `decide_set` decides on properties of a row, of which it was found late that it is another event.
    """

    def __init__(
        self,
        slots: Slots,
        fingerprints: Fingerprints,
        seconds: Seconds,
        others: OtherReadings,
        claims: Claims,
        decide_set: Callable[[Set, RowDecision], None],
    ) -> None:
        self._slots = slots
        self._fingerprints = fingerprints
        self._seconds = seconds
        self._others = others
        self._claims = claims
        self._decide_set = decide_set

    def knows(self, call: Record, fingerprint: CallFingerprint, own: Slot, decision: RowDecision) -> bool:
        """Claim a call for its reading if it is known; return whether it is. `own` is the slot of its second.

        The order of the steps matters: each is less certain than the one before it. Raises NotPlanned.
        """
        if fingerprint.id and self._known_by_id(call, fingerprint, decision):
            return True
        candidates = self.with_same_deed(own, fingerprint, decision)
        return bool(candidates) and (
            self._known_in_reading(call, fingerprint, candidates, decision)
            or self._known_alike(call, fingerprint, candidates, decision)
            or self._known_changed(call, fingerprint, candidates, decision)
        )

    def with_same_deed(
        self, slot: Slot, fingerprint: CallFingerprint, decision: RowDecision
    ) -> list[KnownCall]:
        """Return the calls of this deed that the current reading may match."""
        return [
            known_call
            for known_call in self._seconds.crowds.with_deed(slot, fingerprint.deed)
            if not self._is_passed_over(known_call, decision)
        ]

    def _is_passed_over(self, known_call: KnownCall, decision: RowDecision) -> bool:
        """Tell whether `--as-new` forbids matching with the reading that sent the call."""
        return self._others.is_passed_over(decision.reading, known_call.claims[0].reading)

    def _known_by_id(self, call: Record, fingerprint: CallFingerprint, decision: RowDecision) -> bool:
        """Tell whether the log's own id was sent before. Raises NotPlanned if it was sent with another deed.

        The id alone decides, as `--id` promises. If the values of the columns differ, that is a finding.
        """
        place = self._slots.slot_of_id(fingerprint.id)
        if place is None:
            return False
        slot = self._slots.slot(*place)
        known_call = next((known_call for known_call in slot.known if known_call.id == fingerprint.id), None)
        if known_call is None or self._is_passed_over(known_call, decision):
            return False
        if known_call.deed != fingerprint.deed:
            raise NotPlanned(
                "id-reused",
                f"the id {call.id!r} was sent before with another {call.persona}, event or time; "
                "an id names one event for ever",
            )
        claim = known_call.claim_of(decision.reading)
        if fingerprint.total not in known_call.totals and (
            columns := self._changed_columns(known_call, fingerprint, decision)
        ):
            decision.note_changed(call, self.describe_origin(known_call, columns, decision))
        elif claim and claim.has_id and claim.line != decision.line:
            decision.note_alike_rows()
        return bool(claim and claim.has_id) or self._match(known_call, fingerprint, decision)

    def _changed_columns(
        self, known_call: KnownCall, fingerprint: CallFingerprint, decision: RowDecision
    ) -> list[str]:
        """Return the columns in which a row differs from the row with its id, which was sent.

        Logs of two forms, such as a table and JSON lines, have no columns to compare in common. There, it
        counts whether the properties of the call are the same.
        """
        columns = self._differing(known_call, fingerprint, decision)
        if columns and set(split_pairs(fingerprint.pairs)) == set(split_pairs(known_call.pairs)):
            first = known_call.claims[0]
            return [] if self._others.has_other_form(decision.reading, first.reading) else columns
        return columns

    def _known_in_reading(
        self, call: Record, fingerprint: CallFingerprint, candidates: list[KnownCall], decision: RowDecision
    ) -> bool:
        """Match a row with one of its own reading: the same line read again, or one alike in every column.

        A line is read again if it was planned before its line end was there, or if it is a reject that was
        corrected more than once. Even with other values it is still the same event.
        """
        for known_call in candidates:
            claim = known_call.claim_of(decision.reading)
            if claim is None:
                continue
            total = claim.total or known_call.total
            if claim.line == decision.line and claim.line:
                if total != fingerprint.total and (
                    columns := self._differing(known_call, fingerprint, decision)
                ):
                    decision.note_changed(call, self.describe_origin(known_call, columns, decision))
                decision.is_changed |= claim.changed
                return True
            if (
                not fingerprint.id
                and not claim.has_id
                and self._is_same_row(known_call, claim, call, fingerprint)
            ):
                decision.note_alike_rows()
                decision.is_changed |= claim.changed
                return True
        return False

    def _is_same_row(
        self, known_call: KnownCall, claim: Claim, call: Record, fingerprint: CallFingerprint
    ) -> bool:
        """Tell whether the current row is alike in every column with the row that has a claim."""
        if claim.total or known_call.row:
            return fingerprint.total == (claim.total or known_call.total)
        return self._fingerprints.digest_properties(call.properties) == known_call.total  # format 2

    def _known_alike(
        self, call: Record, fingerprint: CallFingerprint, candidates: list[KnownCall], decision: RowDecision
    ) -> bool:
        """Match a row one for one with another reading's: alike in every column, else in those of both logs.

        Rows that are alike in every column go first. Otherwise a row that only resembles a call would take it
        from the row that is exactly that call. Of several such calls the one goes first that the fewest
        different rows were matched with: another row of this reading may be alike to the others alone.
        """
        free = [known_call for known_call in candidates if is_free(known_call, fingerprint, decision)]
        if not fingerprint.id and self._others.has_ids(decision.reading):
            # In a log with ids, a row without one must not match a call with an id: the row with that id may
            # still follow.
            free = [known_call for known_call in free if not known_call.id]
        alike = [known_call for known_call in free if fingerprint.total in known_call.totals]
        if alike:
            closest = min(alike, key=lambda one: (is_changed_row(one, fingerprint), len(set(one.totals))))
            changed = call if is_changed_row(closest, fingerprint) else None
            return self._match(closest, fingerprint, decision, changed)
        for known_call in free:
            if not self._differing(known_call, fingerprint, decision):
                return self._match(known_call, fingerprint, decision)
        return False

    def _match(
        self,
        known_call: KnownCall,
        fingerprint: CallFingerprint,
        decision: RowDecision,
        changed: Record | None = None,
    ) -> bool:
        """Claim the call for this reading. If an earlier row was taken for it, that row is decided anew.

        `changed` is the row's own call if another reading has just this row and took it for changed.
        """
        displaced = self._slots.take_changed(decision.reading, known_call)
        if changed:
            self._take_for_changed(known_call, changed, fingerprint, decision)
        else:
            self._claims.claim(known_call, fingerprint, decision)
        if displaced:
            self._decide_anew(displaced, decision)
        return True

    def _known_changed(
        self, call: Record, fingerprint: CallFingerprint, candidates: list[KnownCall], decision: RowDecision
    ) -> bool:
        """Decide on a row whose deed other readings have with other values. Raises NotPlanned.

        A call that this reading has claimed is matched already, and two different ids are two events. So such
        calls do not conflict with the row. If no other call is left, the row is a new event.
        """
        for known_call in candidates:
            if known_call.claim_of(decision.reading) or (fingerprint.id and known_call.id):
                continue
            if self.is_read_again(known_call, decision):
                self._claims.claim(known_call, fingerprint, decision)
                return True
            overlap = self.overlap(known_call, decision)
            if overlap is Overlap.SEPARATE:
                continue
            columns = self._differing(known_call, fingerprint, decision)
            if overlap is Overlap.ASK:
                origin = self.describe_origin(known_call, columns, decision, shows_both=True)
                raise NotPlanned("conflict", f"{_SAME_MOMENT} {origin}{_DECIDE}")
            self._take_for_changed(known_call, call, fingerprint, decision)
            decision.note_changed(call, self.describe_origin(known_call, columns, decision))
            return True
        return False

    def _take_for_changed(
        self, known_call: KnownCall, call: Record, fingerprint: CallFingerprint, decision: RowDecision
    ) -> None:
        """Claim a call for a row with other values, and keep the row's own call and its properties.

        They are kept because the guess may be wrong. If a later row of this reading is exactly the known
        call, the two rows are two events, and the kept call is planned after all (`_decide_anew`). So the
        result does not depend on the order of the rows.
        """
        decision.is_changed = True
        claimed = self._claims.claim(known_call, fingerprint, decision, changed=True)
        number = decision.keep_row(self._slots)
        changed = ChangedCall(decision.row, call, fingerprint.total, number, decision.sets)
        decision.sets = ()  # One of the row's calls is enough to keep them.
        self._slots.keep_changed(decision.reading, claimed, changed)

    def is_read_again(self, known_call: KnownCall, decision: RowDecision) -> bool:
        """Tell whether a reading that has the call has read the current line with the same bytes.

        If that reading has the call from another line, its row of this line is another event.
        """
        own, line = decision.reading, decision.row.line
        claims = (claim for claim in known_call.claims if claim.line in (0, line))
        return any(self._others.is_read_again(own, claim.reading, line) for claim in claims)

    def overlap(self, known_call: KnownCall, decision: RowDecision) -> Overlap:
        """Return how this reading overlaps with those that have the call.

        One reading that the row may repeat is enough. The row is another event only if it can repeat none.
        """
        overlaps = (self._others.overlap(decision.reading, claim.reading) for claim in known_call.claims)
        return next((overlap for overlap in overlaps if overlap is not Overlap.SEPARATE), Overlap.SEPARATE)

    def _differing(
        self, known_call: KnownCall, fingerprint: CallFingerprint, decision: RowDecision
    ) -> list[str]:
        """Return the columns in which the row differs from the row that a call was sent from.

        The row of a call of format 2 is not known. The properties that were sent stand for its columns.
        """
        known_row = self._slots.row(known_call.row) if known_call.row else None
        if known_row is not None:
            return self._others.differing(decision.reading, decision.row_fingerprint.columns, known_row)
        first = known_call.claims[0]
        pairs, known_pairs = pairs_of_common_names(fingerprint.pairs, known_call.pairs)
        return self._others.differing(
            decision.reading, pairs, KnownRow(first.reading, first.line, known_pairs)
        )

    def describe_origin(
        self, known_call: KnownCall, columns: list[str], decision: RowDecision, *, shows_both: bool = False
    ) -> str:
        """Return the place of the row that a call was sent from, and the values that differ in `columns`.

        `shows_both` reads the values of that row again from its file, which takes time.
        """
        first = known_call.claims[0]
        known_row = self._slots.row(known_call.row) if known_call.row else None
        known_row = known_row or KnownRow(first.reading, first.line, b"")
        place = self._others.place(known_row)
        if not columns:
            return f"in {place}"
        there = self._others.cells(known_row) if shows_both else ()
        return f"in {place}, with another {list_values(columns, decision.cells, there)}"

    def _decide_anew(self, displaced: ChangedCall, decision: RowDecision) -> None:
        """Decide on a row that was taken for a changed call, now that the call's own row has turned up."""
        call = displaced.call
        known_row = self._slots.row(displaced.number)
        row_fingerprint = RowFingerprint(displaced.total, known_row.columns if known_row else b"")
        fingerprint = self._fingerprints.fingerprint_call(call, row_fingerprint.total)
        slot = self._slots.slot(fingerprint.person, fingerprint.second)
        anew = RowDecision(displaced.row, decision.reading, row_fingerprint)
        anew.new_people = decision.new_people
        anew.sets = displaced.sets
        candidates = self.with_same_deed(slot, fingerprint, anew)
        try:
            if self._known_changed(call, fingerprint, candidates, anew):
                return
        except NotPlanned as error:
            owed = (part_of(call), *map(part_of, displaced.sets))
            decision.rejects.append(Reject(displaced.row, error.code, str(error), owed))
            return
        self._plan_anew(displaced, fingerprint, anew)
        decision.take_over(anew)

    def _plan_anew(self, displaced: ChangedCall, fingerprint: CallFingerprint, anew: RowDecision) -> None:
        """Plan the call and the properties of a row that turned out to be another event."""
        call = displaced.call
        anew.is_anew = True
        try:
            own = self._slots.slot(fingerprint.person, fingerprint.second)
            self._seconds.plan(call, fingerprint, own, anew)
        except NotPlanned as error:
            anew.reject(error, part_of(call))
        for one in displaced.sets:
            try:
                self._decide_set(one, anew)
            except NotPlanned as error:
                anew.reject(error, part_of(one))


_SAME_MOMENT = "this event of the same identity at the same moment was sent before,"
_DECIDE = (
    ": if it is another event, import it with --overlap separate; if it is the same event, changed since, "
    "with --overlap repeats"
)
