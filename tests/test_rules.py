"""Each rule about single events: a case that fires it and a near miss that does not."""

from __future__ import annotations

import pytest

from km_cli.model import Event, Row, Share
from km_cli.rules import RULES, Rules


def event(name: str = "Clicked", **properties: str) -> Event:
    pairs = tuple((key.replace("__", " "), value) for key, value in properties.items())
    return Event(Row("log.csv", 2, b"", []), (Share("ada", pairs), Share("Acme", pairs)), name, 0, pairs, "")


def named(name: str) -> Event:
    return event()._replace(properties=((name, "v"),))


@pytest.mark.parametrize(
    ("code", "fires", "near_miss"),
    [
        ("D4", event("Sign up: paid"), event("Sign up; paid")),
        ("D4", event("Saved, closed"), event("Saved. closed")),
        ("D4", named("plan:name"), named("plan.name")),
        ("set-by-kissmetrics", named("Referrer"), named("Referrer Name")),
        ("set-by-kissmetrics", named("campaign_source".replace("_", " ")), named("campaign_source")),
        ("D5-long", event(note="x" * 513), event(note="x" * 512)),
        ("D5", event(amount="$49.00"), event(amount="49.00")),
        ("D5", event(amount="49,00 €"), event(amount="49,00 EUR")),
        ("D5", event(amount="-$5"), event(amount="-5")),
        ("D5", event(data='{"a": 1}'), event(data="{a}")),
        ("D5", event(data="[1, 2]"), event(data="[draft] title")),
    ],
)
def test_a_rule_fires_and_has_a_near_miss(code: str, fires: Event, near_miss: Event) -> None:
    (finding,) = Rules().look(fires)
    assert (finding.code, finding.source, finding.line) == (code, "log.csv", 2)
    assert list(Rules().look(near_miss)) == []


def test_a_name_is_told_of_once_and_a_value_each_time() -> None:
    rules = Rules()
    bad = event("a:b", amount="$1")
    assert [finding.code for finding in rules.look(bad)] == ["D4", "D5"]
    assert [finding.code for finding in rules.look(bad)] == ["D5"]


def test_every_rule_says_what_it_means_how_to_cure_it_and_where_it_is_from() -> None:
    abouts = [make().about for make in RULES]
    assert all(all(about) for about in abouts)
    assert len({about.code for about in abouts}) == len(abouts)


def test_two_names_that_fold_to_one() -> None:
    """The later one, once; an event and a property are never one."""
    rules = Rules()
    assert list(rules.look(event("Sign: up", plan="pro"))) != []
    assert list(rules.look(event("plan", Plans="pro"))) == []
    (found,) = rules.look(event("SIGN  UP"))
    assert (found.code, found.message) == (
        "D4",
        "the event 'SIGN  UP' is the same to Kissmetrics as 'Sign: up'",
    )
    (found,) = rules.look(event("SIGN  UP", PLAN="pro"))
    assert "'PLAN' is the same to Kissmetrics as 'plan'" in found.message
    assert list(rules.look(event("SIGN  UP", PLAN="pro"))) == []
