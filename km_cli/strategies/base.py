"""The one mechanism behind every strategy: each persona in turn, then back to the actor (I6)."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Listed

from km_cli.model import Alias, Call, Event, Identify, Persona, Record, Reject, Sequence, Set
from km_cli.names import LONGEST_NAME, fold_name

_MOST_NAMES = 100_000


class Expansion:
    """Expands events to sequences. The first of the `personas` is the actor."""

    def __init__(self, personas: Listed[Persona]) -> None:
        self._actor = personas[0].name
        self._parts = [(persona, _naming(persona)) for persona in personas]

    def expand(self, event: Event) -> Sequence | Reject:
        """Return the calls for `event`: each persona that the row names does its part, as itself.

        Identity toggles only if another persona had a part, and then returns to the actor. A corrected
        reject expands only to the parts it still owes. There are no calls if no persona may do the event;
        it is a Reject if those who may are not named in the row.
        """
        row = event.row
        owed = row.origin.owed if row.origin else ()
        actor = event.shares[0].identity
        calls: list[Call] = []
        parts = records = 0
        for (persona, naming), share in zip(self._parts, event.shares, strict=True):
            identity, properties, sets, alias = share
            who, site, *_ = persona
            if not identity or (owed and who not in owed):
                continue
            name = naming(event.name)
            if len(name) > LONGEST_NAME:
                return Reject(row, "D4", f"the event {name[:30]!r}… has {len(name)} characters, over 254")
            if not (name or sets or alias):
                continue
            parts += 1
            calls.append(Identify(who, identity))
            if sets:
                calls.append(Set(site, who, identity, actor, event.moment, sets))
            if name:
                records += 1
                calls.append(Record(site, who, identity, actor, name, event.moment, properties, event.id))
            if alias:
                calls.append(Alias(site, who, identity, alias))
        if not records and not owed and (able := self._able(event.name)):
            return Reject(row, "no-identity", f"it names no {' and no '.join(able)}")
        if parts > 1 and calls[0] == (self._actor, actor):
            calls.append(calls[0])
        return Sequence(row, tuple(calls))

    def _able(self, event: str) -> list[str]:
        """Return the personas that may do this event."""
        return [persona.name for persona, naming in self._parts if naming(event)]


def _naming(persona: Persona) -> Callable[[str], str]:
    """Return what tells how an event is called for this persona; "" if it may not do it."""
    if persona.events is None and persona.rename == "{event}":
        return str
    may_do = None if persona.events is None else {fold_name(name): new for name, new in persona.events}
    known: dict[str, str] = {}

    def called(event: str) -> str:
        name = known.get(event)
        if name is None:
            if len(known) > _MOST_NAMES:
                known.clear()
            name = known[event] = _called(event, may_do, persona.rename)
        return name

    return called


def _called(event: str, may_do: dict[str, str] | None, rename: str) -> str:
    renamed = "" if may_do is None else may_do.get(fold_name(event))
    if renamed is None:
        return ""
    return renamed or rename.replace("{event}", event)
