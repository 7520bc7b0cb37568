"""Proposes a funnel for a log: the events that most often follow one another.

Only events that every persona of the log does can be steps, if there are enough: a funnel that no account
can begin compares nothing. A person's first times of its events tell which event comes before which. The
proposal begins with the event with which most people begin, and goes on with the event that most people do
after the last one. An event that as many people do before as after does not follow. Events of one second do
not follow each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

from km_cli.compare.first_times import FirstTimes
from km_cli.compare.table import EVENT_BITS, Table

_MOST_EVENTS = 40
"""Events that are looked at: those that most people do."""

_MOST_FIRSTS = 12
"""Events of one person that are compared with each other: its first ones."""

_MOST_ALIKE = 10_000
"""Orders of events that are counted before they are added."""

_MOST_STEPS = 4
_LEAST_SHARE = 0.02
"""A step that fewer of those who begin reach is too rare to be proposed."""


class _Orders(NamedTuple):
    """How many people begin with each event, and how many do one event before another.

    Events are places among the candidates.
    """

    begins: Counter[int]
    before: Counter[tuple[int, int]]

    def add(self, times: Sequence[tuple[int, int]]) -> None:
        """Add the events of one person, each with its second, sorted."""
        begin = times[0][0]
        self.begins.update(event for second, event in times if second == begin)
        self.before.update((one, other) for (at, one), (then, other) in combinations(times, 2) if at < then)

    def add_alike(self, alike: Counter[tuple[int, ...]]) -> None:
        """Add people who do the same events in the same order, each event in a second of its own."""
        for events, people in alike.items():
            self.begins[events[0]] += people
            for pair in combinations(events, 2):
                self.before[pair] += people


def propose(table: Table, names: list[str]) -> tuple[str, ...]:
    """Return the names of the proposed steps; fewer than two if no event follows another.

    `names` are those of the events by their number. The table is finished, has all events, and keeps first
    times.

    The numbers of events depend on the order of the rows, the names do not: so all ties go by name.
    """
    assert table.firsts is not None
    candidates = _candidates(table, table.firsts, names)
    orders = _orders(table.firsts.by_actor(candidates))
    names = [names[event] for event in candidates]
    if not orders.begins:
        return ()
    steps = [min(orders.begins, key=lambda event: (-orders.begins[event], names[event]))]
    least = max(2, _LEAST_SHARE * orders.begins.total())
    while len(steps) < _MOST_STEPS:
        last = steps[-1]
        following = {
            event: number
            for (first, event), number in orders.before.items()
            if first == last and event not in steps and number > orders.before[event, last]
        }
        if not following:
            break
        best = min(following, key=lambda event: (-following[event], names[event]))
        if following[best] < least and len(steps) > 1:
            break
        steps.append(best)
    return tuple(names[event] for event in steps)


def _candidates(table: Table, firsts: FirstTimes, names: Sequence[str]) -> list[int]:
    """Return the numbers of the events that can be steps, those that most actors do first."""
    numbers = firsts.numbers()
    ranked = sorted(numbers, key=lambda event: (-numbers[event], names[event]))
    return _shared(table, ranked[:_MOST_EVENTS])


def _orders(by_actor: Iterable[Sequence[tuple[int, int]]]) -> _Orders:
    """Return the orders in which actors do events. Most do them in an order that others have, too."""
    orders = _Orders(Counter(), Counter())
    alike: Counter[tuple[int, ...]] = Counter()
    for times in by_actor:
        seconds, events = zip(*times[:_MOST_FIRSTS], strict=True)
        if len(set(seconds)) < len(seconds):
            orders.add(times[:_MOST_FIRSTS])
            continue
        alike[events] += 1
        if len(alike) > _MOST_ALIKE:
            orders.add_alike(alike)
            alike.clear()
    orders.add_alike(alike)
    return orders


def _shared(table: Table, candidates: list[int]) -> list[int]:
    """Return the candidates that all personas of the log do, if there are two or more; otherwise all."""
    database, width = table.database, len(table.personas)
    present = [place for place in range(1, width) if table.identities(place)]
    # A search ends at the first row that it finds: for most events that is one of the first rows.
    event_of_row = f"event & {(1 << EVENT_BITS) - 1}"
    rows = (
        f"SELECT 1 FROM done CROSS JOIN groups USING (party) WHERE {event_of_row} = ? AND identity % ? = ?"
        " LIMIT 1"
    )
    shared = [
        event
        for event in candidates
        if all(database.execute(rows, (event, width, place)).fetchone() for place in present)
    ]
    return shared if len(shared) > 1 else candidates
