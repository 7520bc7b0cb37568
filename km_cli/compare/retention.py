"""Whether Kissmetrics would keep enough events of a persona to show its funnel (D7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from km_cli.compare.counting import PersonaFunnel
from km_cli.compare.funnel import CountedFunnel
from km_cli.compare.held import HeldStrategy
from km_cli.compare.words import percent, plural
from km_cli.kissmetrics import MOST_INSTANCES

ALIKE = 0.05
"""Shares that differ by less than this say the same."""

_FIRST = "toggle"
"""The strategy by which retention is judged: it records all events of each persona."""


def _remaining(one: PersonaFunnel, strategies: Mapping[str, HeldStrategy]) -> CountedFunnel | None:
    """Return the funnel that is left if Kissmetrics drops events of it and it changes, otherwise None."""
    held = strategies.get(_FIRST)
    found = next((held for held in held.personas if held.persona == one.persona), None) if held else None
    if found is None or not found.dropped or found.funnel.conversion == one.funnel.conversion:
        return None
    return found.funnel


def is_lost(one: PersonaFunnel, strategies: Mapping[str, HeldStrategy]) -> bool:
    """Tell whether a report in Kissmetrics would say something else than the log: 0%, or a share far off."""
    left = _remaining(one, strategies)
    if left is None:
        return False
    there, here = left.conversion or 0.0, one.funnel.conversion or 0.0
    return not there or abs(there - here) >= ALIKE


def lost_reasons(one: PersonaFunnel, strategies: Mapping[str, HeldStrategy]) -> Iterator[str]:
    """Yield what is left of a funnel in Kissmetrics, if it drops so many events that the funnel changes."""
    if left := _remaining(one, strategies):
        yield (
            f"Kissmetrics keeps the last {MOST_INSTANCES:,} of each event of one {one.persona} (D7), so the "
            f"funnel of {plural(one.persona)} there is {percent(left.conversion)}, not "
            f"{percent(one.funnel.conversion)}."
        )


def only_kept(kept: PersonaFunnel, lost: PersonaFunnel) -> str:
    """Return what to do if Kissmetrics can show the funnel of one persona alone."""
    return (
        f"So Kissmetrics cannot show the funnel of {plural(lost.persona)}: count by {kept.persona} there, "
        f"and take the numbers of {plural(lost.persona)} from this comparison. Kissmetrics would keep the "
        f"funnel of smaller {plural(lost.persona)}, or of steps that each {lost.persona} does at most "
        f"{MOST_INSTANCES:,} times."
    )


def none_kept(lost: PersonaFunnel) -> str:
    """Return what to do if Kissmetrics can show no funnel of the log."""
    return (
        f"So Kissmetrics cannot show this funnel. Choose steps that each {lost.persona} does at most "
        f"{MOST_INSTANCES:,} times, or a shorter part of the log (--since), and compare again."
    )
