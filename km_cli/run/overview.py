"""What was sent so far, and what the local store keeps of it: counts by persona and event, and timelines.

Nothing is written: the ledger is read under an overlay as in a dry run, and the store by `standin.Looker`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from km_cli.ledger import Ledger
from km_cli.model import Held, Persona
from km_cli.planning.keyed import fingerprints_for
from km_cli.standin import KeptPerson, Looker, Moment

UNKNOWN = "unknown"
"""The persona of identities of which neither the ledger nor km.toml says what they are."""

PersonaOf = Callable[[str, Sequence[str]], str]
"""Returns the persona of a person, given the site and the identities."""


class PeopleCount(NamedTuple):
    """The people of one persona in one site, and all that Kissmetrics holds of them."""

    site: str
    persona: str
    held: Held


class EventCount(NamedTuple):
    """How often one persona did an event in one site.

    `people` are those who did it; None if only calls are known: then `times` is how many were sent.
    """

    site: str
    event: str
    persona: str
    times: int
    people: int | None


class Overview(NamedTuple):
    """All counts of a destination. `span` has the seconds of the first and last event, if they are known."""

    people: tuple[PeopleCount, ...]
    events: tuple[EventCount, ...]
    span: tuple[int, int] | None = None


class Timeline(NamedTuple):
    """One person in one site, with the moments in which something happened, in order of time."""

    site: str
    persona: str
    identities: tuple[str, ...]
    moments: Iterator[Moment]


def overview_of_ledger(ledger: Ledger, tracker: str) -> Overview:
    """Return the counts of a ledger: what Kissmetrics holds once all calls have arrived."""
    sent: Counter[tuple[str, str, str]] = Counter()
    days: set[int] = set()
    for (site, persona, event, day), calls in ledger.sent.total(tracker).items():
        if event:
            sent[site, event, persona] += calls
            days.add(day)
    people = [
        PeopleCount(site, persona, held)
        for site in ledger.counts.sites(tracker)
        for persona, held in sorted(ledger.counts.total(f"{tracker} {site}").items())
    ]
    events = [EventCount(*key, calls, None) for key, calls in sorted(sent.items())]
    return Overview(tuple(people), tuple(events))


def overview_of_store(store: Looker, persona_of: PersonaOf) -> Overview:
    """Return the counts of a local store, without what Kissmetrics would have dropped (D7)."""
    groups: dict[int, tuple[str, str]] = {}
    people: Counter[tuple[str, str]] = Counter()
    for person in store.people():
        group = (person.product, persona_of(person.product, person.identities))
        groups[person.number] = group
        people[group] += 1
    totals: Counter[tuple[tuple[str, str], str]] = Counter()
    counts: Counter[tuple[str, str, str]] = Counter()
    doers: Counter[tuple[str, str, str]] = Counter()
    for number, kind, name, times in store.instances():
        group = groups[number]
        totals[group, kind] += times
        if kind == "event":
            key = (group[0], name, group[1])
            counts[key] += times
            doers[key] += 1
    return Overview(
        tuple(
            PeopleCount(*group, Held(number, totals[group, "event"], totals[group, "property"]))
            for group, number in sorted(people.items())
        ),
        tuple(EventCount(*key, times, doers[key]) for key, times in sorted(counts.items())),
        store.span(),
    )


def timelines(store: Looker, identity: str, persona_of: PersonaOf) -> list[Timeline]:
    """Return the timelines of an identity, one for each site that has it."""
    return [_timeline(store, person, persona_of) for person in store.find(identity)]


def _timeline(store: Looker, person: KeptPerson, persona_of: PersonaOf) -> Timeline:
    persona = persona_of(person.product, person.identities)
    return Timeline(person.product, persona, person.identities, store.timeline(person.number))


def personas_by(ledger: Ledger | None, tracker: str, personas: Iterable[Persona]) -> PersonaOf:
    """Return a function that tells personas: as the ledger has them, else by sites and prefixes of km.toml.

    A person whose identities belong to no persona, or to several, is UNKNOWN: a persona is never guessed.
    """
    fingerprints = fingerprints_for(tracker, ledger.secret if ledger is not None else b"")
    personas = tuple(personas)

    def known(site: str, identity: str) -> str:
        if ledger is not None:
            person, _ = fingerprints.digest_person(site, identity)
            if owner := ledger.slots.owner(person):
                return owner.persona
        return _by_place(personas, site, identity)

    def persona_of(site: str, identities: Sequence[str]) -> str:
        found = {name for identity in identities if (name := known(site, identity))}
        return found.pop() if len(found) == 1 else UNKNOWN

    return persona_of


def _by_place(personas: Sequence[Persona], site: str, identity: str) -> str:
    """Return the only persona of a site, or the only one whose prefix an identity has; "" if not certain."""
    here = [persona for persona in personas if persona.is_recorded and persona.site == site]
    if len(here) != 1:
        here = [persona for persona in here if persona.prefix and identity.startswith(persona.prefix)]
    return here[0].name if len(here) == 1 else ""
