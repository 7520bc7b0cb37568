"""The instances of one person's events and properties, while its calls are planned in order (D7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from km_cli.kissmetrics import MOST_INSTANCES
from km_cli.model import NO_EVENT, Gain, Record, Set, Slot, held_keys, instance_keys, is_event_key
from km_cli.planning.forecast import Found, note_instances


class Instances:
    """Counts as `ledger.counts` does, for people who come one after the other.

    A call adds at most one instance to each event and property. So as long as a person has few calls, they
    need not be counted one by one: memory and time go to people with many.
    """

    def __init__(self) -> None:
        self._person = b""
        self._known: list[tuple[int, Slot]] = []
        self._calls = 0
        self._gains: list[Gain] = []
        self._counted: Counter[bytes] | None = None

    def begin(self, person: bytes, known: Iterable[tuple[int, Slot]]) -> None:
        """Begin a person with the slots of its earlier calls, each with its second."""
        self._person, self._known, self._gains = person, [], []
        self._calls = 0
        self._counted = None
        for second, slot in known:
            self._calls += len(slot.known)
            if self._counted is not None:
                self._counted.update(held_keys(person, second, slot))
                continue
            self._known.append((second, slot))
            if self._calls > MOST_INSTANCES:
                self._counted = self._count_all()

    def count(self, call: Record | Set, gain: Gain) -> tuple[Found, Gain]:
        """Count the gain of a planned call.

        Return the findings about instances that are too many, and the gain without these.
        """
        self._calls += 1
        if self._counted is None and self._calls <= MOST_INSTANCES:
            self._gains.append(gain)
            return [], gain
        too_many = []
        counted = self._count_all() if self._counted is None else self._counted
        for key in instance_keys(self._person, gain):
            counted[key] += 1
            if counted[key] > MOST_INSTANCES:
                too_many.append((key, counted[key]))
        if not too_many:
            return [], gain
        found: Found = []
        note_instances(too_many, call, found)
        return found, _without(gain, {key for key, _ in too_many})

    def _count_all(self) -> Counter[bytes]:
        """Count the instances of the calls so far one by one."""
        counted: Counter[bytes] = Counter()
        for second, slot in self._known:
            counted.update(held_keys(self._person, second, slot))
        for gain in self._gains:
            counted.update(instance_keys(self._person, gain))
        self._counted, self._known, self._gains = counted, [], []
        return counted


def _without(gain: Gain, keys: set[bytes]) -> Gain:
    """Return a gain without the instances of these keys."""
    names = [gain.names[at : at + 4] for at in range(0, len(gain.names), 4)]
    dropped = {key[-4:] for key in keys if not is_event_key(key)}
    return gain._replace(
        event=NO_EVENT if any(map(is_event_key, keys)) else gain.event,
        names=b"".join([name for name in names if name not in dropped]),
    )
