"""Which calls are known: sent before, by this reading or another (promise 5).

Rows are compared, not what is sent of them. Within a reading two rows are one only if they are alike in every
column, or have the same id. Across readings a row is matched with what is known one for one: by the log's own
id, else if it is alike in every column that both logs have. A row whose deed another reading has with other
values is a conflict, and how the two readings overlap decides what becomes of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from km_cli.kissmetrics import fold_name
from km_cli.model import (
    Claim,
    KnownCall,
    KnownRow,
    Overlap,
    PlannedCall,
    Record,
    Reject,
    RowFingerprint,
    Slot,
    part_of,
    split_pairs,
)
from km_cli.planning.decision import NotPlanned, RowDecision
from km_cli.planning.fingerprints import Fingerprint, Fingerprints
from km_cli.planning.seconds import Seconds
from km_cli.protocols import OtherReadings, Slots

MOST_READINGS = 16
"""How many readings are remembered to hold a call: the first and the last ones, so that slots stay small."""


class Matching:
    """Matches records with what the slots hold."""

    def __init__(
        self, slots: Slots, fingerprints: Fingerprints, seconds: Seconds, others: OtherReadings
    ) -> None:
        self._slots = slots
        self._fingerprints = fingerprints
        self._seconds = seconds
        self._others = others

    def knows(self, call: Record, fingerprint: Fingerprint, decision: RowDecision) -> bool:
        """Tell whether a call is known, and remember that this reading holds it too. Raises NotPlanned."""
        if fingerprint.id and self._known_by_id(call, fingerprint, decision):
            return True
        slot = self._slots.slot(fingerprint.person, fingerprint.second)
        if not slot.known:
            return False
        kin = self._kin(slot, fingerprint, decision)
        return bool(kin) and (
            self._known_in_reading(call, fingerprint, kin, decision)
            or self._known_alike(fingerprint, kin, decision)
            or self._known_changed(call, fingerprint, kin, decision)
        )

    def _kin(self, slot: Slot, fingerprint: Fingerprint, decision: RowDecision) -> list[KnownCall]:
        """Return the calls of this deed, but for those that `--as-new` says to pass over."""
        return [
            known_call
            for known_call in slot.known
            if known_call.deed == fingerprint.deed and not self._is_passed_over(known_call, decision)
        ]

    def _is_passed_over(self, known_call: KnownCall, decision: RowDecision) -> bool:
        return self._others.is_passed_over(decision.reading, known_call.claims[0].reading)

    def _known_by_id(self, call: Record, fingerprint: Fingerprint, decision: RowDecision) -> bool:
        """Tell whether the log's own id was sent before; raises NotPlanned if it was another deed's."""
        home = self._slots.home(fingerprint.id)
        if home is None:
            return False
        slot = self._slots.slot(*home)
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
            columns := self._differing(known_call, fingerprint, decision)
        ):
            decision.note_changed(call, self._said(known_call, columns, decision))
        elif claim and claim.named and claim.line != decision.line:
            decision.note_alike_rows()
        return bool(claim and claim.named) or self._take(known_call, fingerprint, decision)

    def _known_in_reading(
        self, call: Record, fingerprint: Fingerprint, kin: list[KnownCall], decision: RowDecision
    ) -> bool:
        """Match a row with one of its own reading: the same line read again, or one alike in every column.

        A line is read again if it was planned before it had its end, and if it was rejected and corrected
        more than once: whatever it says now, it is the event that it was.
        """
        for known_call in kin:
            claim = known_call.claim_of(decision.reading)
            if claim is None:
                continue
            total = claim.total or known_call.total
            if claim.line == decision.line and claim.line:
                if total != fingerprint.total and (
                    columns := self._differing(known_call, fingerprint, decision)
                ):
                    decision.note_changed(call, self._said(known_call, columns, decision))
                return True
            if (
                not fingerprint.id
                and not claim.named
                and self._is_same_row(known_call, claim, call, fingerprint)
            ):
                decision.note_alike_rows()
                return True
        return False

    def _is_same_row(
        self, known_call: KnownCall, claim: Claim, call: Record, fingerprint: Fingerprint
    ) -> bool:
        """Tell whether a row of the reading at hand is alike in every column with the one of a claim."""
        if claim.total or known_call.row:
            return fingerprint.total == (claim.total or known_call.total)
        return self._fingerprints.of_whole(call.properties) == known_call.total

    def _known_alike(self, fingerprint: Fingerprint, kin: list[KnownCall], decision: RowDecision) -> bool:
        """Match a row one for one with another reading's: alike in every column, else in those of both."""
        free = [known_call for known_call in kin if _is_free(known_call, fingerprint, decision)]
        if not fingerprint.id and self._others.has_ids(decision.reading):
            # A row without an id is not that of one: in a log that has ids the row with this one may follow.
            free = [known_call for known_call in free if not known_call.id]
        for known_call in free:
            if fingerprint.total in known_call.totals:
                return self._take(known_call, fingerprint, decision)
        for known_call in free:
            if not self._differing(known_call, fingerprint, decision):
                return self._take(known_call, fingerprint, decision)
        return False

    def _take(self, known_call: KnownCall, fingerprint: Fingerprint, decision: RowDecision) -> bool:
        """Have this reading hold the call; a row that was taken for it, as changed, must look again."""
        displaced = self._slots.take_changed(decision.reading, known_call)
        self._claim(known_call, fingerprint, decision)
        if displaced:
            self._rematch(displaced, decision)
        return True

    def _known_changed(
        self, call: Record, fingerprint: Fingerprint, kin: list[KnownCall], decision: RowDecision
    ) -> bool:
        """Decide on a row whose deed other readings have with other values. Raises NotPlanned.

        Calls that this reading holds already are matched: what is left over is another event.
        """
        for known_call in kin:
            if known_call.claim_of(decision.reading) or (fingerprint.id and known_call.id):
                continue
            if self._is_read_again(known_call, decision):
                self._claim(known_call, fingerprint, decision)
                return True
            overlap = self._overlap(known_call, decision)
            if overlap is Overlap.SEPARATE:
                continue
            columns = self._differing(known_call, fingerprint, decision)
            if overlap is Overlap.ASK:
                where = self._said(known_call, columns, decision, shows_both=True)
                raise NotPlanned("conflict", f"{_SAME_MOMENT} {where}{_DECIDE}")
            where = self._said(known_call, columns, decision)
            claimed = self._claim(known_call, fingerprint, decision, changed=True)
            as_read = claimed._replace(total=fingerprint.total, row=decision.row_number(self._slots))
            self._slots.keep_changed(decision.reading, claimed, PlannedCall(decision.row, call, as_read))
            decision.note_changed(call, where)
            return True
        return False

    def _is_read_again(self, known_call: KnownCall, decision: RowDecision) -> bool:
        """Tell whether a reading that holds the call has read the line at hand, as it stands now."""
        readings = (claim.reading for claim in known_call.claims)
        return any(
            self._others.is_read_again(decision.reading, other, decision.row.line) for other in readings
        )

    def _overlap(self, known_call: KnownCall, decision: RowDecision) -> Overlap:
        """Return how this reading overlaps with those that hold a call: it may repeat any of them."""
        found = (self._others.overlap(decision.reading, claim.reading) for claim in known_call.claims)
        return next((overlap for overlap in found if overlap is not Overlap.SEPARATE), Overlap.SEPARATE)

    def _differing(self, known_call: KnownCall, fingerprint: Fingerprint, decision: RowDecision) -> list[str]:
        """Return the columns in which a row differs from the one that a call was sent from.

        A call of format 2 is compared by the properties that were sent.
        """
        known = self._slots.row(known_call.row) if known_call.row else None
        if known is not None:
            return self._others.differing(decision.reading, decision.row_fingerprint.columns, known)
        first = known_call.claims[0]
        mine, theirs = _of_both(fingerprint.pairs, known_call.pairs)
        return self._others.differing(decision.reading, mine, KnownRow(first.reading, first.line, theirs))

    def _said(
        self, known_call: KnownCall, columns: list[str], decision: RowDecision, *, shows_both: bool = False
    ) -> str:
        """Say where a call was sent from, and in which columns the row at hand has other values.

        `shows_both` has the other row's values looked up, which takes time.
        """
        first = known_call.claims[0]
        known = self._slots.row(known_call.row) if known_call.row else None
        known = known or KnownRow(first.reading, first.line, b"")
        place = self._others.place(known)
        if not columns:
            return f"in {place}"
        there = self._others.cells(known) if shows_both else ()
        return f"in {place}, with another {_listed(columns, _folded(decision.cells.items()), _folded(there))}"

    def _rematch(self, displaced: PlannedCall, decision: RowDecision) -> None:
        """Decide anew on a row that was taken for another, now that the other turned up itself.

        So exactly alike goes first, whatever the order of the rows.
        """
        call = displaced.call
        assert type(call) is Record
        known = self._slots.row(displaced.known.row)
        row_fingerprint = RowFingerprint(displaced.known.total, known.columns if known else b"")
        fingerprint = self._fingerprints.of(call, row_fingerprint.total)
        slot = self._slots.slot(fingerprint.person, fingerprint.second)
        own = RowDecision(displaced.row, decision.reading, row_fingerprint)
        try:
            if not self._known_changed(call, fingerprint, self._kin(slot, fingerprint, own), own):
                self._seconds.place(call, fingerprint, own)
                decision.findings += own.findings
        except NotPlanned as error:
            decision.rejects.append(Reject(displaced.row, error.code, str(error), (part_of(call),)))
        decision.planned += own.planned

    def _claim(
        self, known_call: KnownCall, fingerprint: Fingerprint, decision: RowDecision, *, changed: bool = False
    ) -> KnownCall:
        """Remember that a reading holds the call too, from which line, and the id it has there."""
        total = b"" if known_call.row and fingerprint.total == known_call.total else fingerprint.total
        claim = Claim(decision.reading, fingerprint.id != b"", total, decision.line, changed)
        others = tuple(other for other in known_call.claims if other.reading != claim.reading)
        if len(others) >= MOST_READINGS:
            others = (others[0], *others[2 - MOST_READINGS :])
        claimed = known_call._replace(claims=(*others, claim), id=fingerprint.id or known_call.id)
        if claimed.id != known_call.id:
            self._slots.file_id(claimed.id, known_call.person, known_call.second)
        if claimed != known_call:
            self._replace(known_call, claimed)
        return claimed

    def _replace(self, known_call: KnownCall, by: KnownCall) -> None:
        slot = self._slots.slot(known_call.person, known_call.second)
        calls = tuple(by if other == known_call else other for other in slot.known)
        self._slots.put(known_call.person, known_call.second, Slot(calls, slot.moved))


def _of_both(pairs: bytes, others: bytes) -> tuple[bytes, bytes]:
    """Return the digests of two calls' properties, of those names alone that both have."""
    mine, theirs = dict(split_pairs(pairs)), dict(split_pairs(others))
    names = sorted(mine.keys() & theirs.keys())
    return b"".join([name + mine[name] for name in names]), b"".join([name + theirs[name] for name in names])


def _is_free(known_call: KnownCall, fingerprint: Fingerprint, decision: RowDecision) -> bool:
    """Tell whether no row of this reading has the call, but for one that was taken for changed.

    Two ids are never one event; an id that came from a row that was taken for it goes with that row.
    """
    claim = known_call.claim_of(decision.reading)
    if claim is None:
        return not (fingerprint.id and known_call.id)
    return claim.changed and (claim.named or not (fingerprint.id and known_call.id))


_MOST_LISTED = 4
_LONGEST_SHOWN = 40


def _listed(columns: list[str], here: dict[str, str], there: dict[str, str]) -> str:
    """Name columns, with what stands in them here and, if it is known, there."""
    said = []
    for name in columns[:_MOST_LISTED]:
        values = f"{_shown(here.get(fold_name(name), ''))} here"
        if there:
            values += f", {_shown(there.get(fold_name(name), ''))} there"
        said.append(f"{name!r} ({values})")
    more = len(columns) - len(said)
    return ", ".join(said) + (f" and {more} more" if more else "")


def _folded(cells: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {fold_name(name): value for name, value in cells}


def _shown(text: str) -> str:
    return f"{text[:_LONGEST_SHOWN]!r}…" if len(text) > _LONGEST_SHOWN else repr(text) if text else "nothing"


_SAME_MOMENT = "this event of the same identity at the same moment was sent before,"
_DECIDE = (
    ": if it is another event, import it with --overlap separate; if it is the same event, changed since, "
    "with --overlap repeats"
)
