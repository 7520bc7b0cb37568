"""Writing the journal of a store: calls in order of arrival, and facts with the two calls of each."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from km_cli.standin.facts import NewFact
from km_cli.standin.schema import EVENT
from km_cli.standin.wire import fold

_MOST_COMPARED: Final = 100  # calls of one identity in one second, so that a flood of them stays quick

_LAST: Final = """SELECT coalesce((SELECT max(id) FROM kept_calls), before),
coalesce((SELECT max(id) FROM kept_facts), facts), missing FROM kept_journal"""
_IDENTITIES: Final = "SELECT id FROM kept_people WHERE id = ?1 OR leader = ?1"

# The plus keeps SQLite from the index of names: one event may have more calls than one second of a person.
_OF_EVENT: Final = f"""SELECT id, properties FROM kept_calls WHERE person = ? AND second = ? AND id < ?
AND kind = {EVENT} AND +name IN (SELECT id FROM kept_spellings WHERE name = ?)
ORDER BY id LIMIT {_MOST_COMPARED}"""
_OF_SECOND: Final = f"""SELECT id, properties FROM kept_calls WHERE person = ? AND second = ? AND id <= ?
ORDER BY id DESC LIMIT {_MOST_COMPARED}"""
_OLDEST_EVENT: Final = f"""SELECT second, id FROM kept_calls WHERE person = ? AND id <= ?
AND kind = {EVENT} AND +name IN (SELECT id FROM kept_spellings WHERE name = ?) ORDER BY second, id LIMIT 1"""
_WITH_PROPERTIES: Final = """SELECT second, id, properties FROM kept_calls
WHERE person = ? AND id <= ? AND second IS NOT NULL AND properties IS NOT NULL ORDER BY second, id"""

_encode: Final = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, separators=(",", ":")
).encode  # LIKE finds text in it as it was sent

Properties = tuple[tuple[str, str], ...]


class Earlier(NamedTuple):
    """An earlier call: its id, and whether its properties are those of the call that it is compared with."""

    id: int
    is_alike: bool


class Recorder:
    """The journal of one transaction, which `begin` begins. Calls and facts wait until `write`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._calls: list[tuple[Any, ...]] = []
        self._facts: list[NewFact] = []
        self._last = self._last_fact = 0
        self._is_whole = True
        self._encoded: tuple[Properties, str | None] = ((), None)
        self.counts: Counter[tuple[str, str]] = Counter()

    def begin(self) -> None:
        """Read where the journal ends. The caller has begun a transaction that writes."""
        self._last, self._last_fact, missing = self._db.execute(_LAST).fetchone()
        self._is_whole = not missing
        self._calls.clear()
        self._facts.clear()
        self.counts.clear()

    def next_call(self) -> int:
        """Return the id of a call that arrives."""
        self._last += 1
        return self._last

    def call(self, row: tuple[int | None, ...], properties: Properties = ()) -> None:
        """Add a call: a row with its id, arrival, product, kind, person, name and second."""
        if properties != self._encoded[0]:  # the calls of one row often carry the same ones
            self._encoded = (properties, _encode(properties) if properties else None)
        self._calls.append((*row, self._encoded[1]))

    def fact(
        self, rule: str, what: str, certain: bool, detail: str, call: int, other: int | None = None
    ) -> None:
        """Add a fact."""
        self._facts.append(NewFact(rule, what, certain, detail, call, other))
        self.counts[what, rule] += 1

    def write(self) -> None:
        """Write the calls and facts that are waiting."""
        if self._calls:
            self._db.executemany("INSERT INTO kept_calls VALUES (?, ?, ?, ?, ?, ?, ?, ?)", self._calls)
            self._calls.clear()
        if self._facts:
            rows = [(self._last_fact + n, *fact) for n, fact in enumerate(self._facts, 1)]
            self._last_fact += len(rows)
            self._db.executemany("INSERT INTO kept_facts VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            self._facts.clear()

    def event_before(
        self, person: int, second: int, name: int, call: int, properties: Properties
    ) -> Earlier | None:
        """Return the first call with the same event and properties, else the first with the event (D1)."""
        self.write()
        wanted = _plain(properties)
        first: Earlier | None = None
        for identity in self._identities(person):
            for id_, text in self._db.execute(_OF_EVENT, (identity, second, call, name)):
                found = Earlier(id_, _plain(_decoded(text)) == wanted)
                if first is None or (not found.is_alike, id_) < (not first.is_alike, first.id):
                    first = found
                if found.is_alike:
                    break
        return first

    def pair_of_event(self, person: int, other: int, second: int, name: int) -> tuple[int, int, bool] | None:
        """Return the later and the earlier of the first calls of two people who have the same event.

        The third is whether their properties are the same. None if the journal lacks one of the calls.
        """
        firsts = [self._first_event(who, second, name) for who in (person, other)]
        (one, text), (two, other_text) = firsts
        if not (one and two):
            return None
        return max(one, two), min(one, two), _plain(_decoded(text)) == _plain(_decoded(other_text))

    def _first_event(self, person: int, second: int, name: int) -> tuple[int, str | None]:
        self.write()
        key = (second, self._last + 1, name)
        found = [self._db.execute(_OF_EVENT, (who, *key)).fetchone() for who in self._identities(person)]
        return min((row for row in found if row), default=(0, None), key=lambda row: int(row[0]))

    def value_before(self, person: int, second: int, name: str, value: str, call: int) -> int | None:
        """Return the last call up to this one that gave a property of this folded name this value (D2)."""
        self.write()
        found = 0
        for identity in self._identities(person):
            for id_, text in self._db.execute(_OF_SECOND, (identity, second, call)):
                if (name, value) in _folded(_decoded(text)):
                    found = max(found, id_)
                    break
        return found or None

    def passed_the_limit(self, kind: str, shown: str, call: int, oldest: int | None) -> None:
        """Add the fact that one event or property of a person has more instances than are kept (D7)."""
        self.fact("D7" if kind == "event" else "D7-property", "dropped", True, shown, call, oldest)

    def oldest(self, person: int, name: int, folded: str, kind: str, call: int) -> int | None:
        """Return the call up to this one that gave the oldest instance of an event or a property (D7)."""
        if not self._is_whole:
            return None  # the oldest one may have come before the journal
        self.write()
        seek = self._oldest_event if kind == "event" else self._oldest_value
        key = name if kind == "event" else folded
        found = [row for identity in self._identities(person) if (row := seek(identity, call, key))]
        return min(found)[1] if found else None

    def _oldest_event(self, identity: int, call: int, name: int | str) -> tuple[int, int] | None:
        found: tuple[int, int] | None = self._db.execute(_OLDEST_EVENT, (identity, call, name)).fetchone()
        return found

    def _oldest_value(self, identity: int, call: int, name: int | str) -> tuple[int, int] | None:
        for second, id_, text in self._db.execute(_WITH_PROPERTIES, (identity, call)):
            if any(found == name for found, _ in _folded(_decoded(text))):
                return second, id_
        return None

    def _identities(self, person: int) -> Iterator[int]:
        for (identity,) in self._db.execute(_IDENTITIES, (person,)).fetchall():
            yield identity


def _decoded(text: str | None) -> Properties:
    return tuple(map(tuple, json.loads(text))) if text else ()


def _folded(properties: Properties) -> Iterator[tuple[str, str]]:
    for name, value in properties:
        yield fold(name).casefold(), value


def _plain(properties: Properties) -> dict[str, str]:
    """Return the properties as Kissmetrics knows them: of two that fold to one name the last."""
    return dict(_folded(properties))
