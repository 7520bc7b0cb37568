"""The personas' lists of events: which events no persona does, and which some persona leaves to others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from km_cli.kissmetrics import fold_name
from km_cli.model import Event, Finding, Persona

MOST_NAMES = 5000
"""Names of events that are remembered, and counted if a persona leaves them to others."""


class _About(NamedTuple):
    """An event: whether any persona does it, and the places of the personas whose list leaves it out."""

    is_done: bool
    leaving: tuple[int, ...]


class EventLists:
    """Compares the events of a log with the lists in km.toml.

    `events = []` says that a persona does nothing, which is meant; every other list may be incomplete.
    """

    def __init__(self, personas: Sequence[Persona]) -> None:
        self._personas = [persona.name for persona in personas]
        self._lists = [
            None if persona.events is None else {fold_name(name) for name, _ in persona.events}
            for persona in personas
        ]
        self._matters = any(self._lists)
        self._known: dict[str, _About] = {}
        self._left: dict[str, tuple[str, int, set[int]]] = {}

    def look(self, event: Event) -> Finding | None:
        """Return a finding if no persona does this event; count it if a persona of the row leaves it out."""
        row = event.row
        if not self._matters or (row.origin and row.origin.owed):
            return None
        about = self._known.get(event.name) or self._about(event.name)
        if not about.is_done:
            said = f"no persona has {event.name!r} among its events, and no skip names it"
            return Finding("no-persona", said, row.source, row.line, repr(event.name))
        if leaving := [place for place in about.leaving if event.parts[place].identity]:
            self._count(event.name, leaving)
        return None

    def _about(self, name: str) -> _About:
        folded = fold_name(name)
        leaving = [place for place, names in enumerate(self._lists) if names and folded not in names]
        is_done = any(names is None or folded in names for names in self._lists)
        about = _About(is_done, tuple(leaving))
        if len(self._known) < MOST_NAMES:
            self._known[name] = about
        return about

    def _count(self, name: str, leaving: list[int]) -> None:
        folded = fold_name(name)
        first, rows, places = self._left.get(folded, (name, 0, set()))
        if rows or len(self._left) < MOST_NAMES:
            self._left[folded] = (first, rows + 1, places.union(leaving))

    def left_to_others(self) -> Iterator[tuple[Finding, int]]:
        """Yield a finding for each event that a persona left to others, and in how many rows it did."""
        for name, rows, places in sorted(self._left.values(), key=lambda left: (-left[1], left[0])):
            who = " and ".join(self._personas[place] for place in sorted(places))
            said = f"{name!r} is not among the events of {who}: others do it (rows: {rows:,})"
            yield Finding("left-to-others", said, "", 0, repr(name)), rows
