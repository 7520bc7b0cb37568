"""Which calls are known: sent before, by this reading or another (promise 5).

Rows are compared, not what is sent of them. Within a reading two rows are one only if they are alike in every
column, or have the same id. Across readings a row is matched with what is known one for one: by the log's own
id, else if it is alike in every column that both logs have. A row whose deed another reading has with other
values is a conflict, and how the two readings overlap decides what becomes of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from km_cli.model import (
    Claim,
    Filed,
    Fingerprint,
    KnownRow,
    Overlap,
    Placed,
    Record,
    Reject,
    Slot,
    part_of,
    split_pairs,
)
from km_cli.kissmetrics import fold_name
from km_cli.planning.decision import Desk, NotPlaced
from km_cli.planning.seconds import Seconds
from km_cli.planning.fingerprints import Print, Prints
from km_cli.protocols import OtherReadings, Slots

MOST_READINGS = 16
"""How many readings are remembered to hold a call: the first and the last ones, so that slots stay small."""


class Matching:
    """Matches records with what the slots hold."""

    def __init__(self, slots: Slots, prints: Prints, seconds: Seconds, others: OtherReadings) -> None:
        self._slots = slots
        self._prints = prints
        self._seconds = seconds
        self._others = others

    def knows(self, call: Record, mark: Print, desk: Desk) -> bool:
        """Tell whether a call is known, and remember that this reading holds it too. Raises NotPlaced."""
        if mark.id and self._known_by_id(call, mark, desk):
            return True
        slot = self._slots.slot(mark.person, mark.second)
        if not slot.filed:
            return False
        kin = self._kin(slot, mark, desk)
        return bool(kin) and (
            self._known_in_reading(call, mark, kin, desk)
            or self._known_alike(mark, kin, desk)
            or self._known_changed(call, mark, kin, desk)
        )

    def _kin(self, slot: Slot, mark: Print, desk: Desk) -> list[Filed]:
        """Return the calls of this deed, but for those that `--as-new` says to pass over."""
        return [
            filed for filed in slot.filed if filed.deed == mark.deed and not self._is_passed_over(filed, desk)
        ]

    def _is_passed_over(self, filed: Filed, desk: Desk) -> bool:
        return self._others.is_passed_over(desk.reading, filed.claims[0].reading)

    def _known_by_id(self, call: Record, mark: Print, desk: Desk) -> bool:
        """Tell whether the log's own id was sent before; raises NotPlaced if it was another deed's."""
        home = self._slots.home(mark.id)
        if home is None:
            return False
        slot = self._slots.slot(*home)
        filed = next((filed for filed in slot.filed if filed.id == mark.id), None)
        if filed is None or self._is_passed_over(filed, desk):
            return False
        if filed.deed != mark.deed:
            raise NotPlaced(
                "id-reused",
                f"the id {call.id!r} was sent before with another {call.persona}, event or time; "
                "an id names one event for ever",
            )
        claim = filed.claim_of(desk.reading)
        if mark.total not in filed.totals and (columns := self._differing(filed, mark, desk)):
            desk.note_changed(call, self._said(filed, columns, desk))
        elif claim and claim.named and claim.line != desk.line:
            desk.note_same_row()
        return bool(claim and claim.named) or self._take(filed, mark, desk)

    def _known_in_reading(self, call: Record, mark: Print, kin: list[Filed], desk: Desk) -> bool:
        """Match a row with one of its own reading: the same line read again, or one alike in every column.

        A line is read again if it was planned before it had its end, and if it was rejected and corrected
        more than once: whatever it says now, it is the event that it was.
        """
        for filed in kin:
            claim = filed.claim_of(desk.reading)
            if claim is None:
                continue
            total = claim.total or filed.total
            if claim.line == desk.line and claim.line:
                if total != mark.total and (columns := self._differing(filed, mark, desk)):
                    desk.note_changed(call, self._said(filed, columns, desk))
                return True
            if not mark.id and not claim.named and self._is_same_row(filed, claim, call, mark):
                desk.note_same_row()
                return True
        return False

    def _is_same_row(self, filed: Filed, claim: Claim, call: Record, mark: Print) -> bool:
        """Tell whether a row of the reading at hand is alike in every column with the one of a claim."""
        if claim.total or filed.row:
            return mark.total == (claim.total or filed.total)
        return self._prints.of_whole(call.properties) == filed.total

    def _known_alike(self, mark: Print, kin: list[Filed], desk: Desk) -> bool:
        """Match a row one for one with another reading's: alike in every column, else in those of both."""
        free = [filed for filed in kin if _is_free(filed, mark, desk)]
        if not mark.id and self._others.has_ids(desk.reading):
            # A row without an id is not that of one: in a log that has ids the row with this one may follow.
            free = [filed for filed in free if not filed.id]
        for filed in free:
            if mark.total in filed.totals:
                return self._take(filed, mark, desk)
        for filed in free:
            if not self._differing(filed, mark, desk):
                return self._take(filed, mark, desk)
        return False

    def _take(self, filed: Filed, mark: Print, desk: Desk) -> bool:
        """Have this reading hold the call; a row that was taken for it, as changed, must look again."""
        displaced = self._slots.take_changed(desk.reading, filed)
        self._claim(filed, mark, desk)
        if displaced:
            self._rematch(displaced, desk)
        return True

    def _known_changed(self, call: Record, mark: Print, kin: list[Filed], desk: Desk) -> bool:
        """Decide on a row whose deed other readings have with other values. Raises NotPlaced.

        Calls that this reading holds already are matched: what is left over is another event.
        """
        for filed in kin:
            if filed.claim_of(desk.reading) or (mark.id and filed.id):
                continue
            if self._is_read_again(filed, desk):
                self._claim(filed, mark, desk)
                return True
            overlap = self._overlap(filed, desk)
            if overlap is Overlap.SEPARATE:
                continue
            columns = self._differing(filed, mark, desk)
            if overlap is Overlap.ASK:
                where = self._said(filed, columns, desk, shows_both=True)
                raise NotPlaced("conflict", f"{_SAME_MOMENT} {where}{_DECIDE}")
            where = self._said(filed, columns, desk)
            claimed = self._claim(filed, mark, desk, changed=True)
            as_read = claimed._replace(total=mark.total, row=desk.row_number(self._slots))
            self._slots.keep_changed(desk.reading, claimed, Placed(desk.row, call, as_read))
            desk.note_changed(call, where)
            return True
        return False

    def _is_read_again(self, filed: Filed, desk: Desk) -> bool:
        """Tell whether a reading that holds the call has read the line at hand, as it stands now."""
        readings = (claim.reading for claim in filed.claims)
        return any(self._others.is_read_again(desk.reading, other, desk.row.line) for other in readings)

    def _overlap(self, filed: Filed, desk: Desk) -> Overlap:
        """Return how this reading overlaps with those that hold a call: it may repeat any of them."""
        found = (self._others.overlap(desk.reading, claim.reading) for claim in filed.claims)
        return next((overlap for overlap in found if overlap is not Overlap.SEPARATE), Overlap.SEPARATE)

    def _differing(self, filed: Filed, mark: Print, desk: Desk) -> list[str]:
        """Return the columns in which a row differs from the one that a call was sent from.

        A call of format 2 is compared by the properties that were sent.
        """
        known = self._slots.row(filed.row) if filed.row else None
        if known is not None:
            return self._others.differing(desk.reading, desk.fingerprint.columns, known)
        first = filed.claims[0]
        mine, theirs = _of_both(mark.pairs, filed.pairs)
        return self._others.differing(desk.reading, mine, KnownRow(first.reading, first.line, theirs))

    def _said(self, filed: Filed, columns: list[str], desk: Desk, *, shows_both: bool = False) -> str:
        """Say where a call was sent from, and in which columns the row at hand has other values.

        `shows_both` has the other row's values looked up, which takes time.
        """
        first = filed.claims[0]
        known = self._slots.row(filed.row) if filed.row else None
        known = known or KnownRow(first.reading, first.line, b"")
        place = self._others.place(known)
        if not columns:
            return f"in {place}"
        there = self._others.cells(known) if shows_both else ()
        return f"in {place}, with another {_listed(columns, _folded(desk.cells.items()), _folded(there))}"

    def _rematch(self, displaced: Placed, desk: Desk) -> None:
        """Decide anew on a row that was taken for another, now that the other turned up itself.

        So exactly alike goes first, whatever the order of the rows.
        """
        call = displaced.call
        assert type(call) is Record
        known = self._slots.row(displaced.filed.row)
        fingerprint = Fingerprint(displaced.filed.total, known.columns if known else b"")
        mark = self._prints.of(call, fingerprint.total)
        slot = self._slots.slot(mark.person, mark.second)
        own = Desk(displaced.row, desk.reading, fingerprint)
        try:
            if not self._known_changed(call, mark, self._kin(slot, mark, own), own):
                self._seconds.place(call, mark, own)
                desk.findings += own.findings
        except NotPlaced as error:
            desk.rejects.append(Reject(displaced.row, error.code, str(error), (part_of(call),)))
        desk.placed += own.placed

    def _claim(self, filed: Filed, mark: Print, desk: Desk, *, changed: bool = False) -> Filed:
        """Remember that a reading holds the call too, from which line, and the id it has there."""
        total = b"" if filed.row and mark.total == filed.total else mark.total
        claim = Claim(desk.reading, mark.id != b"", total, desk.line, changed)
        others = tuple(other for other in filed.claims if other.reading != claim.reading)
        if len(others) >= MOST_READINGS:
            others = (others[0], *others[2 - MOST_READINGS :])
        claimed = filed._replace(claims=(*others, claim), id=mark.id or filed.id)
        if claimed.id != filed.id:
            self._slots.file_id(claimed.id, filed.person, filed.second)
        if claimed != filed:
            self._replace(filed, claimed)
        return claimed

    def _replace(self, filed: Filed, by: Filed) -> None:
        slot = self._slots.slot(filed.person, filed.second)
        calls = tuple(by if other == filed else other for other in slot.filed)
        self._slots.put(filed.person, filed.second, Slot(calls, slot.guests))


def _of_both(pairs: bytes, others: bytes) -> tuple[bytes, bytes]:
    """Return the digests of two calls' properties, of those names alone that both have."""
    mine, theirs = dict(split_pairs(pairs)), dict(split_pairs(others))
    names = sorted(mine.keys() & theirs.keys())
    return b"".join([name + mine[name] for name in names]), b"".join([name + theirs[name] for name in names])


def _is_free(filed: Filed, mark: Print, desk: Desk) -> bool:
    """Tell whether no row of this reading has the call, but for one that was taken for changed.

    Two ids are never one event; an id that came from a row that was taken for it goes with that row.
    """
    claim = filed.claim_of(desk.reading)
    if claim is None:
        return not (mark.id and filed.id)
    return claim.changed and (claim.named or not (mark.id and filed.id))


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
