"""What a journal tells: calls, facts, people, events and counts, as frozen values."""

from __future__ import annotations

from typing import Literal, NamedTuple

from km_cli.standin.looking import Moment

What = Literal["merged", "changed", "dropped"]


class Fact(NamedTuple):
    """One call, or a part of it, that Kissmetrics would merge, change or drop.

    `rule` is a code of kissmetrics.md (D1, D2, D4 to D8, I1, I2, W2), or "repeat" for a call that
    Kissmetrics counts once because it was sent twice. `certain` tells whether all pages of Kissmetrics
    agree on it. `detail` is the name of the event or property, the identity, or the reason for which a
    whole call is dropped. `call` is the call that it happened to. `other` is the earlier call of the two;
    it may be the same call (two values of one property in one call), and is None if there is none or it
    came before the journal began.
    """

    id: int
    rule: str
    what: What
    certain: bool
    detail: str
    call: int
    other: int | None


class KeptCall(NamedTuple):
    """A call as it arrived.

    `id` counts the calls in order of arrival, without gaps. `arrived` and `second` are UTC Unix seconds;
    `second` is None for aliases and ignored calls. `site` is "" if the call named none. `kind` is "event",
    "set", "alias" or "ignored". `identity` has spaces for commas and colons (D4). `name` is the event's
    name as it was sent, or the other identity of an alias. `properties` has names and values as sent, and a
    name may come twice; of an ignored call it has all parameters but the key. `facts` are those that
    happened to this call.
    """

    id: int
    arrived: int
    site: str
    kind: Literal["event", "set", "alias", "ignored"]
    identity: str
    name: str
    second: int | None
    properties: tuple[tuple[str, str], ...]
    facts: tuple[Fact, ...]


class Summary(NamedTuple):
    """Counts of all calls. `kept` calls are neither dropped (ignored, D7) nor merged into another event (D1).

    `merged`, `changed` and `dropped` count facts by rule. `dropped` counts "D7" events and "D7-property"
    values one by one.
    """

    received: int
    kept: int
    merged: dict[str, int]
    changed: dict[str, int]
    dropped: dict[str, int]


class EventOfPerson(NamedTuple):
    """An event that a person did, how many times, and the first and last time (UTC Unix seconds)."""

    name: str
    times: int
    first: int
    last: int


class PropertyOfPerson(NamedTuple):
    """A property of a person: the last value with its time (UTC Unix seconds), and the number of values."""

    name: str
    value: str
    second: int
    values: int


class PersonView(NamedTuple):
    """One person of one site: identities sorted; `aliases` are the calls that joined them.

    `timeline` has the seconds in which something happened, in order of time. `facts` are the newest 1,000
    facts that happened to calls of this person, in order of arrival.
    """

    number: int
    site: str
    identities: tuple[str, ...]
    aliases: tuple[KeptCall, ...]
    events: tuple[EventOfPerson, ...]
    properties: tuple[PropertyOfPerson, ...]
    timeline: tuple[Moment, ...]
    facts: tuple[Fact, ...]


class EventView(NamedTuple):
    """An event of a site: how many times it is kept, and the numbers of the people who did it."""

    site: str
    name: str
    times: int
    people: tuple[int, ...]


class PersonRow(NamedTuple):
    """One line of the list of people.

    `events` is how many are kept, `last` the UTC Unix second of the last event or property.
    """

    number: int
    site: str
    identities: tuple[str, ...]
    events: int
    last: int
