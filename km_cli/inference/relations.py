"""The second reading of a log for init: how columns depend on each other, now that their roles are known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import Any

from km_cli.inference.findings import EventFound, TimesFound
from km_cli.inference.profiles import INFERRED_ROWS, text_reader
from km_cli.inference.times import TimeForms
from km_cli.kissmetrics import LONGEST_NAME, PLACEHOLDERS, fold_identity, fold_name
from km_cli.mapping import ReadCell, are_swapped
from km_cli.model import Row

_MOST_LISTED = 200
_FEWEST_ROWS = 3
_NEARLY_ALL = 0.9
_MOST_JUDGED = 1000
"""Identities by which a column is judged to have one value for each identity."""

_FEWEST_SHARED = 3
"""Identities with several users that such a column must have.

If an identity has one user only, the value may be the user's.
"""


class Constant:
    """Judges whether a column has one value for each identity, in all rows where it has a value."""

    def __init__(self) -> None:
        self._values: dict[int, int] = {}
        self._first: dict[int, int] = {}
        self._shared: set[int] = set()
        self.is_broken = False

    def see(self, identity: int, user: int, value: int) -> None:
        """Take a row into account."""
        if identity not in self._values:
            if len(self._values) < _MOST_JUDGED:
                self._values[identity] = value
                self._first[identity] = user
        elif self._values[identity] != value:
            self.is_broken = True
        elif self._first[identity] != user:
            self._shared.add(identity)

    @property
    def holds(self) -> bool:
        """Whether the column may be a property of the identity."""
        return (
            not self.is_broken and len(self._shared) >= _FEWEST_SHARED and len(set(self._values.values())) > 1
        )


class PersonaSeen:
    """One persona's identities so far, and the events of their rows."""

    def __init__(self, column: str, properties: Iterable[str]) -> None:
        self.column = column
        self.rows = 0
        self.identities: set[int] = set()
        self.placeholders: Counter[str] = Counter()
        self.numbers = 0
        self._events: dict[str, Counter[int]] = {}
        self._constants = {name: Constant() for name in properties}

    def see(self, identity: str, event: str) -> None:
        """Take a row into account."""
        self.rows += 1
        number = hash(fold_identity(identity))
        self.identities.add(number)
        self.numbers += identity.isdigit()
        if identity.casefold() in PLACEHOLDERS:
            self.placeholders[identity] += 1
        if event.strip() and len(event) <= LONGEST_NAME:
            self._events.setdefault(event, Counter())[number] += 1

    def see_property(self, name: str, identity: str, user: str, value: str) -> None:
        """Take a property's value into account."""
        constant = self._constants.get(name)
        if constant is None:
            return
        constant.see(hash(identity), hash(user), hash(value))
        if constant.is_broken:
            del self._constants[name]

    @property
    def are_numbers(self) -> bool:
        """Whether all identities are whole numbers."""
        return 0 < self.rows == self.numbers

    @property
    def constant(self) -> tuple[str, ...]:
        """The columns that have one value for each identity."""
        return tuple(name for name, constant in self._constants.items() if constant.holds)

    @property
    def events(self) -> tuple[EventFound, ...] | None:
        """The events, the most frequent first; None if they are too many to list."""
        if len(self._events) > _MOST_LISTED:
            return None
        found = [
            EventFound(name, counts.total(), len(counts), max(counts.values()))
            for name, counts in self._events.items()
        ]
        return tuple(sorted(found, key=lambda event: (-event.rows, event.name)))


class Relations:
    """Looks at rows. The columns of event, time and identities are given, "" if there is none."""

    def __init__(
        self,
        event: str,
        timestamp: str,
        personas: tuple[str, ...],
        properties: tuple[str, ...],
        found: tuple[str, ...],
        *,
        tabular: bool,
        now: float,
    ) -> None:
        def cell(name: str) -> ReadCell:
            return text_reader(name, found, tabular=tabular)

        self._event, self._timestamp = cell(event), cell(timestamp)
        self._cells = [cell(column) for column in personas]
        self._properties = [(name, cell(name)) for name in properties]
        self._time_forms = TimeForms(now)
        # Properties are judged for all personas but the actor, who carries them all anyway.
        self.personas = [
            PersonaSeen(column, properties if place else ()) for place, column in enumerate(personas)
        ]
        self._pairs: dict[tuple[int, int], set[tuple[int, int]]] = {}
        self._rows_by_event: Counter[str] = Counter()

    def look(self, rows: Iterable[Row]) -> None:
        """Look at the first rows."""
        for row in islice(rows, INFERRED_ROWS):
            self._see(row.values)

    def _see(self, values: Any) -> None:
        if time := self._timestamp(values):
            self._time_forms.see(time)
        event = self._event(values)
        if event in self._rows_by_event or len(self._rows_by_event) <= _MOST_LISTED:
            self._rows_by_event[event] += 1
        named = [(place, identity) for place, cell in enumerate(self._cells) if (identity := cell(values))]
        user = named[0][1] if named and named[0][0] == 0 else ""
        for place, identity in named:
            self.personas[place].see(identity, event)
            self._pair(place, identity, named)
        if any(place for place, _ in named):
            self._see_properties(values, named, user)

    def _see_properties(self, values: Any, named: list[tuple[int, str]], user: str) -> None:
        for name, cell in self._properties:
            if value := cell(values):
                for place, identity in named:
                    self.personas[place].see_property(name, identity, user, value)

    def _pair(self, place: int, identity: str, named: list[tuple[int, str]]) -> None:
        for other, theirs in named:
            if other < place:
                pair = hash(fold_identity(theirs)), hash(fold_identity(identity))
                self._pairs.setdefault((other, place), set()).add(pair)

    def clock(self) -> TimesFound:
        """Return how the times are written."""
        return self._time_forms.clock()

    def left_out(self, place: int) -> tuple[EventFound, ...]:
        """Return the events of which no row names a persona, if nearly all rows of its own events do.

        A few rows say nothing, and neither does a column that is empty here and there.
        """
        rows, own = self._rows_by_event, self.personas[place].events
        if not own or len(rows) > _MOST_LISTED:
            return ()
        named = sum(event.rows for event in own)
        if named < sum(rows[event.name] for event in own) * _NEARLY_ALL:
            return ()
        done = {fold_name(event.name) for event in own}
        others = [name for name in rows if name.strip() and fold_name(name) not in done]
        found = [EventFound(name, rows[name], 0, 0) for name in others]
        enough = [event for event in found if event.rows >= _FEWEST_ROWS and len(event.name) <= LONGEST_NAME]
        return tuple(sorted(enough, key=lambda event: (-event.rows, event.name)))

    def is_another_name(self, place: int) -> bool:
        """Tell whether each identity of a persona stands for one identity of an earlier persona."""
        count = len(self.personas[place].identities)
        return any(
            len(pairs) == count == len(self.personas[before].identities)
            for (before, after), pairs in self._pairs.items()
            if after == place and before
        )

    @property
    def are_swapped(self) -> bool:
        """Whether the first two personas look swapped."""
        return are_swapped(self._pairs.get((0, 1), ()))

    def has_many(self, place: int) -> bool:
        """Tell whether most identities of the first persona have several of a persona's."""
        counts = Counter(user for user, _ in self._pairs.get((0, place), ()))
        return sum(count > 1 for count in counts.values()) * 2 > len(counts) > 0

    def shared_with(self, place: int) -> int:
        """Return how many identities of a persona are identities of an earlier persona as well."""
        before: set[int] = set()
        return len(self.personas[place].identities & before.union(*(
            one.identities for one in self.personas[:place]
        )))  # fmt: skip

    def are_numbers(self, place: int) -> bool:
        """Tell whether the identities of a persona and of an earlier persona are numbers."""
        return self.personas[place].are_numbers and any(one.are_numbers for one in self.personas[:place])
