"""The one mechanism behind every strategy: each persona in turn, then back to the actor (I6)."""

from __future__ import annotations

from collections.abc import Sequence as Listed

from km_cli.model import Call, Event, Identify, Persona, Record, Sequence


def expand(event: Event, personas: Listed[Persona]) -> Sequence:
    """Return the calls for `event`: each persona that the row names records it, under its own identity.

    The first persona is the actor. Identity toggles only if another persona had a part, and then
    returns to the actor. A corrected reject expands only to the parts it still owes.
    """
    actor = event.identities[0]
    owed = event.row.origin.owed if event.row.origin else ()
    calls: list[Call] = []
    for persona, identity in zip(personas, event.identities, strict=True):
        if not identity or (owed and persona.name not in owed):
            continue
        calls.append(Identify(persona.name, identity))
        calls.append(
            Record(
                persona.site,
                persona.name,
                identity,
                actor,
                event.name,
                event.moment,
                event.properties,
                event.id,
            )
        )
    if len(calls) > 2 and calls[0] == (personas[0].name, actor):
        calls.append(calls[0])
    return Sequence(event.row, tuple(calls))
