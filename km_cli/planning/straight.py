"""The straight path: plans a row whose calls are all new, in free seconds. Most rows of a log are so.

It decides as the rest of planning would, without asking the questions that such a row does not raise.
`tests/test_straight.py` compares the two.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from km_cli.memory import Remembered
from km_cli.model import (
    NANOSECONDS,
    Claim,
    Gain,
    KnownCall,
    KnownRow,
    Owner,
    PlannedCall,
    Record,
    RowFingerprint,
    RowPlan,
    Sequence,
    Slot,
    Wired,
)
from km_cli.model.making import maker
from km_cli.planning.fingerprints import Fingerprints
from km_cli.planning.seconds import Encode
from km_cli.protocols import Slots

_gain, _known_call, _planned_call = maker(Gain), maker(KnownCall), maker(PlannedCall)
_owner = maker(Owner)
_claim, _known_row, _row_plan, _slot = maker(Claim), maker(KnownRow), maker(RowPlan), maker(Slot)

_EMPTY = Slot()
_MOST_REMEMBERED = 40_000

_Place = tuple[bytes, int, Owner | None]


def _people() -> Remembered[str, bytes]:
    return Remembered(_MOST_REMEMBERED)


class StraightPath:
    """Plans the rows of one reading that raise no question."""

    def __init__(self, slots: Slots, fingerprints: Fingerprints, encode: Encode) -> None:
        self._slots = slots
        self._fingerprints = fingerprints
        self._encode = encode
        self._owned: defaultdict[tuple[str, ...], Remembered[str, bytes]] = defaultdict(_people)
        """The people whose owner is right, by site and persona, then by identity."""

    def plan(self, sequence: Sequence, fingerprint: RowFingerprint, reading: int) -> RowPlan | None:
        """Return the plan of a row; None, with nothing changed, if the row has to be looked at closely."""
        people = self._people(sequence.calls)
        if not people:
            return None
        row, calls, *_ = sequence
        total, columns = fingerprint
        number = self._slots.keep_row(_known_row((reading, row.line, columns)))
        claims = (_claim((reading, False, b"", row.line, False)),)
        put, encode, digest_deed = self._slots.put, self._encode, self._fingerprints.digest_deed
        planned, gains = [], []
        for call, (person, second, owner) in zip(calls, people, strict=True):
            assert type(call) is Record
            site, persona, identity, actor, name, moment, properties, _ = call
            event, deed = digest_deed(identity, actor, name, moment)
            pairs, names = self._fingerprints.digest_pairs(properties)
            known = _known_call((person, second, second, deed, total, event, pairs, b"", claims, number))
            put(person, second, _slot(((known,), ())))
            if owner is not None:
                self._slots.set_owner(person, owner)
                self._owned[site, persona].remember(identity, person)
            gains.append(_gain((int(owner is not None), event, names)))
            payload = encode(call, second)
            planned.append(_planned_call((site, persona, payload, person, second, second, deed, total, 0, 0)))
        return _row_plan((row, tuple(planned), (), (), False, calls, tuple(gains), (), reading))

    def _people(self, calls: Iterable[Wired]) -> list[_Place] | None:
        """Return for each call its person, its second, and the owner of the person if that is new.

        None if a call is no record, has an id, is of a person with another owner or with another call in the
        row, or if the person has a call in that second.
        """
        found: list[_Place] = []
        seen: list[bytes] = []
        for call in calls:
            if type(call) is not Record or call.id:
                return None
            site, persona, who = call[:3]
            owned, owner = self._owned[site, persona], None
            person = owned.get(who)
            if person is None:
                person, identity = self._fingerprints.make_person(site, who)
                known = self._slots.owner(person)
                if known is None:
                    owner = _owner((persona, identity, b""))
                elif known.persona == persona and known.identity == identity:
                    owned.remember(who, person)
                else:
                    return None
            second = call.moment // NANOSECONDS
            if person in seen or self._slots.slot(person, second) != _EMPTY:
                return None
            seen.append(person)
            found.append((person, second, owner))
        return found
