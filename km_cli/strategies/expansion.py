"""The one mechanism behind every strategy: each persona in turn, then back to the actor (I6)."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Listed

from km_cli.kissmetrics import LONGEST_NAME, fold_name
from km_cli.memory import Remembered
from km_cli.model import Alias, Event, Persona, PersonaPart, Record, Reject, Sequence, Set, Wired
from km_cli.model.making import maker

_MOST_NAMES = 100_000
_record, _sequence = maker(Record), maker(Sequence)


class Expansion:
    """Expands events to sequences. The first of the `personas` is the actor."""

    def __init__(self, personas: Listed[Persona]) -> None:
        self._actor = personas[0].name
        self._personas = [(persona.name, persona.site, event_naming(persona)) for persona in personas]

    def expand(self, event: Event) -> Sequence | Reject:
        """Return the calls for `event`: those of each persona that the row names, as that persona.

        A corrected reject expands only to the parts that it still owes. A sequence without calls means that
        no persona may do the event. A Reject means that a persona may do it, but the row has no identity for
        that persona.
        """
        row = event.row
        owed = row.origin.owed if row.origin else ()
        actor, moment = event.parts[0].identity, event.moment
        calls: list[Wired] = []
        for (who, site, naming), part in zip(self._personas, event.parts, strict=True):
            identity, properties, sets, alias = part
            if not identity:
                continue
            name = naming(event.name) if naming and event.name else event.name
            if naming and len(name) > LONGEST_NAME:  # The mapper checks the log's own names.
                message = f"the event {name[:30]!r}… of the {who} has {len(name)} characters, over 254"
                return Reject(row, "D4-long", message)
            if sets or alias or owed:
                calls += _calls_of(who, site, name, part, event, owed)
            elif name:
                calls.append(_record((site, who, identity, actor, name, moment, properties, event.id)))
        for call in calls:
            if type(call) is Record:
                break
        else:
            if refused := self._without_record(event, owed, calls):
                return refused
        return _sequence((row, tuple(calls), event.cells, self._actor))

    def _without_record(self, event: Event, owed: tuple[str, ...], calls: list[Wired]) -> Reject | None:
        """Return a Reject if the row names no persona that may do its event, or that has a part owed."""
        if owed and not calls:
            message = f"it still owes {' and '.join(owed)}, and no persona that it names has such a part now"
            return Reject(event.row, "owed", message, owed)
        able = self._able(event.name) if event.name else []
        if able and not owed:
            return Reject(event.row, "no-identity", f"it names no {' and no '.join(able)}")
        return None

    def _able(self, event: str) -> list[str]:
        """Return the personas that may do this event."""
        return [who for who, _, naming in self._personas if naming is None or naming(event)]


def _calls_of(
    who: str, site: str, name: str, part: PersonaPart, event: Event, owed: tuple[str, ...]
) -> list[Wired]:
    """Return one persona's calls; for a corrected reject, only those that it still owes."""
    identity, properties, sets, alias = part
    if owed:
        name = name if who in owed else ""
        sets = sets if f"{who}.set" in owed else ()
        alias = alias if f"{who}.alias" in owed else ""
    actor, moment = event.parts[0].identity, event.moment
    calls: list[Wired] = []
    if sets:
        calls.append(Set(site, who, identity, actor, moment, sets, not event.name))
    if name:
        calls.append(Record(site, who, identity, actor, name, moment, properties, event.id))
    if alias:
        calls.append(Alias(site, who, identity, alias))
    return calls


def event_naming(persona: Persona) -> Callable[[str], str] | None:
    """Return a function from an event's name in the log to its name for this persona; None if it is the same.

    The function returns "" for an event that the persona may not do.
    """
    if persona.events is None and persona.rename == "{event}" and not persona.excepted:
        return None
    may_do = None if persona.events is None else {fold_name(name): new for name, new in persona.events}
    excepted = frozenset(map(fold_name, persona.excepted))
    known: Remembered[str, str] = Remembered(_MOST_NAMES)

    def name_for(event: str) -> str:
        name = known.get(event)
        if name is None:
            may_not = bool(excepted) and fold_name(event) in excepted
            name = known.remember(event, "" if may_not else _name_for(event, may_do, persona.rename))
        return name

    return name_for


def _name_for(event: str, may_do: dict[str, str] | None, rename: str) -> str:
    renamed = "" if may_do is None else may_do.get(fold_name(event))
    if renamed is None:
        return ""
    return renamed or rename.replace("{event}", event)
