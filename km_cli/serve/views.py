"""The objects of the API. Their keys are described in `cli/REFERENCE.md`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from km_cli.run.overview import overview_of_store
from km_cli.serve.personas import Personas
from km_cli.serve.words import words_of
from km_cli.standin import Fact, Journal, KeptCall, Looker, Moment, PersonRow, PersonView

Object = dict[str, Any]


def iso(second: int | None) -> str | None:
    """Return a UTC Unix second as ISO 8601; None for None."""
    if second is None:
        return None
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%SZ}"


def fact_object(fact: Fact) -> Object:
    """Return FACT."""
    words = words_of(fact.rule, fact.what)
    return {
        "id": fact.id,
        "rule": fact.rule,
        "what": fact.what,
        "certain": fact.certain,
        "said": words.said,
        "cure": words.cure,
        "detail": fact.detail,
        "call": fact.call,
        "other": fact.other,
    }


def call_objects(calls: Sequence[KeptCall], personas: Personas) -> list[Object]:
    """Return CALL for each call."""
    found = personas.of([(call.site, (call.identity,)) for call in calls])
    return [_call(call, persona) for call, persona in zip(calls, found, strict=True)]


def _call(call: KeptCall, persona: str) -> Object:
    return {
        "id": call.id,
        "arrived": iso(call.arrived),
        "site": call.site or None,
        "persona": persona if call.identity else None,
        "kind": call.kind,
        "person": call.identity or None,
        "name": call.name or None,
        "time": iso(call.second),
        "properties": dict(call.properties),
        "facts": [fact_object(fact) for fact in call.facts],
    }


def facts_with_calls(facts: Sequence[Fact], journal: Journal, personas: Personas) -> list[Object]:
    """Return FACT for each fact, with the earlier call as `first` and the call itself as `second`."""
    ids = {id_ for fact in facts for id_ in (fact.call, fact.other) if id_ is not None}
    calls = list(journal.calls_by_id(ids).values())
    known = {made["id"]: made for made in call_objects(calls, personas)}
    return [
        {**fact_object(fact), "first": known.get(fact.other), "second": known.get(fact.call)}
        for fact in facts
    ]


def summary_object(journal: Journal, personas: Personas) -> Object:
    """Return the summary."""
    return {
        **journal.summary()._asdict(),
        "sites": journal.sites(),
        "personas": personas.names,
        "unlisted": journal.missing(),
        "last": journal.last_id(),
    }


def people_objects(people: Sequence[PersonRow], personas: Personas) -> list[Object]:
    """Return one line of the list of people for each."""
    found = personas.of([(one.site, one.identities) for one in people])
    return [
        {
            "id": one.identities[0],
            "site": one.site,
            "persona": persona,
            "identities": list(one.identities),
            "events": one.events,
            "last": iso(one.last),
        }
        for one, persona in zip(people, found, strict=True)
    ]


def person_objects(people: Sequence[PersonView], personas: Personas) -> list[Object]:
    """Return a person in each site, whole."""
    found = personas.of([(one.site, one.identities) for one in people])
    return [_person(one, persona, personas) for one, persona in zip(people, found, strict=True)]


def _person(one: PersonView, persona: str, personas: Personas) -> Object:
    return {
        "site": one.site,
        "persona": persona,
        "identities": list(one.identities),
        "aliases": call_objects(one.aliases, personas),
        "events": [
            {"name": did.name, "times": did.times, "first": iso(did.first), "last": iso(did.last)}
            for did in one.events
        ],
        "properties": [
            {"name": has.name, "value": has.value, "time": iso(has.second), "values": has.values}
            for has in one.properties
        ],
        "timeline": [_moment(moment) for moment in one.timeline],
        "facts": [fact_object(fact) for fact in one.facts],
    }


def _moment(moment: Moment) -> Object:
    return {
        "time": iso(moment.second),
        "events": list(moment.events),
        "properties": dict(moment.properties),
    }


def event_objects(store: Path, personas: Personas) -> list[Object]:
    """Return each event of each site, with how many people of each persona did it."""
    with Looker(store) as looker:
        people = [(one.product, one.identities) for one in looker.people()]
        persona_of = dict(zip(people, personas.of(people), strict=True))
        counts = overview_of_store(
            looker, lambda site, identities: persona_of[site, tuple(identities)]
        ).events
    made = []
    for (site, event), group in groupby(counts, key=lambda one: (one.site, one.event)):
        ones = list(group)
        made.append(
            {
                "site": site,
                "name": event,
                "times": sum(one.times for one in ones),
                "people": {one.persona: one.people for one in ones},
            }
        )
    return made
