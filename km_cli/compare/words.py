"""The numbers of a comparison in words: shares, times, sizes. The terminal and the page say the same."""

from __future__ import annotations

from collections.abc import Iterator

from km_cli.compare.counting import OTHERS, Group, PersonaFunnel
from km_cli.compare.differences import Differences, Size
from km_cli.compare.held import HeldPersona, HeldStrategy
from km_cli.config.plans import Plans

IN_KM_TOML = "in km.toml, in place of all [[personas]], and of user and account in [columns]:"
"""What stands over the recommended personas."""

_UNITS = ((86_400, "days"), (3600, "hours"), (60, "minutes"))
_BRIEF = {"days": "d", "hours": "h", "minutes": "min"}


def percent(share: float | None) -> str:
    """Return a share as 12.3%, or a dash if there is none. Only nothing is 0%, and only all is 100%."""
    if share is None:
        return "-"
    if 0 < share < 0.001:
        return "<0.1%"
    if 0.999 < share < 1:
        return ">99.9%"
    return f"{share:.1%}".replace(".0%", "%")


def plural(noun: str) -> str:
    """Return the plural of a persona's name."""
    return f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2:-1] not in "aeiou" else f"{noun}s"


def many(number: int, noun: str) -> str:
    """Return `1 account`, `2 accounts`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {plural(noun)}"


def duration(seconds: float | None) -> str:
    """Return a time such as 3.5 days, "-" for none."""
    if seconds is None:
        return "-"
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:,.0f} s"


def brief_duration(seconds: float | None) -> str:
    """Return a time such as 3.5 d, for tables."""
    number, _, unit = duration(seconds).partition(" ")
    return f"{number} {_BRIEF.get(unit, unit)}".rstrip()


def headline(one: PersonaFunnel) -> str:
    """Return the funnel of a persona in one line: `20% of 5 users get from "Signed Up" to "Upgraded"`."""
    funnel = one.funnel
    if not funnel.began:
        return f"none of {many(one.identities, one.persona)} begins this funnel"
    gets = "gets" if funnel.began == 1 else "get"
    first, last = funnel.steps[0].event, funnel.steps[-1].event
    return (
        f'{percent(funnel.conversion)} of {many(funnel.began, one.persona)} {gets} from "{first}" to "{last}"'
    )


def in_force(one: PersonaFunnel) -> str:
    """Return the funnel that km.toml or the strategy in force leaves, "" if it leaves all of it.

    A source may leave out events that others do not: then no step is left out as a whole.
    """
    if one.in_force is None:
        return ""
    left_out = ", ".join(f'"{step}"' for step in one.left_out) or "some events of some sources"
    if not one.in_force.steps:
        return f"The settings in force record none of these events for {plural(one.persona)}."
    kept = " → ".join(f'"{step.event}" {step.reached:,}' for step in one.in_force.steps)
    return (
        f"The settings in force leave out {left_out} for {plural(one.persona)}. The rest: {kept}, "
        f"{percent(one.in_force.conversion)}."
    )


def group_name(group: Group) -> str:
    """Return the value of a group, in words if it has none."""
    if group.value is OTHERS:
        return "(all others)"
    return str(group.value) or "(none)"


def size_name(size: Size) -> str:
    """Return the group of accounts by their number of people: `3 to 5`, `over 100`."""
    if size.most is None:
        return f"over {size.least - 1:,}"
    return f"{size.least:,}" if size.least == size.most else f"{size.least:,} to {size.most:,}"


def converting(number: int, noun: str) -> str:
    """Return `1 account converts`, `2 accounts convert`."""
    return f"{many(number, noun)} {'converts' if number == 1 else 'convert'}"


def _its(number: int) -> str:
    return "its" if number == 1 else "their"


def difference_lines(one: Differences, actor: str) -> Iterator[str]:
    """Yield sentences on how a persona relates to the actor."""
    people = plural(actor)
    most = f"most of {_its(one.contributing)} {people} do not"
    yield f"{converting(one.contributing, one.persona)} although {most}"
    none = f"none of {_its(one.without_converts)} {people} does all steps"
    yield f"{converting(one.without_converts, one.persona)} although {none}"
    several = f"{one.in_several:,} in several, {one.in_none:,} in none"
    yield f"{many(one.in_one, actor)} in one {one.persona}, {several}"
    if one.largest:
        name, number = one.largest[0]
        middle = f"median of {people} per {one.persona}: {one.median_people:,.4g}"
        yield f"{middle}; the largest, {name}, has {number:,}"


def held_line(one: HeldPersona) -> str:
    """Return what Kissmetrics would hold of a persona, and its funnel there."""
    text = f"{many(one.people, one.persona)} with {many(one.events, 'event')}"
    if one.funnel.began:
        text += f", {percent(one.funnel.conversion)} of {one.funnel.began:,} convert"
    elif one.funnel.steps:
        text += ", none begins the funnel"
    if one.left_out:
        text += f", without {', '.join(one.left_out)}"
    if one.moved:
        text += f"; {many(one.moved, 'step event')} moved to a free second (D1)"
    if one.dropped:
        text += f"; {many(one.dropped, 'step event')} dropped by Kissmetrics (D7)"
    return text


def report_lines(held: HeldStrategy) -> Iterator[str]:
    """Yield what a report on the funnel shows where people and accounts are counted together."""
    for one in held.reports:
        who = " and ".join(map(plural, one.personas))
        yield (
            f"a report on this funnel counts {who} together: {percent(one.funnel.conversion)} of "
            f"{one.funnel.began:,} (crossover)"
        )
    if held.lost:
        yield f"{many(held.lost, 'row')} rejected, since no second is free (D1)"


def cost_line(held: HeldStrategy, plans: Plans) -> str:
    """Return the cost of a strategy: the events of the busiest month, and the plan that allows them."""
    months = held.months
    if not months.total:
        return "no events"
    busiest = f"{many(months.most, 'event')} in the busiest month ({months.busiest})"
    text = f"{busiest}: {plans.describe(months.most)}"
    if months.is_short:
        text += f"; the log has only {many(months.days, 'day')}, so a whole month may have more"
    return text
