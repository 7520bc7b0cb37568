"""The plans of Kissmetrics, by the events that each has a month (Q5). They are shown before an import."""

from __future__ import annotations

from typing import NamedTuple

from km_cli.config.kmtoml import KmToml


class Plan(NamedTuple):
    """A plan, and its events a month."""

    name: str
    events: int


class Plans(NamedTuple):
    """The plans to compare with, the smallest first. `dated` is the month of public prices, else ""."""

    plans: tuple[Plan, ...]
    dated: str = ""


PUBLIC = Plans(
    (
        Plan("the free plan", 100_000),
        Plan("the plan from $99", 500_000),
        Plan("the plan for $299", 2_000_000),
    ),
    "August 2026",
)
"""The public prices (Q5). Prices change: `[plans]` in km.toml names the plan that a company has."""


def make_plans(km_toml: KmToml) -> Plans:
    """Return the plans of km.toml, or the public ones if it names none."""
    if not km_toml.plans:
        return PUBLIC
    own = (Plan(name, events) for name, events in km_toml.plans.items())
    return Plans(tuple(sorted(own, key=lambda plan: plan.events)))
