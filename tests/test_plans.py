"""The plans of Kissmetrics: which one a number of events a month needs, and the table in km.toml."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from km_cli.config.kmtoml import KmToml
from km_cli.config.kmtoml_file import read
from km_cli.config.plans import PUBLIC_SINCE, Plan, Plans, make_plans
from km_cli.errors import UsageError
from tests.support.drawing import examples

FACTS = Path(__file__).parent.parent / "km_cli" / "rules" / "kissmetrics.md"


@pytest.mark.parametrize(
    ("events", "price"),
    [(0, "free"), (100_000, "free"), (100_001, "from $99"), (500_000, "from $99"), (2_000_000, "$299")],
)
def test_the_cheapest_public_plan_that_allows_the_events(events: int, price: str) -> None:
    plan = Plans().plan_for(events)
    assert plan is not None
    assert plan.price_text == price


def test_no_plan_allows_more_than_the_largest() -> None:
    assert Plans().plan_for(2_000_001) is None
    assert Plans().describe(5_000_000) == "2.5 times the largest plan, 2,000,000 events ($299)"


def test_a_share_is_never_shown_as_nothing() -> None:
    assert Plans().describe(0) == "0% of the plan 100,000 events (free)"
    assert Plans().describe(3) == "less than 1% of the plan 100,000 events (free)"
    assert Plans().describe(370_000) == "74% of the plan 500,000 events (from $99)"


def test_the_public_prices_are_those_of_the_facts() -> None:
    """The page with the facts and the table say the same numbers, and the same date."""
    text = FACTS.read_text(encoding="utf-8").partition("### Q5 ")[2].partition("###")[0]
    assert PUBLIC_SINCE in text
    for plan in Plans().plans:
        assert f"{plan.events:,}" in text
        assert plan.price_text.removeprefix("from ") in text


def test_km_toml_replaces_the_public_plans(tmp_path: Path) -> None:
    (tmp_path / "km.toml").write_text(
        "[plans]\nBig = { events = 9_000_000, price = 1000 }\n[plans.Small]\nevents = 10\nprice = 1.5\n"
    )
    plans = make_plans(read(tmp_path / "km.toml"))
    assert plans == Plans((Plan("Small", 10, 1.5), Plan("Big", 9_000_000, 1000)), "the prices in km.toml")
    assert plans.describe(5) == "50% of the plan Small ($1.50)"
    assert make_plans(KmToml()) == Plans()


def test_a_dear_small_plan_is_passed_over() -> None:
    plans = Plans((Plan("Small", 10, 50), Plan("Big", 100, 20)))
    assert plans.plan_for(5) == Plan("Big", 100, 20)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[plans]\nGold = 5", "plans.*: Expected a table, got a whole number"),
        ("[plans.Gold]\nevents = 0\nprice = 1", "plans.*.events: Expected a whole number >= 1"),
        ("[plans.Gold]\nevents = 5\nprice = -1", "plans.*.price: Expected a number >= 0.0"),
        ("[plans.Gold]\nevents = 5\nprice = inf", "plans.*.price: Expected a number <= 1000000000.0"),
        ("[plans.Gold]\nevents = 5", "plans.*: missing required field price"),
        ("[plans.Gold]\nevents = 5\nprise = 1", "plans.Gold.prise is not a known key"),
        ('[plans." "]\nevents = 5\nprice = 1', "without blanks around it"),
    ],
)
def test_a_wrong_plan_is_an_error_that_names_its_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "km.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        read(tmp_path / "km.toml")
    assert message in str(caught.value)
    assert caught.value.hint


@settings(max_examples=examples(50))
@given(st.integers(0, 3_000_000), st.integers(0, 3_000_000))
def test_more_events_never_cost_less(first: int, second: int) -> None:
    fewer, more = (Plans().plan_for(number) for number in sorted((first, second)))
    assert more is None or (fewer is not None and fewer.price <= more.price)
