"""The comparison as one object, for `--json`."""

from __future__ import annotations

from typing import Any

from km_cli.compare.comparison import Comparison
from km_cli.compare.counting import OTHERS, PersonaFunnel
from km_cli.compare.differences import Differences
from km_cli.compare.funnel import CountedFunnel
from km_cli.compare.held import HeldStrategy
from km_cli.config.plans import Plans


def as_json(found: Comparison) -> dict[str, Any]:
    """Return the object. Its keys are in cli/REFERENCE.md."""
    return {
        "rows": found.tally.rows.counted,
        "reasons": dict(found.tally.reasons),
        "funnel": {
            "steps": list(found.funnel.steps),
            "within_seconds": found.funnel.within,
            "proposed": found.is_proposed,
        },
        "personas": {one.persona: persona_object(one, found.by) for one in found.personas},
        "differences": {one.persona: _differences(one) for one in found.differences},
        "strategies": {one.name: _strategy(one, found.plans) for one in found.strategies},
        "recommendation": found.recommendation._asdict() if found.recommendation else None,
    }


def _funnel(funnel: CountedFunnel) -> dict[str, Any]:
    return {
        "steps": [step._asdict() for step in funnel.steps],
        "conversion": funnel.conversion,
        "median_seconds": funnel.median_seconds,
        "p90_seconds": funnel.p90_seconds,
    }


def persona_object(one: PersonaFunnel, by: str) -> dict[str, Any]:
    """Return the funnel of one persona; with `by`, also for the values of that property."""
    found = {"identities": one.identities, **_funnel(one.funnel)}
    if one.in_force is not None:
        found["in_force"] = {"left_out": list(one.left_out), **_short(one.in_force)}
    if by:
        found["by"] = {
            "property": by,
            "groups": [
                {"value": group.value, "others": group.value is OTHERS, "reached": list(group.reached)}
                for group in one.groups
            ],
        }
    return found


def _short(funnel: CountedFunnel) -> dict[str, Any]:
    steps = [{"event": step.event, "reached": step.reached} for step in funnel.steps]
    return {"steps": steps, "conversion": funnel.conversion}


def _differences(one: Differences) -> dict[str, Any]:
    return {
        "converting_against_most_people": one.contributing,
        "contributors": [contributor._asdict() for contributor in one.contributors],
        "converting_without_a_person": one.without_converts,
        "people": {"in_several": one.in_several, "in_one": one.in_one, "in_none": one.in_none},
        "sizes": [size._asdict() for size in one.sizes],
        "median_people": one.median_people,
        "largest": [{"name": name, "people": people} for name, people in one.largest],
    }


def _strategy(one: HeldStrategy, plans: Plans) -> dict[str, Any]:
    plan = plans.plan_for(one.months.most)
    return {
        "personas": {
            held.persona: {
                "site": held.site,
                "people": held.people,
                "events": held.events,
                "properties": held.properties,
                "step_events": held.step_events,
                "left_out": list(held.left_out),
                **_short(held.funnel),
                "moved": held.moved,
                "dropped": held.dropped,
            }
            for held in one.personas
        },
        "reports": [
            {"site": report.site, "personas": list(report.personas), **_short(report.funnel)}
            for report in one.reports
        ],
        "calls": one.calls,
        "events": one.events,
        "rejected": one.rejected,
        "lost": one.lost,
        "month": {
            "busiest": one.months.busiest,
            "events": one.months.most,
            "days_in_log": one.months.days,
            "plan": plan.name if plan else None,
            "price": plan.price if plan else None,
            "prices": plans.origin,
        },
    }
