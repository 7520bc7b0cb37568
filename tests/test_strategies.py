"""Event → Sequence: sequences as a person would write them by hand, and properties of any strategy.

The conformance suite at the end runs over every registered strategy, and over a toy that is one function.
"""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from km_cli.cli.dry_run import command as dry_run
from km_cli.config.kmtoml import KmToml
from km_cli.config.people import make_people
from km_cli.model import (
    Alias,
    Event,
    Identify,
    Origin,
    Persona,
    PersonaPart,
    Record,
    Reject,
    Row,
    Sequence,
    Set,
)
from km_cli.strategies import STRATEGIES, Expansion, Strategy

TOGGLE = STRATEGIES["toggle"].personas("main", "accounts")
MOMENT = 1_704_067_200_500_000_000
PLAN = (("plan", "pro"),)


def event(*parts: str | PersonaPart, name: str = "Signed Up", owed: tuple[str, ...] = ()) -> Event:
    """An event of these identities, one a persona, all with the same properties; or of whole parts."""
    origin = Origin("token", owed, (), ",") if owed else None
    whole = tuple(PersonaPart(one, PLAN) if isinstance(one, str) else one for one in parts)
    return Event(Row("log.csv", 2, b"", [], origin), whole, name, MOMENT, PLAN, "")


def expand(event: Event, personas: tuple[Persona, ...]) -> Sequence:
    """The sequence, of an event that has one."""
    sequence = Expansion(personas).expand(event)
    assert isinstance(sequence, Sequence), sequence
    return sequence


def written(sequence: Sequence) -> list[str]:
    """A sequence as one would write it by hand."""
    return [_line(call) for call in sequence.shown]


def _line(call: Identify | Record | Set | Alias) -> str:
    if isinstance(call, Identify):
        return f"identify {call.identity}"
    if isinstance(call, Alias):
        return f"{call.identity} is {call.other}"
    said = ", ".join(f"{name} {value}" for name, value in call.properties)
    return f"{call.identity} has {said}" if isinstance(call, Set) else f"{call.identity} did {call.event}"


@pytest.mark.parametrize("name", ["toggle", "sites"])
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
def test_users_and_accounts_side_by_side(name: str, user: str, account: str, expected: list[str]) -> None:
    assert written(expand(event(user, account), STRATEGIES[name].personas("main", "accounts"))) == expected


@pytest.mark.parametrize(("name", "sites"), [("toggle", {"main"}), ("sites", {"main", "accounts"})])
def test_only_with_sites_are_they_apart(name: str, sites: set[str]) -> None:
    calls = expand(event("ada", "Acme"), STRATEGIES[name].personas("main", "accounts")).calls
    assert {call.site for call in calls if isinstance(call, Record)} == sites


def test_property_records_people_alone() -> None:
    """The link itself is the mapping's."""
    personas = STRATEGIES["property"].personas("main", "accounts")
    assert personas[0].link == (("Account", "account"),)
    assert written(expand(event("ada", "Acme"), personas)) == ["identify ada", "ada did Signed Up"]
    assert written(expand(event("ada", ""), personas)) == ["identify ada", "ada did Signed Up"]
    refused = Expansion(personas).expand(event("", "Acme"))
    assert isinstance(refused, Reject)
    assert (refused.code, refused.reason) == ("no-identity", "it names no user")


def test_a_corrected_reject_expands_to_what_it_owes() -> None:
    assert written(expand(event("ada", "Acme", owed=("account",)), TOGGLE)) == [
        "identify Acme",
        "Acme did Signed Up",
    ]


DEEP = (
    Persona("user", "main"),
    Persona("organisation", "main", events=(("Signed Up", ""), ("Invited", "")), rename="Org {event}"),
    Persona("contact", "main", events=(("Invited", "Was Invited"),)),
    Persona("second organisation", "partners", events=(("Invited", ""),)),
)
"""User → organisation → contact → second organisation."""


def test_deeper_levels_come_in_order_and_return_to_the_actor() -> None:
    assert written(expand(event("ada", "Acme", "bo", "Beta", name="invited"), DEEP)) == [
        "identify ada",
        "ada did invited",
        "identify Acme",
        "Acme did Org invited",
        "identify bo",
        "bo did Was Invited",
        "identify Beta",
        "Beta did invited",
        "identify ada",
    ]


def test_each_level_does_its_own_events_only() -> None:
    assert written(expand(event("ada", "Acme", "bo", "Beta"), DEEP)) == [
        "identify ada",
        "ada did Signed Up",
        "identify Acme",
        "Acme did Org Signed Up",
        "identify ada",
    ]
    assert written(expand(event("ada", "Acme", "bo", "Beta", name="Left"), DEEP)) == [
        "identify ada",
        "ada did Left",
    ]
    assert written(expand(event("", "", "bo", "Beta", name="Invited"), DEEP)) == [
        "identify bo",
        "bo did Was Invited",
        "identify Beta",
        "Beta did Invited",
    ]


def test_an_event_that_no_persona_may_do_has_no_calls() -> None:
    """km.toml says so: it is no fault of the row's."""
    assert expand(event("Acme", "bo", "Beta", name="Left"), DEEP[1:]).calls == ()


def test_an_event_that_only_personas_without_an_id_may_do_is_rejected() -> None:
    refused = Expansion(DEEP[1:]).expand(event("", "bo", "", name="Signed Up"))
    assert isinstance(refused, Reject)
    assert refused.reason == "it names no organisation"


@pytest.mark.parametrize("at", [0, 1])
def test_a_name_that_grows_too_long_is_rejected(at: int) -> None:
    """Whichever persona gives the event that name."""
    personas = list(TOGGLE)
    personas[at] = Persona(personas[at].name, "main", rename="x" * 250 + " {event}")
    refused = Expansion(personas).expand(event("ada", "acme"))
    assert isinstance(refused, Reject)
    assert refused.code == "D4-long"


def test_sets_and_aliases_stand_beside_the_record() -> None:
    account = Persona("account", "main", events=(("Signed Up", ""),), sets=("plan",))
    ada, acme = PersonaPart("ada", (), (), "a@x.com"), PersonaPart("Acme", (), PLAN)
    assert written(expand(event(ada, acme), (TOGGLE[0], account))) == [
        "identify ada",
        "ada did Signed Up",
        "ada is a@x.com",
        "identify Acme",
        "Acme has plan pro",
        "Acme did Signed Up",
        "identify ada",
    ]
    assert written(expand(event(PersonaPart("ada", ()), acme, name="Left"), (TOGGLE[0], account))) == [
        "identify ada",
        "ada did Left",
        "identify Acme",
        "Acme has plan pro",
        "identify ada",
    ]


def test_a_record_says_who_acted_and_keeps_the_full_moment() -> None:
    *_, record = expand(event("ada", "Acme"), TOGGLE).calls
    assert isinstance(record, Record)
    assert (record.site, record.persona, record.actor) == ("main", "account", "ada")
    assert (record.moment, record.second) == (MOMENT, 1_704_067_200)


# Whatever the personas

events = st.sampled_from(["In", "Out", "Bought"])


@st.composite
def personas(draw: st.DrawFn) -> tuple[Persona, ...]:
    """Several levels, in one site or more, each with its own events."""
    return tuple(
        Persona(
            f"level {number}",
            draw(st.sampled_from(["main", "other"])),
            draw(
                st.none() | st.lists(st.tuples(events, st.sampled_from(["", "Else"])), unique=True).map(tuple)
            ),
            draw(st.sampled_from(["{event}", "Their {event}"])),
        )
        for number in range(draw(st.integers(1, 4)))
    )


def persona_part(number: int) -> st.SearchStrategy[PersonaPart]:
    """One persona's part: its identities are its own."""
    identities = st.sampled_from(["", f"a{number}", f"b{number}"])
    return st.builds(
        PersonaPart,
        identities,
        st.just(PLAN),
        st.sampled_from([(), PLAN]),
        st.sampled_from(["", f"c{number}"]),
    )


@given(data=st.data())
def test_each_call_belongs_to_the_person_identified_before_it(data: st.DataObject) -> None:
    """A sequence ends on the identity it began with, and no call carries the identity of another persona."""
    levels = data.draw(personas())
    parts = data.draw(st.tuples(*[persona_part(number) for number in range(len(levels))]))
    sequence = Expansion(levels).expand(event(*parts, name=data.draw(events)))
    if isinstance(sequence, Reject) or not sequence.calls:
        return
    first, *_, last = sequence.shown
    assert isinstance(first, Identify)
    if first.identity == parts[0].identity and len({call.persona for call in sequence.calls}) > 1:
        assert last == first
    now = first
    for call in sequence.shown:
        if isinstance(call, Identify):
            now = call
            continue
        place = [level.name for level in levels].index(call.persona)
        assert (call.persona, call.identity) == now
        assert call.identity == parts[place].identity
        assert call.site == levels[place].site
        if isinstance(call, Alias):
            assert call.other == parts[place].alias, "no alias crosses personas"


@given(data=st.data())
def test_another_persona_adds_its_own_calls_only(data: st.DataObject) -> None:
    """What others do stays what it was."""
    levels = data.draw(personas())
    parts = data.draw(st.tuples(*[persona_part(number) for number in range(len(levels))]))
    name = data.draw(events)
    fewer = Expansion(levels[:-1] or levels).expand(event(*(parts[:-1] or parts), name=name))
    more = Expansion(levels).expand(event(*parts, name=name))
    if isinstance(fewer, Reject) or isinstance(more, Reject):
        return
    others = [call for call in more.calls if call.persona != levels[-1].name or len(levels) == 1]
    assert others == list(fewer.calls)


# The conformance suite of strategies


def _members(site: str, accounts: str) -> tuple[Persona, ...]:
    """A strategy in one function: users here, accounts there, where they only join."""
    return Persona("user", site), Persona("account", accounts, events=(("Signed Up", "Joined"),))


ALL = [*STRATEGIES.values(), Strategy("members", _members)]


@pytest.fixture(params=ALL, ids=lambda one: one.name)
def strategy(request: pytest.FixtureRequest) -> Strategy:
    """Every strategy, and the toy."""
    return request.param


def test_its_personas_are_the_user_and_the_account(strategy: Strategy) -> None:
    """The columns of both are recognised by these names; the user is the actor."""
    found = strategy.personas("main", "accounts")
    assert [persona.name for persona in found] == ["user", "account"]
    assert {persona.site for persona in found} <= {"main", "accounts"}
    assert found[0].site == "main"
    assert found == strategy.personas("main", "accounts"), "it is pure"


def test_the_actor_does_every_event_and_identity_returns_to_it(strategy: Strategy) -> None:
    expansion = Expansion(strategy.personas("main", "accounts"))
    for name in ("Signed Up", "Left"):
        sequence = expansion.expand(event("ada", "Acme", name=name))
        assert isinstance(sequence, Sequence)
        lines = written(sequence)
        assert lines[:2] == ["identify ada", f"ada did {name}"]
        assert lines[-1] == "identify ada" or len(lines) == 2
        assert written(expand(event("ada", "", name=name), strategy.personas("main", "x"))) == lines[:2]


def test_a_row_without_any_identity_is_rejected(strategy: Strategy) -> None:
    refused = Expansion(strategy.personas("main", "accounts")).expand(event("", ""))
    assert isinstance(refused, Reject)
    assert refused.code == "no-identity"


def test_it_is_used_by_its_name_in_the_registry(
    strategy: Strategy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(STRATEGIES, strategy.name, strategy)
    people = make_people(
        KmToml(), tmp_path, strategy=strategy.name, site="", columns={"account": "org"}, allow_alias=False
    )
    assert [(one.name, one.column) for one in people.personas] == [("user", ""), ("account", "org")]


def test_the_option_and_km_toml_know_the_registered_strategies() -> None:
    (option,) = (param for param in dry_run.params if param.name == "strategy")
    assert isinstance(option.type, click.Choice)
    assert list(option.type.choices) == list(STRATEGIES)
    for name in STRATEGIES:
        assert msgspec.convert({"strategy": name}, KmToml).strategy == name
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"strategy": "togle"}, KmToml)
