"""Compares the calls of the ledger with the records of the export. Pure: both come sorted, and are read once.

An event is there if the person has a record of that event in that second. Its properties do not decide:
Kissmetrics rewrites values (D5) and keeps one of two values (D2). Two calls that were sent as one event in
one second (`--collisions keep`) are both there if one record is, because Kissmetrics counts one (D1).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from km_cli.model import NO_EVENT, split_pairs
from km_cli.verify.export.seconds import Compared, ExpectedSecond, HeldRecord, HeldSecond, Key, Standing


def compare(expected: Iterable[ExpectedSecond], held: Iterable[HeldSecond]) -> Iterator[Compared]:
    """Yield all seconds of both sides, in order.

    Both sides must be sorted by second, then person, and have each pair of these once.
    """
    calls, records = iter(expected), iter(held)
    left, right = next(calls, None), next(records, None)
    while left is not None or right is not None:
        if right is None or (left is not None and _key(left) < _key(right)):
            assert left is not None
            yield compare_second(left, HeldSecond(*left[:2], ()))
            left = next(calls, None)
        elif left is None or _key(right) < _key(left):
            yield compare_second(ExpectedSecond(*right[:2], "", ()), right)
            right = next(records, None)
        else:
            yield compare_second(left, right)
            left, right = next(calls, None), next(records, None)


def _key(second: ExpectedSecond | HeldSecond) -> Key:
    return second[0], second[1]


def compare_second(expected: ExpectedSecond, held: HeldSecond) -> Compared:
    """Compare one person's one second."""
    second, person, persona, calls = expected
    events = {record.event for record in held.records}
    values = _Values(calls, held.records)
    found: list[Standing] = []
    absent: list[Standing] = []
    for call in calls:
        is_there = call.event in events if call.event != NO_EVENT else values.has(call.pairs)
        (found if is_there else absent).append(call)
    sent = {call.event for call in calls}
    unknown = {
        (record.event, record.pairs): record  # Older exports have duplicates; they are one (D1).
        for record in reversed(held.records)
        if (record.event not in sent if record.event != NO_EVENT else not values.explains(record.pairs))
    }
    return Compared(second, person, persona, tuple(found), tuple(absent), tuple(reversed(unknown.values())))


class _Values:
    """The property values that one person has in one second, on both sides."""

    def __init__(self, calls: Iterable[Standing], records: Iterable[HeldRecord]) -> None:
        self._sent: defaultdict[bytes, set[bytes]] = defaultdict(set)
        for call in calls:
            for name, value in split_pairs(call.pairs):
                self._sent[name].add(value)
        self._held: defaultdict[bytes, set[bytes]] = defaultdict(set)
        self._loose: set[bytes] = set()
        for record in records:
            for name, value in split_pairs(record.pairs):
                self._held[name].add(value)
            self._loose.update(names_in(record.loose))

    def has(self, pairs: bytes) -> bool:
        """Tell whether the export has these properties.

        Of several values that were sent for one second any may have survived (D2).
        """
        for name, value in split_pairs(pairs):
            if name not in self._held:
                return False
            if value not in self._held[name] and name not in self._loose and len(self._sent[name]) == 1:
                return False
        return True

    def explains(self, pairs: bytes) -> bool:
        """Tell whether properties of the export are those of calls that were sent for this second."""
        return all(name in self._sent for name, _ in split_pairs(pairs))


def names_in(names: bytes) -> Iterator[bytes]:
    """Yield the digests of names, 4 bytes each."""
    for at in range(0, len(names), 4):
        yield names[at : at + 4]
