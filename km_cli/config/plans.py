"""The plans of Kissmetrics: how many events a month each allows, and its price.

The public prices are dated, since they change and no page announces that. `[plans]` in km.toml has those of
an own contract, and then stands for the whole table. Source: Q5 in rules/kissmetrics.md.
"""

from __future__ import annotations

from typing import NamedTuple

from km_cli.config.kmtoml import KmToml

PUBLIC_SINCE = "August 2026"
"""When the public prices below were read."""


class Plan(NamedTuple):
    """A plan: the events that it allows a month, and its price in US dollars a month.

    `is_least` means that the page gives the price as "from" so much.
    """

    name: str
    events: int
    price: float
    is_least: bool = False

    @property
    def price_text(self) -> str:
        """The price as a message has it: `free`, `$299` or `from $99`."""
        if not self.price:
            return "free"
        amount = f"${self.price:,.0f}" if self.price == int(self.price) else f"${self.price:,.2f}"
        return f"from {amount}" if self.is_least else amount


_PUBLIC = (
    Plan("100,000 events", 100_000, 0),
    Plan("500,000 events", 500_000, 99, is_least=True),
    Plan("2,000,000 events", 2_000_000, 299),
)


class Plans(NamedTuple):
    """All plans, those with the fewest events first. `origin` says whose prices they are, for messages."""

    plans: tuple[Plan, ...] = _PUBLIC
    origin: str = f"the public prices of {PUBLIC_SINCE}"

    def plan_for(self, events: float) -> Plan | None:
        """Return the cheapest plan that allows so many events a month, None if no plan allows them."""
        enough = (plan for plan in self.plans if plan.events >= events)
        return min(enough, key=lambda plan: (plan.price, plan.events), default=None)

    @property
    def largest(self) -> Plan:
        """The plan that allows the most events a month."""
        return self.plans[-1]

    def describe(self, events: float) -> str:
        """Return in words how large a share of which plan so many events a month are.

        For example `74% of the plan 500,000 events (from $99)`. Events that no plan allows are given as a
        multiple of the largest plan.
        """
        plan = self.plan_for(events)
        if plan is None:
            times, most = events / self.largest.events, self.largest
            return f"{times:,.1f} times the largest plan, {most.name} ({most.price_text})"
        share = events / plan.events
        return f"{_percent(share)} of the plan {plan.name} ({plan.price_text})"


def make_plans(config: KmToml) -> Plans:
    """Return the plans of km.toml, or the public ones if it has none."""
    if not config.plans:
        return Plans()
    own = (Plan(name, table.events, table.price) for name, table in config.plans.items())
    return Plans(tuple(sorted(own, key=lambda plan: (plan.events, plan.price))), "the prices in km.toml")


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 or not share else "less than 1%"
