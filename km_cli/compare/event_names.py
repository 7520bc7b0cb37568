"""The names of events of a log, as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from km_cli.compare.funnel import Funnel
from km_cli.kissmetrics import fold_name

_MOST_NAMES = 65_535
"""Names of events that are told apart: more than a product of Kissmetrics can have (D8)."""

_NOT_WANTED = -1


class EventNames:
    """The numbers of events. With a funnel they are the places of its steps, and others have none."""

    def __init__(self, funnel: Funnel | None) -> None:
        self._is_open = funnel is None
        self._numbers: dict[str, int] = {} if funnel is None else funnel.places
        self.names: list[str] = [""] if funnel is None else list(funnel.steps)
        self._known: dict[str, int] = {}
        self.seen: dict[str, str] = {}
        """The names of events that rows have, by the name that Kissmetrics knows each by.

        Of several spellings it is the first by alphabet: the order of the rows does not matter.
        """

    def numbers_of(self, names: Sequence[str]) -> Sequence[int]:
        """Return the number of each event, -1 if it is not wanted."""
        found = list(map(self._known.get, names))
        return [self.number(name) for name in names] if None in found else cast("list[int]", found)

    def number(self, name: str) -> int:
        """Return the number of an event, -1 if it is not wanted."""
        found = self._known.get(name)
        return self._new_number(name) if found is None else found

    def _new_number(self, name: str) -> int:
        folded, spelled = fold_name(name), name.strip()
        if folded in self.seen or len(self.seen) < _MOST_NAMES:
            spelled = self.seen[folded] = min(spelled, self.seen.get(folded, spelled))
        found = self._numbers.get(folded, _NOT_WANTED)
        if self._is_open and found != _NOT_WANTED:
            self.names[found] = spelled
        elif self._is_open and len(self.names) < _MOST_NAMES:
            found = self._numbers[folded] = len(self.names)
            self.names.append(spelled)
        if len(self._known) < _MOST_NAMES:
            self._known[name] = found
        return found
