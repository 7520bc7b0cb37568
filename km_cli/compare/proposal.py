"""Proposes a funnel for a log: the events that most often follow one another.

Only events that every persona of the log does can be steps, if there are enough: a funnel that no account
can begin compares nothing. A person's first times of its events tell which event comes before which. The
proposal begins with the event with which most people begin, and goes on with the event that most people do
after the last one. An event that as many people do before as after does not follow. Events of one second do
not follow each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations, groupby, islice
from operator import itemgetter
from typing import NamedTuple

from km_cli.compare.table import Table

_MOST_EVENTS = 40
"""Events that are looked at: those that most people do."""

_MOST_FIRSTS = 12
"""Events of one person that are compared with each other: its first ones."""

_MOST_STEPS = 4
_LEAST_SHARE = 0.02
"""A step that fewer of those who begin reach is too rare to be proposed."""


class _Orders(NamedTuple):
    """How many people begin with each event, and how many do one event before another."""

    begins: Counter[int]
    before: Counter[tuple[int, int]]


def propose(table: Table, names: list[str]) -> tuple[str, ...]:
    """Return the names of the proposed steps; fewer than two if no event follows another.

    `names` are those of the events by their number. The table is finished, has all events, and keeps first
    times.

    The numbers of events depend on the order of the rows, the names do not: so all ties go by name.
    """
    orders = _orders(table, names)
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


def _orders(table: Table, names: Sequence[str]) -> _Orders:
    orders = _Orders(Counter(), Counter())
    for _, rows in groupby(_firsts(table, names), key=itemgetter(0)):
        times = [(second, event) for _, second, event in islice(rows, _MOST_FIRSTS)]
        begin = times[0][0]
        orders.begins.update(event for second, event in times if second == begin)
        orders.before.update((one, other) for (at, one), (then, other) in combinations(times, 2) if at < then)
    return orders


def _firsts(table: Table, names: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """Yield (actor, second, event) for the first time of each event that many actors do, in order."""
    database = table.database
    numbers = database.execute("SELECT event, count(*) FROM first_times GROUP BY event")
    ranked = sorted(numbers, key=lambda one: (-one[1], names[one[0]]))
    candidates = _shared(table, [event for event, _ in ranked[:_MOST_EVENTS]])
    database.execute("CREATE TEMP TABLE candidates (event INTEGER PRIMARY KEY, rank INTEGER)")
    database.executemany(
        "INSERT INTO candidates VALUES (?, ?)", ((one, at) for at, one in enumerate(candidates))
    )
    yield from database.execute(
        "SELECT identity, second, event FROM first_times CROSS JOIN candidates USING (event)"
        " ORDER BY identity, second, rank"
    )


def _shared(table: Table, candidates: list[int]) -> list[int]:
    """Return the candidates that all personas of the log do, if there are two or more; otherwise all."""
    database, width = table.database, len(table.personas)
    present = [place for place in range(1, width) if table.identities(place)]
    # A search ends at the first row that it finds: for most events that is one of the first rows.
    rows = "SELECT 1 FROM done CROSS JOIN groups USING (party) WHERE event = ? AND identity % ? = ? LIMIT 1"
    shared = [
        event
        for event in candidates
        if all(database.execute(rows, (event, width, place)).fetchone() for place in present)
    ]
    return shared if len(shared) > 1 else candidates
