"""A funnel, and how far each person or account gets in it.

Its definition: the first time of step one, then the first time of the next step from there on. Times count in
whole seconds, as Kissmetrics does; steps in one second count in the order of the funnel. With a limit, each
step has to follow step one within that time. So the order of the rows of a log never matters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from km_cli.errors import UsageError
from km_cli.kissmetrics import fold_name

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
MOST_STEPS = 50


class Funnel(NamedTuple):
    """The events of a funnel, in order, each once. `within` is in seconds, None for no limit."""

    steps: tuple[str, ...]
    within: int | None = None

    @property
    def places(self) -> dict[str, int]:
        """The place of each step, by the name that Kissmetrics knows the event by (D4)."""
        return {fold_name(step): place for place, step in enumerate(self.steps)}


class Walk(NamedTuple):
    """How far one identity gets: the seconds of the steps that it reaches, the first one first."""

    identity: int
    seconds: tuple[int, ...]


def make_funnel(steps: Sequence[str], within: str) -> Funnel:
    """Return the funnel that --funnel and --within describe. Raises UsageError."""
    names = tuple(step.strip() for step in steps)
    limit = make_within(within) if within else None
    if len(names) < 2:
        raise UsageError(
            f"--funnel names {len(names)} event: a funnel has at least two",
            'give one for each step, in order: --funnel "Signed Up" --funnel Upgraded',
        )
    if len(names) > MOST_STEPS:
        raise UsageError(f"--funnel names {len(names)} events", f"a funnel has at most {MOST_STEPS}")
    known: dict[str, str] = {}
    for name in names:
        if not fold_name(name):
            raise UsageError("--funnel needs the name of an event", 'for example --funnel "Signed Up"')
        if twin := known.get(fold_name(name)):
            raise UsageError(
                f"--funnel names the event {name!r} twice (as {twin!r})", "name each step once, in order"
            )
        known[fold_name(name)] = name
    return Funnel(names, limit)


def make_within(text: str) -> int:
    """Return the seconds of a time such as 30d, 12h or 90m. Raises UsageError."""
    found = re.fullmatch(r"(\d{1,9})\s*([smhdw])", text.strip().casefold(), re.ASCII)
    if found is not None and not int(found[1]):
        raise UsageError(
            f"--within {text!r} leaves no time between the steps",
            "give at least 1s, or leave it out for no limit",
        )
    if found is None:
        raise UsageError(f"--within {text!r} is not a time", "write it as 30d, 12h, 90m, 45s or 2w")
    return int(found[1]) * _UNITS[found[2]]


def walks(rows: Iterable[tuple[int, int, int]], within: int | None) -> Iterator[Walk]:
    """Yield the walk of each identity that reaches step one.

    `rows` are (identity, second, place of the step), in that order: sorted.
    """
    current, begun = -1, 0
    seconds: list[int] = []
    for identity, second, place in rows:
        if identity != current:
            if seconds:
                yield Walk(current, tuple(seconds))
            current, seconds = identity, []
        if place != len(seconds):
            continue
        if not place:
            begun = second
        elif within is not None and second - begun > within:
            continue
        seconds.append(second)
    if seconds:
        yield Walk(current, tuple(seconds))


class Step(NamedTuple):
    """A step of a funnel, counted.

    `conversion` is the share of those who reached the step before, from 0 to 1; None if no one did. The times
    are those from the step before to this one: the median, and the time within which nine in ten got there.
    """

    event: str
    reached: int
    conversion: float | None
    median_seconds: float | None = None
    p90_seconds: float | None = None


class CountedFunnel(NamedTuple):
    """A funnel counted for one persona, with the times from step one to the last. No steps: no funnel."""

    steps: tuple[Step, ...]
    conversion: float | None
    median_seconds: float | None = None
    p90_seconds: float | None = None

    @property
    def began(self) -> int:
        """How many reached step one."""
        return self.steps[0].reached if self.steps else 0

    @property
    def converted(self) -> int:
        """How many reached the last step."""
        return self.steps[-1].reached if self.steps else 0


def counted(
    events: Sequence[str],
    reached: Sequence[int],
    times: Sequence[tuple[float | None, float | None]] = (),
    overall: tuple[float | None, float | None] = (None, None),
) -> CountedFunnel:
    """Return the funnel for the numbers that reached each step; `times` are the median and p90 of each."""
    steps = []
    for place, (event, number) in enumerate(zip(events, reached, strict=True)):
        before = reached[place - 1] if place else number
        both = times[place] if place < len(times) else (None, None)
        steps.append(Step(event, number, share(number, before), *both))
    return CountedFunnel(tuple(steps), share(reached[-1], reached[0]) if reached else None, *overall)


def share(part: int, whole: int) -> float | None:
    """Return a share from 0 to 1, None of nothing."""
    return part / whole if whole else None
