"""Which calls are known: sent before, by this reading or another.

Within a reading, calls of one deed with different properties are several and those alike in everything are
one. Across readings a call is matched with what is known: by the log's own id, else exactly alike first, then
one for one as the same call whose properties changed meanwhile; what is left over is new.
"""

from __future__ import annotations

from km_cli.model import Claim, Filed, Placed, Record, Reject, Slot, part_of
from km_cli.planning.desk import Desk, NotPlaced
from km_cli.planning.seconds import Seconds
from km_cli.prints import Print, Prints
from km_cli.protocols import Slots

MOST_READINGS = 16
"""How many readings are remembered to hold a call: the first and the last ones, so that slots stay small."""


class Matching:
    """Matches records with what the slots hold."""

    def __init__(self, slots: Slots, prints: Prints, seconds: Seconds) -> None:
        self._slots = slots
        self._prints = prints
        self._seconds = seconds

    def knows(self, call: Record, mark: Print, desk: Desk) -> bool:
        """Tell whether a call is known, and remember that this reading holds it too. Raises NotPlaced."""
        if mark.id and self._known_by_id(call, mark, desk):
            return True
        slot = self._slots.slot(mark.person, mark.second)
        if not slot.filed:
            return False
        kin = [filed for filed in slot.filed if filed.deed == mark.deed]
        return self._known_alike(mark, kin, desk) or self._known_changed(call, mark, kin, desk)

    def _known_by_id(self, call: Record, mark: Print, desk: Desk) -> bool:
        """Tell whether the log's own id was sent before; raises NotPlaced if it was another deed's."""
        home = self._slots.home(mark.id)
        if home is None:
            return False
        slot = self._slots.slot(*home)
        filed = next((filed for filed in slot.filed if filed.id == mark.id), None)
        if filed is None:
            return False
        if filed.deed != mark.deed:
            raise NotPlaced(
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

    def _known_alike(self, mark: Print, kin: list[Filed], desk: Desk) -> bool:
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

    def _known_changed(self, call: Record, mark: Print, kin: list[Filed], desk: Desk) -> bool:
        """Match a call one for one with one whose properties were others when it was sent."""
        for filed in kin:
            if filed.claim_of(desk.reading) or (mark.id and filed.id):
                continue
            claimed = self._claim(filed, Claim(desk.reading, mark.id != b"", mark.alike), mark.id)
            self._slots.keep_changed(desk.reading, claimed, Placed(desk.row, call, claimed))
            desk.note_changed(call)
            return True
        return False

    def _rematch(self, displaced: Placed, desk: Desk) -> None:
        """Decide anew on a call that was taken for another, now that the other turned up itself.

        So exactly alike goes first, whatever the order of the rows.
        """
        call = displaced.call
        assert type(call) is Record
        mark = self._prints.of(call)
        slot = self._slots.slot(mark.person, mark.second)
        kin = [filed for filed in slot.filed if filed.deed == mark.deed]
        own = Desk(displaced.row, desk.reading)
        try:
            if not self._known_changed(call, mark, kin, own):
                self._seconds.place(call, mark, own)
                desk.findings += own.findings
        except NotPlaced as error:
            desk.rejects.append(Reject(displaced.row, error.code, str(error), (part_of(call),)))
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
