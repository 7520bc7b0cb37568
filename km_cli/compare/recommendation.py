"""Recommends per person or per account, with reasons, and never more certain than the data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from km_cli.compare.counting import PersonaFunnel
from km_cli.compare.differences import Differences
from km_cli.compare.funnel import CountedFunnel
from km_cli.compare.held import IN_FORCE, HeldStrategy
from km_cli.compare.retention import ALIKE, is_lost, lost_reasons, none_kept, only_kept
from km_cli.compare.words import converting, many, percent, plural
from km_cli.rules.identities import DOUBTFUL
from km_cli.toml_text import quoted

PERSONAS = "personas"
"""The recommendation that accounts do only the events of the funnel, under names of their own."""

PROPERTY = "property"

_BROAD = 0.2
"""If a true share may lie in an interval broader than this, two shares that are alike say little."""

_Z = 1.96
"""Standard deviations of the interval that holds 95 % of cases."""

_LINE = 76
"""Columns that a line of km.toml may have, so that it fits a window of 80 columns with its indentation."""


class Recommendation(NamedTuple):
    """What to count by: the name of a persona, "" if the log does not say; and the strategy for it.

    No persona is recommended whose funnel Kissmetrics could not show (D7). `certainty` is `clear` or `weak`:
    weak if chance alone could explain the difference, if Kissmetrics would not keep it, or if an account may
    be none. `km_toml` has the personas that the strategy needs, ""
    for none.
    """

    count_by: str
    strategy: str
    certainty: str
    reasons: tuple[str, ...]
    km_toml: str = ""


def recommend(
    funnels: Sequence[PersonaFunnel],
    differences: Mapping[str, Differences],
    strategies: Mapping[str, HeldStrategy],
    columns: Mapping[str, str],
) -> Recommendation:
    """Return the recommendation. `columns` are those of the identities, by persona."""
    actor, *others = funnels
    others = [one for one in others if one.identities]
    if not others:
        reason = f"The log names no identity but the {actor.persona}'s, so there is nothing to choose."
        return _not_kept((reason,), (actor,), strategies) or Recommendation(
            actor.persona, PROPERTY, "clear", (reason,)
        )
    other = max(others, key=lambda one: (one.funnel.began, -funnels.index(one)))
    if not actor.identities:
        reason = f"The log names no {actor.persona}: only {plural(other.persona)} can be counted."
        return _not_kept((reason,), (other,), strategies) or Recommendation(
            other.persona, PERSONAS, "clear", (reason,), km_toml(actor, other, columns)
        )
    if actor.funnel.conversion is None or other.funnel.conversion is None:
        return Recommendation("", "", "weak", tuple(_not_begun(actor, other)))
    return _by_shares(actor, other, differences.get(other.persona), strategies, columns)


def _not_begun(actor: PersonaFunnel, other: PersonaFunnel) -> Iterator[str]:
    """Yield why a funnel that one of them never begins says nothing."""
    for one in (actor, other):
        if not one.funnel.began:
            yield (
                f"No {one.persona} begins this funnel: no row of {one.funnel.steps[0].event!r} names one. "
                f"Begin with a later step, or let a members' file say who belongs to which {other.persona}."
            )


def _by_shares(
    actor: PersonaFunnel,
    other: PersonaFunnel,
    differs: Differences | None,
    strategies: Mapping[str, HeldStrategy],
    columns: Mapping[str, str],
) -> Recommendation:
    mine, theirs = actor.funnel.conversion or 0.0, other.funnel.conversion or 0.0
    both = (
        f"{percent(mine)} of {many(actor.funnel.began, actor.persona)} and {percent(theirs)} of "
        f"{many(other.funnel.began, other.persona)} get from the first step to the last."
    )
    unsure = tuple(_placeholders(differs))
    if nothing := _not_kept((both,), (other, actor), strategies):
        return nothing
    if is_lost(other, strategies):
        why_not = (*lost_reasons(other, strategies), only_kept(actor, other))
        reasons = (both, *why_not, *_cost_of_property(strategies), *unsure)
        return Recommendation(actor.persona, PROPERTY, "weak", reasons)
    if abs(mine - theirs) < ALIKE and not is_lost(actor, strategies):
        is_weak = max(_width(actor.funnel), _width(other.funnel)) > _BROAD
        doubt = (*unsure, *(_doubt(actor, other, "hide a difference") if is_weak else ()))
        reasons = (both, "Both ways of counting say the same here.", *_cost_of_property(strategies), *doubt)
        certainty = _certainty(is_weak=is_weak or bool(unsure))
        return Recommendation(actor.persona, PROPERTY, certainty, reasons)
    is_weak = _overlap(_interval(actor.funnel), _interval(other.funnel))
    doubt = (*unsure, *(_doubt(actor, other, "explain the difference") if is_weak else ()))
    changed = (other, actor) if is_lost(actor, strategies) else (other,)
    lost = [reason for one in changed for reason in lost_reasons(one, strategies)]
    why = (*_why(actor, other, differs), *_reports(strategies), *_cost_of_accounts(other, strategies))
    snippet = "" if _is_in_force(other, strategies) else km_toml(actor, other, columns)
    certainty = _certainty(is_weak=is_weak or bool(lost or unsure))
    return Recommendation(other.persona, PERSONAS, certainty, (both, *why, *lost, *doubt), snippet)


def _not_kept(
    reasons: tuple[str, ...], funnels: Sequence[PersonaFunnel], strategies: Mapping[str, HeldStrategy]
) -> Recommendation | None:
    """Return no recommendation, with the reasons, if Kissmetrics could show none of these funnels (D7)."""
    if not all(is_lost(one, strategies) for one in funnels):
        return None
    lost = [reason for one in funnels for reason in lost_reasons(one, strategies)]
    return Recommendation("", "", "weak", (*reasons, *lost, none_kept(funnels[0])))


def _placeholders(differs: Differences | None) -> Iterator[str]:
    """Yield the doubt about each large or decisive account whose name reads like a placeholder."""
    if differs is None:
        return
    names = [one.name for one in differs.contributors] + [name for name, _ in differs.largest]
    for name in dict.fromkeys(names):
        if DOUBTFUL.judge(name):
            yield (
                f"The {differs.persona} {name!r} may be a placeholder (I1-doubt). If it is one, leave it out "
                f"before you decide: nobody = [{quoted(name)}] in km.toml."
            )


def _certainty(*, is_weak: bool) -> str:
    return "weak" if is_weak else "clear"


def _why(actor: PersonaFunnel, other: PersonaFunnel, differs: Differences | None) -> Iterator[str]:
    if differs is None:
        return
    people = plural(actor.persona)
    if number := differs.contributing:
        yield f"{converting(number, other.persona)} although most of the {people} in {_it(number)} do not."
    if number := differs.without_converts:
        yield (
            f"{converting(number, other.persona)} although none of the {people} in {_it(number)} does all "
            f"steps: different {people} do them."
        )


def _it(number: int) -> str:
    return "it" if number == 1 else "them"


def _reports(strategies: Mapping[str, HeldStrategy]) -> Iterator[str]:
    held = strategies.get("toggle")
    for report in held.reports if held else ():
        who = " and ".join(map(plural, report.personas))
        yield (
            f"With toggle, a report on this funnel counts {who} together and shows "
            f"{percent(report.funnel.conversion)}. Other names for the events of one of them keep them apart."
        )


def _cost_of_property(strategies: Mapping[str, HeldStrategy]) -> Iterator[str]:
    held, toggle = strategies.get(PROPERTY), strategies.get("toggle")
    if held and toggle:
        yield (
            f"property records each event once, and the account as its property: {held.events:,} events, "
            f"not {toggle.events:,}."
        )


def _cost_of_accounts(other: PersonaFunnel, strategies: Mapping[str, HeldStrategy]) -> Iterator[str]:
    held = strategies.get("toggle")
    found = next((one for one in held.personas if one.persona == other.persona), None) if held else None
    if held and found and found.step_events < found.events:
        fewest = held.events - found.events + found.step_events
        yield (
            f"The funnel of {plural(other.persona)} needs {found.step_events:,} of their {found.events:,} "
            f"events: list only its steps, and {fewest:,} events are recorded in all, not {held.events:,}."
        )


def _is_in_force(other: PersonaFunnel, strategies: Mapping[str, HeldStrategy]) -> bool:
    """Tell whether km.toml has such personas already: the funnel is whole, and no report mixes it."""
    held = strategies.get(IN_FORCE)
    return bool(held and other.in_force is None and not held.reports)


def _doubt(actor: PersonaFunnel, other: PersonaFunnel, could: str) -> Iterator[str]:
    """Yield why chance alone could `explain the difference`, or `hide a difference`."""
    few = min((actor, other), key=lambda one: one.funnel.began)
    low, high = _interval(few.funnel)
    yield (
        f"Chance may {could}: with only {many(few.funnel.began, few.persona)}, the true share may be "
        f"anywhere from {percent(low)} to {percent(high)}. Compare a longer log before you decide."
    )


def _interval(funnel: CountedFunnel) -> tuple[float, float]:
    """Return the interval in which the true share lies in 95 % of cases (Wilson's score interval)."""
    number, part = funnel.began, funnel.conversion or 0.0
    if not number:
        return 0.0, 1.0
    square = _Z * _Z / number
    middle = part + square / 2
    width = _Z * math.sqrt(part * (1 - part) / number + square / (4 * number))
    return max(0.0, (middle - width) / (1 + square)), min(1.0, (middle + width) / (1 + square))


def _width(funnel: CountedFunnel) -> float:
    low, high = _interval(funnel)
    return high - low


def _overlap(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def km_toml(actor: PersonaFunnel, other: PersonaFunnel, columns: Mapping[str, str]) -> str:
    """Return the personas for km.toml with which the second one does only the steps of the funnel."""
    title = other.persona.capitalize()
    return "\n".join(
        (
            "[[personas]]",
            f"name = {quoted(actor.persona)}",
            *_column(columns.get(actor.persona)),
            "",
            "[[personas]]",
            f"name = {quoted(other.persona)}",
            *_column(columns.get(other.persona)),
            *_events([quoted(step.event) for step in other.funnel.steps]),
            f'rename = "{title} {{event}}"',
        )
    )


def _events(names: Sequence[str]) -> Iterator[str]:
    """Yield the list of events; one on each line if a line of 80 columns has no room for all."""
    line = f"events = [{', '.join(names)}]"
    if len(line) <= _LINE:
        yield line
        return
    yield "events = ["
    yield from (f"  {name}," for name in names)
    yield "]"


def _column(name: str | None) -> Iterator[str]:
    if name:
        yield f"column = {quoted(name)}"
