"""Counts a funnel over a table: for each persona, and for the groups of a property."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from km_cli.compare.funnel import CountedFunnel, Funnel, Walk, counted, walks
from km_cli.compare.table import Table, coded, rule_of

_MOST_WAITING = 20_000
_MOST_GROUPS = 10

OTHERS = None
"""Stands for the value of all groups that are not listed."""


Able = Sequence[Sequence[bool]]
"""A rule: for each persona, which steps it may do."""


class Group(NamedTuple):
    """Those whose step one has this value of the property: how many of them reached each step.

    "" is the value of those without the property, None that of all groups that are not listed.
    """

    value: str | None
    reached: tuple[int, ...]


class PersonaFunnel(NamedTuple):
    """The funnel of one persona. `identities` is how many of it the log names, whatever they did.

    `left_out` are the steps that the persona may not do under the settings in force, and `in_force` is the
    funnel without them, and without events that the settings of some sources leave out. `groups` are those
    of --by, the largest first.
    """

    persona: str
    identities: int
    funnel: CountedFunnel
    left_out: tuple[str, ...] = ()
    in_force: CountedFunnel | None = None
    groups: tuple[Group, ...] = ()


class _Reached:
    """How many of each persona reached how many steps."""

    def __init__(self, personas: int) -> None:
        self._personas = personas
        self._counts: list[Counter[int]] = [Counter() for _ in range(personas)]

    def see(self, walk: Walk) -> None:
        self._counts[walk.identity % self._personas][len(walk.seconds)] += 1

    def reached(self, place: int, steps: int) -> tuple[int, ...]:
        counts = self._counts[place]
        return tuple(sum(counts[more] for more in range(step, steps + 1)) for step in range(1, steps + 1))


def count(
    table: Table, funnel: Funnel, rules: Sequence[Able], places: Sequence[int], *, by: bool = False
) -> tuple[PersonaFunnel, ...]:
    """Count the funnel for each persona of a table that is finished.

    `rules` are those of the events in the table. `places` is the step of each event, -1 for none. The walks
    are kept in the table, for the questions that follow.
    """
    steps, width = len(funnel.steps), len(table.personas)
    reached = _Reached(width)
    wanted = [(event, place) for event, place in enumerate(places) if place >= 0]
    all_steps = {coded(event, rule): place for rule in range(len(rules)) for event, place in wanted}
    _keep(table, _seen(walks(table.rows(all_steps), funnel.within), reached), width, steps)
    found = []
    for place, persona in enumerate(table.personas):
        spans = [_quantiles(table, _key(place, step, steps)) for step in range(steps)]
        whole = counted(
            funnel.steps, reached.reached(place, steps), spans, _quantiles(table, _key(place, steps, steps))
        )
        groups = _groups(table, place, steps) if by else ()
        found.append(PersonaFunnel(persona, table.identities(place), whole, groups=groups))
    return tuple(
        one if all(all(able[at]) for able in rules) else _with_force(table, one, funnel, rules, all_steps)
        for at, one in enumerate(found)
    )


def _with_force(
    table: Table, one: PersonaFunnel, funnel: Funnel, rules: Sequence[Able], all_steps: Mapping[int, int]
) -> PersonaFunnel:
    """Add the funnel that the settings in force leave: without the events that the persona may not do.

    A step is left out if no rule lets the persona do it.
    """
    at = table.personas.index(one.persona)
    kept = [place for place in range(len(funnel.steps)) if any(able[at][place] for able in rules)]
    left_out = tuple(step for place, step in enumerate(funnel.steps) if place not in kept)
    if not kept:
        return one._replace(left_out=left_out, in_force=CountedFunnel((), None))
    again = {
        event: kept.index(place) for event, place in all_steps.items() if rules[rule_of(event)][at][place]
    }
    reached = _Reached(len(table.personas))
    for walk in walks(table.rows(again), funnel.within):
        reached.see(walk)
    events = [funnel.steps[step] for step in kept]
    return one._replace(left_out=left_out, in_force=counted(events, reached.reached(at, len(kept))))


def _seen(all_walks: Iterator[Walk], reached: _Reached) -> Iterator[Walk]:
    for walk in all_walks:
        reached.see(walk)
        yield walk


def _key(place: int, step: int, steps: int) -> int:
    """Return the key of the times from the step before to this one; of all of them together for `steps`."""
    return place * (steps + 1) + step


def _keep(table: Table, all_walks: Iterator[Walk], width: int, steps: int) -> None:
    """Write the walks and their times into the table."""
    walked: list[tuple[int, int, int]] = []
    times: list[tuple[int, int]] = []

    def write() -> None:
        table.database.executemany("INSERT INTO walked VALUES (?, ?, ?)", walked)
        table.database.executemany("INSERT INTO times VALUES (?, ?)", times)
        walked.clear()
        times.clear()

    for identity, seconds in all_walks:
        place, done = identity % width, len(seconds)
        walked.append((identity, done, seconds[0]))
        times.extend((_key(place, step, steps), seconds[step] - seconds[step - 1]) for step in range(1, done))
        if done == steps:
            times.append((_key(place, steps, steps), seconds[-1] - seconds[0]))
        if len(walked) >= _MOST_WAITING:
            write()
    write()
    table.database.execute("CREATE INDEX by_place ON times (place, seconds)")


def _quantiles(table: Table, key: int) -> tuple[float | None, float | None]:
    """Return the median of the times under a key, and the time within which nine in ten are."""
    (number,) = table.database.execute("SELECT count(*) FROM times WHERE place = ?", (key,)).fetchone()
    if not number:
        return None, None
    low, high = _ranked(table, key, (number - 1) // 2), _ranked(table, key, number // 2)
    return (low + high) / 2, float(_ranked(table, key, -(-9 * number // 10) - 1))


def _ranked(table: Table, key: int, rank: int) -> int:
    """Return the time of this rank, 0 for the shortest."""
    query = "SELECT seconds FROM times WHERE place = ? ORDER BY seconds LIMIT 1 OFFSET ?"
    return int(table.database.execute(query, (key, rank)).fetchone()[0])


_BY_VALUE = """
CREATE TEMP TABLE by_value AS
SELECT coalesce(min(value), '') AS value, steps
FROM walked LEFT JOIN (
    SELECT identity, second, value FROM valued CROSS JOIN groups USING (party) WHERE value != ''
) USING (identity, second)
WHERE identity % ? = ?
GROUP BY walked.identity
"""


def _groups(table: Table, place: int, steps: int) -> tuple[Group, ...]:
    """Return the groups of a persona by the value at step one: the largest, and the rest as one."""
    database = table.database
    database.execute(_BY_VALUE, (len(table.personas), place))
    cumulative = ", ".join(f"sum(steps >= {step})" for step in range(1, steps + 1))
    rows = database.execute(
        f"SELECT value, {cumulative} FROM by_value GROUP BY value ORDER BY 2 DESC, 1 LIMIT ?", (_MOST_GROUPS,)
    ).fetchall()
    groups = [Group(value, tuple(reached)) for value, *reached in rows]
    all_reached = database.execute(f"SELECT {cumulative} FROM by_value").fetchone()
    database.execute("DROP TABLE by_value")
    rest = [
        (whole or 0) - sum(group.reached[step] for group in groups) for step, whole in enumerate(all_reached)
    ]
    return (*groups, Group(OTHERS, tuple(rest))) if rest[0] else tuple(groups)
