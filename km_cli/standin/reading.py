"""Reading the store: people, events, properties and counts."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

MOST_INSTANCES: Final = 1000
"""D7: of each event and each property of a person, the last ones by their time."""

_MERGED: Final = ("D1", "D2", "D4", "repeat")

# A person is named by the first of its identities in alphabetical order. CROSS JOIN makes SQLite read the
# table by its key, in order of time, and look up the rest.
_SHOWN: Final = """SELECT r.person, r.name, o.key,
(SELECT min(identity) FROM kept_people WHERE id = r.person OR leader = r.person) AS identity,
n.shown, {columns} FROM {table} r
CROSS JOIN kept_people p ON p.id = r.person JOIN kept_products o ON o.id = p.product
JOIN kept_names n ON n.id = r.name ORDER BY r.second, p.product, identity, n.folded"""
_TOO_MANY: Final = f"SELECT person, name, n - {MOST_INSTANCES} FROM kept_instances WHERE n > {MOST_INSTANCES}"
_INSTANCES: Final = f"""SELECT n.kind, sum(min(i.n, {MOST_INSTANCES})), sum(max(i.n - {MOST_INSTANCES}, 0))
FROM kept_instances i JOIN kept_names n ON n.id = i.name GROUP BY n.kind"""
_IDENTITIES: Final = """SELECT o.key, p.identity, coalesce(p.leader, p.id) AS who
FROM kept_people p JOIN kept_products o ON o.id = p.product
WHERE who IN (SELECT person FROM kept_minutes) ORDER BY who, p.identity"""


class Person(NamedTuple):
    """One person of one product, with all identities that were aliased to each other, sorted."""

    product: str
    identities: tuple[str, ...]


class Event(NamedTuple):
    """An event that is kept. `person` is the first of the person's identities, `second` UTC Unix time."""

    product: str
    person: str
    event: str
    second: int


class Property(NamedTuple):
    """A value that is kept. `person` is the first of the person's identities, `second` UTC Unix time."""

    product: str
    person: str
    name: str
    second: int
    value: str


class Kept(NamedTuple):
    """Counts of the store.

    `merged` counts by code: D1 the events that merged with another event, D2 the values that another value
    replaced, D4 the calls with a changed name, `repeat` the calls that changed nothing because they were sent
    twice. `dropped` counts D7 events and D7-property values older than the last 1,000 of their person.
    `ignored` counts the calls, and single properties of calls, that were not kept, by reason.
    """

    received: int
    people: int
    events: int
    properties: int
    merged: dict[str, int]
    dropped: dict[str, int]
    ignored: dict[str, int]


class Reader:
    """Reads with a new connection each time: it sees committed data only, and does not block writing."""

    def __init__(self, path: str | Path) -> None:
        """Prepare to read `path`, a file that has the store's tables."""
        self._path = str(path)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)

    def kept(self) -> Kept:
        """Return the counts over all products. It takes seconds for many millions of rows."""
        with closing(self._connect()) as db:
            db.execute("BEGIN")  # one view for all of it
            counts: dict[str, dict[str, int]] = {
                kind: {} for kind in ("received", "merged", "ignored", "alias")
            }
            for kind, what, n in db.execute("SELECT kind, what, n FROM kept_counts"):
                counts[kind][what] = n
            (people,) = db.execute("SELECT count(DISTINCT person) FROM kept_minutes").fetchone()
            instances = {kind: (kept, dropped) for kind, kept, dropped in db.execute(_INSTANCES)}
        events, old_events = instances.get("event", (0, 0))
        properties, old_properties = instances.get("property", (0, 0))
        merged = dict.fromkeys(_MERGED, 0) | counts["merged"]
        dropped = {"D7": old_events, "D7-property": old_properties}
        received = counts["received"].get("", 0)
        return Kept(received, people, events, properties, merged, dropped, counts["ignored"])

    def people(self) -> Iterator[Person]:
        """Yield everyone who has an event or a property (I3)."""
        with closing(self._connect()) as db:
            for _, rows in groupby(db.execute(_IDENTITIES), key=lambda row: row[2]):
                keys, identities, _ = zip(*rows, strict=True)
                yield Person(keys[0], identities)

    def events(self) -> Iterator[Event]:
        """Yield the events that are kept, by second. An alias shows at once."""
        yield from map(Event._make, self._shown("kept_events", "r.second"))

    def properties(self) -> Iterator[Property]:
        """Yield the values that are kept, by second, as they were sent: "123" is not made a number (D5)."""
        yield from map(Property._make, self._shown("kept_properties", "r.second, r.value"))

    def _shown(self, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a table by second, without the oldest beyond the last 1,000 (D7)."""
        with closing(self._connect()) as db:
            db.execute("BEGIN")  # the counts and the rows are of one moment
            too_many = {(person, name): n for person, name, n in db.execute(_TOO_MANY)}
            for person, name, *row in db.execute(_SHOWN.format(table=table, columns=columns)):
                if left := too_many.get((person, name)):
                    too_many[person, name] = left - 1
                else:
                    yield tuple(row)
