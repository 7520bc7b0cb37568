"""The personas' lists of events in km.toml: the events that no persona does, or that one persona lacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from km_cli.kissmetrics import fold_name
from km_cli.memory import Remembered
from km_cli.model import Event, Finding, Persona

MOST_NAMES = 5000
"""How many names of events are remembered, and how many are counted that a persona lacks."""


class _Doers(NamedTuple):
    """Whether any persona does an event, and the places of the personas whose list lacks it."""

    is_done: bool
    lacking: tuple[int, ...]


class Lacked(NamedTuple):
    """An event that some personas lack: its name in the first row that has it, and the line of that row.

    `personas` are the places of these personas, `rows` those of the event that name one of them.
    """

    name: str
    line: int
    rows: int = 0
    personas: frozenset[int] = frozenset()


class EventLists:
    """Compares the events of a log with the lists in km.toml.

    `events = []` says that a persona does nothing, which is intended. Every other list may be incomplete, for
    example when the product has a new event. So may `not_events`: a later log may have rows that name a
    persona and have an event that the persona does not do.
    """

    def __init__(self, personas: Sequence[Persona]) -> None:
        self._personas = [persona.name for persona in personas]
        self._lists = [
            None if persona.events is None else {fold_name(name) for name, _ in persona.events}
            for persona in personas
        ]
        self._excepted = [frozenset(map(fold_name, persona.excepted)) for persona in personas]
        self._matters = any(self._lists) or any(self._excepted)
        self._known: Remembered[str, _Doers] = Remembered(MOST_NAMES)
        self._lacked: dict[str, Lacked] = {}

    def look(self, event: Event) -> Finding | None:
        """Return a finding if no persona does this event; count it if a persona of the row lacks it."""
        row = event.row
        if not self._matters or not event.name or (row.origin and row.origin.owed):
            return None
        doers = self._known.get(event.name) or self._doers(event.name)
        if not doers.is_done:
            message = f"no persona has {event.name!r} among its events, and no skip names it"
            return Finding("no-persona", message, row.source, row.line, repr(event.name))
        if lacking := [place for place in doers.lacking if event.parts[place].identity]:
            self._count(event, lacking)
        return None

    def _doers(self, name: str) -> _Doers:
        folded = fold_name(name)
        both = list(zip(self._lists, self._excepted, strict=True))
        lacking = [
            place
            for place, (names, excepted) in enumerate(both)
            if folded in excepted or (names and folded not in names)
        ]
        is_done = any(
            folded in names if names is not None else folded not in excepted for names, excepted in both
        )
        return self._known.remember(name, _Doers(is_done, tuple(lacking)))

    def _count(self, event: Event, lacking: list[int]) -> None:
        folded = fold_name(event.name)
        known = self._lacked.get(folded) or Lacked(event.name, event.row.line)
        if known.rows or len(self._lacked) < MOST_NAMES:  # counts stay: they could not be made again
            self._lacked[folded] = known._replace(rows=known.rows + 1, personas=known.personas.union(lacking))

    @property
    def lacked(self) -> Iterable[Lacked]:
        """The events that a persona lacks and others do, as far as rows have come."""
        return self._lacked.values()

    def left_to_others(self) -> Iterator[tuple[Finding, int]]:
        """Yield a finding for each event that a persona lacks and others do, and the number of its rows."""
        yield from left_to_others(self._personas, self._lacked.values())


def left_to_others(personas: Sequence[str], lacked: Iterable[Lacked]) -> Iterator[tuple[Finding, int]]:
    """Yield a finding for each event that some of the `personas` lack, and the number of its rows."""
    for one in sorted(lacked, key=lambda lacked: (-lacked.rows, lacked.name)):
        who = " and ".join(personas[place] for place in sorted(one.personas))
        message = (
            f"{one.name!r} is not among the events of {who}, but of another persona (rows: {one.rows:,})"
        )
        yield Finding("left-to-others", message, "", 0, repr(one.name)), one.rows
