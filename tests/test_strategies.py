"""Event → Sequence: what a person would write by hand, and what holds for every strategy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from km_cli.model import Event, Identify, Origin, Persona, Record, Row, Sequence
from km_cli.strategies import STRATEGIES, expand

TOGGLE = STRATEGIES["toggle"]("main")
MOMENT = 1_704_067_200_500_000_000


def event(*identities: str, owed: tuple[str, ...] = ()) -> Event:
    origin = Origin("token", owed, (), ",") if owed else None
    return Event(Row("log.csv", 2, b"", [], origin), identities, "Signed Up", MOMENT, (("plan", "pro"),), "")


def written(sequence: Sequence) -> list[str]:
    return [
        f"identify {call.identity}" if isinstance(call, Identify) else f"{call.identity} did {call.event}"
        for call in sequence.calls
    ]


@pytest.mark.parametrize(
    ("user", "account", "expected"),
    [
        (
            "ada",
            "Acme",
            ["identify ada", "ada did Signed Up", "identify Acme", "Acme did Signed Up", "identify ada"],
        ),
        ("ada", "", ["identify ada", "ada did Signed Up"]),
        ("", "Acme", ["identify Acme", "Acme did Signed Up"]),
    ],
)
def test_toggle(user: str, account: str, expected: list[str]) -> None:
    assert written(expand(event(user, account), TOGGLE)) == expected


def test_a_corrected_reject_expands_to_what_it_owes() -> None:
    assert written(expand(event("ada", "Acme", owed=("account",)), TOGGLE)) == [
        "identify Acme",
        "Acme did Signed Up",
    ]


def test_deeper_levels_come_in_order_and_return_to_the_actor() -> None:
    personas = (Persona("user", "main"), Persona("organisation", "main"), Persona("contact", "main"))
    assert written(expand(event("ada", "Acme", "Bo"), personas)) == [
        "identify ada",
        "ada did Signed Up",
        "identify Acme",
        "Acme did Signed Up",
        "identify Bo",
        "Bo did Signed Up",
        "identify ada",
    ]


def test_a_record_says_who_acted_and_keeps_the_full_moment() -> None:
    *_, record, _ = expand(event("ada", "Acme"), TOGGLE).calls
    assert isinstance(record, Record)
    assert (record.site, record.persona, record.actor) == ("main", "account", "ada")
    assert (record.moment, record.second) == (MOMENT, 1_704_067_200)


identities = st.sampled_from(["", "a", "b", "c"])


@pytest.mark.parametrize("name", STRATEGIES)
@given(data=st.data())
def test_every_strategy_keeps_identities_apart(name: str, data: st.DataObject) -> None:
    personas = STRATEGIES[name]("main")
    named = data.draw(st.tuples(*[identities for _ in personas]).filter(any))
    calls = expand(event(*named), personas).calls
    assert isinstance(calls[0], Identify)
    if named[0]:
        identifies = [call for call in calls if isinstance(call, Identify)]
        assert identifies[0] == identifies[-1], "a sequence ends on the identity it began with"
    now = ""
    for call in calls:
        if isinstance(call, Identify):
            now = call.identity
        else:
            assert call.identity == now, "a record carries the identity that stands before it"
            assert call.identity == named[[persona.name for persona in personas].index(call.persona)]
