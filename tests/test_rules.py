"""Each rule about single events: a case that fires it and a near miss that does not; and the driver."""

from __future__ import annotations

import pytest

from km_cli.model import Event, PersonaPart, Row
from km_cli.rules import RULES, Rules
from km_cli.rules.base import IdentityRule, ValueRule

DECORATED = ("(null)", "<none>", "[anonymous]", "_guest_", "{undefined}")
BARE = ("null", "None", "anonymous", "GUEST", "undefined")
"""Identities that get to the rules only if --allow-id allows them."""
MORE_DOUBTFUL = ("n.a.", "#N/A", "\\N", "anon", "Anonymous User", "guest_user")


def event(name: str = "Clicked", **properties: str) -> Event:
    pairs = tuple((key.replace("__", " "), value) for key, value in properties.items())
    return Event(
        Row("log.csv", 2, b"", []),
        (PersonaPart("ada", pairs), PersonaPart("Acme", pairs)),
        name,
        0,
        pairs,
        "",
    )


def named(name: str, value: str = "v") -> Event:
    return event()._replace(properties=((name, value),))


def twins(*names: str) -> Event:
    return event()._replace(properties=tuple((name, "v") for name in names))


def whose(account: str) -> Event:
    return event()._replace(parts=(PersonaPart("ada", ()), PersonaPart(account, ())))


@pytest.mark.parametrize(
    ("code", "fires", "near_miss"),
    [
        ("D4", event("Sign up: paid"), event("Sign up; paid")),
        ("D4", event("Saved, closed"), event("Saved. closed")),
        ("D4", named("plan:name"), named("plan.name")),
        ("invisible-name", event("Signed\nUp"), event("Signed Up")),
        ("invisible-name", event("Signed\u200bUp"), event("Signed\u00a0Up")),
        ("invisible-name", event("\u202eUp"), event("\u05d0Up")),
        ("invisible-name", event("\u2800"), event("\u2801")),
        ("invisible-name", named("pl\x07an"), named("plan")),
        ("invisible-name", named("plan\ufe0f"), named("plan\u2764")),
        ("alike-names", twins("caf\u00e9", "cafe\u0301"), twins("caf\u00e9", "cafe")),
        ("alike-names", twins("\uff50lan", "plan"), twins("PLAN", "plan")),
        ("set-by-kissmetrics", named("Referrer"), named("Referrer Name")),
        ("set-by-kissmetrics", named("campaign_source".replace("_", " ")), named("campaign_source")),
        ("D5-long", event(note="x" * 513), event(note="x" * 512)),
        ("D5", event(deposit="$49.00"), event(deposit="49.00")),
        ("D5", event(deposit="49,00 €"), event(deposit="49,00 EURO")),
        ("D5", event(deposit="-$5"), event(deposit="-5")),
        *[
            ("D5", event(deposit=text), event(deposit=near))
            for text, near in (
                ("US$49", "US49"),
                ("A$49", "ABCD$49"),
                ("R$ 10", "R 10"),
                ("49 USD", "49 seats"),
                ("CHF 49", "CH 49"),
                ("EUR 5", "EUR"),
                ("1.234,50 €", "1.234,50"),
                ("49 US$", "49 eur"),
                ("-5.00GBP", "GB5"),
                (" $5", " 5"),
            )
        ],
        ("D5", event(data='{"a": 1}'), event(data="{a}")),
        ("D5", event(data="[1, 2]"), event(data="[draft] title")),
        ("D5-money", event(Billing__Amount="EUR 5"), event(Billing__Amount="-5.00")),
        ("D5-money", event(billing__amount="free"), event(billing__total="free")),
        ("D5-money", event(Billing__Amount="$"), event(Billing__Amount=" 5 ")),
        ("D5-money", event(total_price="1.234,50"), event(total_price="1234.50")),
        *[
            ("D5-money", named(name, "1,50"), named(near, "1,50"))
            for name, near in (
                ("totalAmount", "total_amount_type"),
                ("unitPrice", "Price ID"),
                ("fee", "coffee"),
                ("Sales Tax", "taxonomy"),
                ("discount", "discount_code"),
                ("totalMRR", "arr_time"),
                ("ARR", "paid_at"),
                ("Billing Amount", "billing_country"),
                ("cost", "cost_center"),
            )
        ],
        *[
            ("D5-money", named("amount", text), named("amount", near))
            for text, near in (("5 each", "each"), ("٤٩", "49"), ("1.2e3.4", "1.2e3"), ("--5", "-.5"))
        ],
        ("D8-name", event("Viewed https://a.example/x"), event("Viewed a.example")),
        ("D8-name", event("GET /api/users/1"), event("Won 50/50")),
        ("I1-doubt", whose("(not set)"), whose("set")),
        ("I1-doubt", whose("UNKNOWN"), whose("Unknown Pleasures Ltd")),
        ("I1-doubt", whose("0"), whose("10")),
        *[("I1-doubt", whose(text), whose(text.strip("()<>[]{}_") + " Ltd")) for text in DECORATED],
        *[("I1-doubt", whose(text), whose(bare)) for text, bare in zip(DECORATED, BARE, strict=True)],
        *[("I1-doubt", whose(text), whose(f"{text}a")) for text in MORE_DOUBTFUL],
        ("I4", whose("zXw0Zq3C+bPqk2gJrY6yVnXr5dA="), whose("zXw0Zq3CbPqk2gJrY6yVnXr5dA")),
        ("I4", whose("zXw0Zq3C/bPqk2gJrY6yVnXr5dA="), whose("Acme/Beta")),
        *[
            ("I4", whose("zXw0Zq3C/bPqk2gJrY6yVnXr5dA="), whose(near))
            for near in (
                "facebook/10158765432109876",
                "engineering/platform/core",
                "Engineering/Platform/Core2",
                "engineering/Platform2/B2",
                "FACEBOOK/a10158765432109876",
                "zxw0zq3c/bpqk2gjry6yvnxr5da=",
                "ZXW0ZQ3C/BPQK2GJRY6YVNXR5DA=",
                "zXwoZqeC/bPqkogJrYgyVnXrfdA=",
            )
        ],
    ],
)
def test_a_rule_fires_and_has_a_near_miss(code: str, fires: Event, near_miss: Event) -> None:
    found = {finding.code: finding for finding in Rules().look(fires)}
    assert (found[code].source, found[code].line) == ("log.csv", 2)
    assert code not in [finding.code for finding in Rules().look(near_miss)]


@pytest.mark.parametrize(
    ("pattern", "codes"),
    [
        ("Bought SKU-{}", ("4821", "4822", "99")),
        ("Error {}", ("10054", "10055", "E1001")),
        ("error_{}", ("10054", "10055", "10056")),
        ("Opened {}", ("0b1c2d3e-4f50-11ee-be56-0242ac120002", "B08N5WRWNW", "0x7f")),
        ("Upgraded to {} seats", ("1000", "2500", "5000")),
    ],
)
def test_names_that_differ_by_a_code_are_reported_from_the_third_on(
    pattern: str, codes: tuple[str, ...]
) -> None:
    rules = Rules()
    found = [
        [one.code for one in rules.look(event(pattern.format(code)))] for code in (*codes, *codes, "12345")
    ]
    assert found == [[], [], ["D8-name"], [], [], [], ["D8-name"]]


def test_an_amount_with_a_currency_is_reported_once() -> None:
    """In a property that is money by its name, the currency is the reason why it is no number."""
    for name, code in (("Billing Amount", "D5-money"), ("deposit", "D5")):
        assert [found.code for found in Rules().look(named(name, "$49.00"))] == [code]


def test_names_that_are_no_codes_or_stand_alone() -> None:
    rules = Rules()
    for name in (
        "Upgraded to 1000 seats", "COVID-19 Banner", "Form 1040 Submitted", "Joined in 2022",
        "Joined in 2023", "Joined in 2024", "Step 1", "Step 2", "Step 3", "Bought Add-on 3", "Opened a-b-c",
        "Saw mp3", "Saw mp4", "Saw h264",
    ):  # fmt: skip
        assert list(rules.look(event(name))) == []


def test_a_name_is_reported_once_and_a_value_each_time() -> None:
    rules = Rules()
    bad = event("a:b", deposit="$1")
    assert [finding.code for finding in rules.look(bad)] == ["D4", "D5"]
    assert [finding.code for finding in rules.look(bad)] == ["D5"]


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


def test_names_that_look_alike_are_reported_once() -> None:
    """An event and a property are never one, and a name that differs in case alone is D4's."""
    rules = Rules()
    assert list(rules.look(event("caf\u00e9", plan="pro"))) == []
    assert list(rules.look(twins("cafe\u0301")._replace(name="Plan"))) == []
    (found,) = rules.look(event("cafe\u0301"))
    assert (found.code, found.who) == ("alike-names", "cafe\u0301")
    assert "'caf\u00e9' only in Unicode form" in found.message
    assert list(rules.look(event("cafe\u0301"))) == []
    assert [one.code for one in rules.look(event("CAF\u00c9"))] == ["D4"]


# The driver


def test_a_rule_is_asked_once_about_each_value_and_identity() -> None:
    """And its answer goes for every row that has the value."""
    asked: list[str] = []

    def judge(*words: str) -> str:
        asked.append(words[-1])
        return "no"

    about = RULES[0].about
    rules = Rules([ValueRule(about, judge), IdentityRule(about, judge)])
    for _ in range(3):
        assert len(list(rules.look(event(plan="pro")))) == 3
    assert asked == ["pro", "ada", "Acme"]


def test_a_long_value_is_judged_and_not_remembered() -> None:
    asked: list[str] = []
    rules = Rules([ValueRule(RULES[0].about, lambda _, value: asked.append(value) or "no")])
    for _ in range(2):
        assert len(list(rules.look(event(note="x" * 101)))) == 1
    assert len(asked) == 2


def test_memory_is_bounded_and_forgetting_misses_no_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name may be reported again once all names are forgotten; the first of each group stay."""
    monkeypatch.setattr("km_cli.rules.driver._MOST_NAMES", 3)
    rules = Rules()
    assert [one.code for one in rules.look(event("a:b"))] == ["D4"]
    for number in range(5):
        assert list(rules.look(event(f"Did {number}"))) == []
    assert [one.code for one in rules.look(event("a:b"))] == ["D4"]
    (found,) = rules.look(event("A:B"))
    assert "same to Kissmetrics as 'a:b'" in found.message


def test_findings_come_in_the_order_of_the_registry() -> None:
    """A summary lists codes in the order in which they were found first."""
    bad = event("a: b", Referrer="$1", note="x" * 600)._replace(parts=(PersonaPart("UNKNOWN", ()),))
    codes = [one.code for one in Rules().look(bad)]
    assert codes == ["D4", "set-by-kissmetrics", "D5-long", "D5", "I1-doubt"]
