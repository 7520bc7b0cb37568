"""Decides on the properties that follow a persona's columns (its `set` in km.toml).

A value is sent if Kissmetrics has another one, or none, at the moment of its row. The times of the rows
decide, not the order in which they are read: for each value that was sent, the ledger has the moments of the
first and of the last row with it (KnownValue), and no other value is sent between these two. So an older row
never overwrites a newer value, and a row that comes again sends nothing, in whatever order files are read.
Rows of one moment follow one another as they are read.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from km_cli.model import NANOSECONDS, KnownValue, Set, part_of, split_pairs
from km_cli.planning.decision import NotPlanned, RowDecision
from km_cli.planning.fingerprints import Fingerprints
from km_cli.planning.seconds import Room, Seconds
from km_cli.protocols import Slots


class _Value(NamedTuple):
    """A property of a row, and the values that were sent from rows before and after it.

    `key` is the person and the property's name, `digest` that of name and value.
    """

    name: str
    text: str
    key: bytes
    digest: bytes
    before: KnownValue | None
    after: KnownValue | None

    @property
    def is_first(self) -> bool:
        """Whether no value of the property was sent."""
        return self.before is None and self.after is None

    @property
    def room(self) -> Room:
        """The seconds between the values around it."""
        return Room(self.before.taken + 1 if self.before else 0, self.after.taken if self.after else None)


class Sets:
    """Decides on the Sets that follow columns, by the values in the slots.

    `followed` are the names of the personas that have columns to follow.
    """

    def __init__(
        self, slots: Slots, fingerprints: Fingerprints, seconds: Seconds, followed: Collection[str]
    ) -> None:
        self._followed = followed
        self._slots = slots
        self._values = slots.values
        self._fingerprints = fingerprints
        self._seconds = seconds

    def decide(self, call: Set, decision: RowDecision) -> None:
        """Plan the properties that have changed. Raises NotPlanned.

        If an event of the row is rejected because the row may be one that was sent before, the properties
        are owed with it. If the row is one that was sent before with other values, only properties of which
        no value was sent are planned.
        """
        if decision.is_contested:
            decision.withhold(part_of(call))
            return
        values = [self._around(call, *pair) for pair in call.properties]
        if decision.is_changed:
            changes = [value for value in values if value.is_first]
        else:
            changes = [value for value in values if not self._is_settled(call, value, decision)]
        if changes:
            self._plan(call, changes, decision)

    def _around(self, call: Set, name: str, text: str) -> _Value:
        """Return a property of the row with the values around it."""
        person, _ = self._fingerprints.digest_person(call.site, call.identity)
        digest = self._fingerprints.digest_value(name, text)
        key = person + self._fingerprints.digest_name(name)
        value = _Value(name, text, key, digest, *self._sent_around(key, call.moment))
        is_followed = not call.stated or call.persona in self._followed
        if value.is_first and is_followed and (known := self._of_format_4(call, name, key)):
            self._values.put(key, known)
            return _Value(name, text, key, digest, *self._sent_around(key, call.moment))
        return value

    def _sent_around(self, key: bytes, moment: int) -> tuple[KnownValue | None, KnownValue | None]:
        return next(self._values.until(key, moment), None), self._values.after(key, moment)

    def _of_format_4(self, call: Set, name: str, key: bytes) -> KnownValue | None:
        """Return the value that a ledger of format 4 has for a property, which was sent once and for all.

        Its moment is known to the second. The call is missing if its destination refused it since.
        """
        place = self._slots.slot_of_id(self._fingerprints.id_of_set(call, name))
        if place is None:
            return None
        deed = self._fingerprints.fingerprint_call(call._replace(stated=False)).deed
        for known_call in self._slots.slot(*place).known:
            digest = dict(split_pairs(known_call.pairs)).get(key[-4:])
            if known_call.deed == deed and digest:
                moment = known_call.second * NANOSECONDS
                return KnownValue(moment, 0, moment, moment, known_call.taken, digest)
        return None

    def _is_settled(self, call: Set, value: _Value, decision: RowDecision) -> bool:
        """Tell whether a value need not be sent. Note the moment of a row that agrees with its neighbour."""
        moment, before, after = call.moment, value.before, value.after
        if self._is_known(moment, value, decision):
            return True
        if (before and before.last > moment) or (after and after.first < moment):
            decision.note_older(call, value.name)
            return True
        if decision.is_anew and self._has_other_of_moment(moment, value):
            decision.note_older(call, value.name)
            return True
        if before and _are_alike(value, before):
            self._values.put(value.key, before._replace(last=moment))
            return True
        if after and _are_alike(value, after):
            self._values.put(value.key, after._replace(first=moment))
            return True
        return False

    def _has_other_of_moment(self, moment: int, value: _Value) -> bool:
        """Tell whether another row of this very moment has another value.

        A row that is decided anew was read before that row or behind it, and its order is not known any more.
        """
        around = [known for known in (value.before, value.after) if known is not None]
        return any(moment in (known.first, known.last) and not _are_alike(value, known) for known in around)

    def _is_known(self, moment: int, value: _Value, decision: RowDecision) -> bool:
        """Tell whether rows before and after this moment, or in it, have this value.

        Within one moment a value may change, and change back. A row that was read before has any of the
        moment's values; only a new row changes the last one back.
        """
        for known in self._values.until(value.key, moment):
            if known.last < moment:
                break
            if _are_alike(value, known):
                return True
            if decision.is_new and known == value.before and known.last == moment:
                break
        after = value.after
        return after is not None and after.first <= moment and _are_alike(value, after)

    def _plan(self, call: Set, changes: Sequence[_Value], decision: RowDecision) -> None:
        """Plan changes as one call, or one by one if they have no second in common. Raises NotPlanned."""
        room = _common_room([value.room for value in changes])
        if room.end is None or max(call.second, room.begin) < room.end:
            self._plan_together(call, changes, room, decision)
        elif len(changes) == 1:
            decision.note_older(call, changes[0].name)
        else:
            for value in changes:
                try:
                    self._plan(call, [value], decision)
                except NotPlanned as error:
                    decision.reject(error, part_of(call))

    def _plan_together(self, call: Set, changes: Sequence[_Value], room: Room, decision: RowDecision) -> None:
        """Plan changes as one call, and note them as sent."""
        call = call._replace(properties=tuple([(value.name, value.text) for value in changes]))
        taken = self._seconds.plan_set(call, self._fingerprints.fingerprint_call(call), decision, room)
        for value in changes:
            self._note_sent(call.moment, value, taken)

    def _note_sent(self, moment: int, value: _Value, taken: int) -> None:
        before = value.before
        place = before.place + 1 if before and before.moment == moment else 0
        self._values.put(value.key, KnownValue(moment, place, moment, moment, taken, value.digest))

    def note_stated(self, call: Set, taken: int) -> None:
        """Note that a row stated properties: a followed column changes from these values.

        Rows after this one may have had the value before it. They have to send it again: so these rows no
        longer count as having it. A property of which no column is followed is not noted.
        """
        is_followed = call.persona in self._followed
        for pair in call.properties if is_followed or not self._values.is_empty else ():
            value = self._around(call, *pair)
            before, after = value.before, value.after
            if not is_followed and value.is_first:
                continue
            if before and _are_alike(value, before):
                continue
            if before and before.last > call.moment:
                self._values.put(value.key, before._replace(last=call.moment))
            if after and after.first <= call.moment:
                self._values.put(value.key, after._replace(first=after.moment))
            self._note_sent(call.moment, value, taken)


def _are_alike(value: _Value, known: KnownValue) -> bool:
    """Tell whether two values are the same. A value of format 4 has only the beginning of its digest."""
    return value.digest.startswith(known.value)


def _common_room(rooms: Sequence[Room]) -> Room:
    ends = [room.end for room in rooms if room.end is not None]
    return Room(max(room.begin for room in rooms), min(ends, default=None))
