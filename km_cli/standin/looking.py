"""Looking at a store without changing it: its people, what they did how often, and one person's timeline."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from km_cli.standin.reading import MOST_INSTANCES
from km_cli.standin.wire import fold

# CROSS JOIN makes SQLite go through the people in the order of their numbers.
_IDENTITIES: Final = """SELECT coalesce(p.leader, p.id) AS who, o.key, p.identity
FROM kept_people p JOIN kept_products o ON o.id = p.product
WHERE who IN (SELECT person FROM kept_minutes) ORDER BY who, p.identity"""
_FOUND: Final = """SELECT coalesce(p.leader, p.id) FROM kept_products o
CROSS JOIN kept_people p ON p.product = o.id AND p.identity = ?
WHERE EXISTS (SELECT 1 FROM kept_minutes WHERE person = coalesce(p.leader, p.id)) ORDER BY o.id"""
_ONE: Final = """SELECT p.id, o.key, p.identity FROM kept_people p JOIN kept_products o ON o.id = p.product
WHERE p.id = ?1 OR p.leader = ?1 ORDER BY p.identity"""
_ALIKE: Final = """SELECT DISTINCT identity FROM kept_people
WHERE identity LIKE ? ESCAPE '\\' AND identity <> ? ORDER BY identity LIMIT 1"""
_INSTANCES: Final = f"""SELECT i.person, n.kind, n.shown, min(i.n, {MOST_INSTANCES})
FROM kept_instances i JOIN kept_names n ON n.id = i.name WHERE i.n > 0 ORDER BY i.person"""
_TOO_MANY: Final = f"""SELECT name, n - {MOST_INSTANCES} FROM kept_instances
WHERE person = ? AND n > {MOST_INSTANCES}"""
_MOMENTS: Final = """SELECT r.second, n.id, n.shown, NULL FROM kept_minutes m CROSS JOIN kept_events r
ON r.second BETWEEN m.minute * 60 AND m.minute * 60 + 59 AND r.person = m.person
JOIN kept_names n ON n.id = r.name WHERE m.person = ?1
UNION ALL SELECT r.second, n.id, n.shown, r.value FROM kept_minutes m CROSS JOIN kept_properties r
ON r.second BETWEEN m.minute * 60 AND m.minute * 60 + 59 AND r.person = m.person
JOIN kept_names n ON n.id = r.name WHERE m.person = ?1
ORDER BY 1, 3"""
# In order of time, by the key of the table.
_NAMED: Final = """SELECT r.person, r.second, n.id, n.folded FROM kept_events r
JOIN kept_names n ON n.id = r.name WHERE n.kind = 'event' AND n.folded IN ({0}) ORDER BY r.second"""
_TOO_MANY_OF_ALL: Final = (
    f"SELECT person, name, n - {MOST_INSTANCES} FROM kept_instances WHERE n > {MOST_INSTANCES}"
)
_SPAN: Final = "SELECT min(second), max(second) FROM kept_events"


class KeptPerson(NamedTuple):
    """A person who has an event or a property, with all identities that aliases joined, sorted."""

    number: int
    product: str
    identities: tuple[str, ...]


class Instances(NamedTuple):
    """How many times one person did an event, or has a property; `kind` is "event" or "property"."""

    person: int
    kind: str
    name: str
    times: int


class Moment(NamedTuple):
    """One second of a person: UTC Unix time, events, and (name, value) of the properties that it sets."""

    second: int
    events: tuple[str, ...]
    properties: tuple[tuple[str, str], ...]


class Looker:
    """Reads a store that may be in use: it never writes to the file, and sees one state of it.

    Events and values older than the last 1,000 of their person are left out (D7).
    """

    def __init__(self, path: Path) -> None:
        """Open the file. Raises sqlite3.Error if there is no store in it."""
        self._db = open_to_read(path)
        try:
            self._db.execute("BEGIN")
            self._db.execute("SELECT 1 FROM kept_instances LIMIT 1").fetchone()
        except sqlite3.Error:
            self._db.close()
            raise

    @classmethod
    def over(cls, db: sqlite3.Connection) -> Self:
        """Return a looker over a connection that sees one state already. The caller closes it."""
        looker = cls.__new__(cls)
        looker._db = db
        return looker

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._db.close()

    def people(self) -> Iterator[KeptPerson]:
        """Yield everyone who has an event or a property, by number."""
        for _, rows in groupby(self._db.execute(_IDENTITIES), key=lambda row: row[0]):
            yield _person(list(rows))

    def find(self, identity: str) -> list[KeptPerson]:
        """Return the person of this identity in each product that has it. Commas and colons are blanks."""
        numbers = [number for (number,) in self._db.execute(_FOUND, (fold(identity),))]
        return [self._person(number) for number in numbers]

    def _person(self, number: int) -> KeptPerson:
        rows = self._db.execute(_ONE, (number,)).fetchall()
        return _person([(number, product, identity) for _, product, identity in rows])

    def alike(self, identity: str) -> str:
        """Return an identity that differs from this one in the case of letters only, "" if there is none."""
        plain = fold(identity)
        pattern = plain.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        found = self._db.execute(_ALIKE, (pattern, plain)).fetchone()
        return str(found[0]) if found else ""

    def instances(self) -> Iterator[Instances]:
        """Yield how often each person did each event and has each property, by the number of the person."""
        yield from map(Instances._make, self._db.execute(_INSTANCES))

    def span(self) -> tuple[int, int] | None:
        """Return the seconds of the first and the last event; None if there are no events."""
        first, last = self._db.execute(_SPAN).fetchone()
        return None if first is None else (first, last)

    def named(self, names: Sequence[str]) -> Iterator[tuple[int, int, int]]:
        """Yield (person, second, place in `names`) for the events of these names, in order of time."""
        places = {fold(name).casefold(): place for place, name in enumerate(names)}
        left_out = {(person, name): n for person, name, n in self._db.execute(_TOO_MANY_OF_ALL)}
        query = _NAMED.format(", ".join("?" * len(places)))
        for person, second, name, folded in self._db.execute(query, list(places)):
            if left := left_out.get((person, name)):
                left_out[person, name] = left - 1
            else:
                yield person, second, places[folded]

    def timeline(self, person: int) -> Iterator[Moment]:
        """Yield the seconds of a person in which something happened, in order of time."""
        left_out = dict(self._db.execute(_TOO_MANY, (person,)).fetchall())
        kept = _without_oldest(self._db.execute(_MOMENTS, (person,)), left_out)
        for second, rows in groupby(kept, key=lambda row: row[0]):
            events: list[str] = []
            properties: list[tuple[str, str]] = []
            for _, _, name, value in rows:
                if value is None:
                    events.append(name)
                else:
                    properties.append((name, value))
            yield Moment(second, tuple(events), tuple(properties))


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open a file for reading only; in a folder that cannot be written, as a file that never changes.

    Threads may share the connection, one at a time.
    """
    place = path.absolute().as_uri()
    if not os.access(path.parent, os.W_OK):
        return sqlite3.connect(
            f"{place}?mode=ro&immutable=1", uri=True, isolation_level=None, check_same_thread=False
        )
    return sqlite3.connect(
        f"{place}?mode=ro", uri=True, timeout=30, isolation_level=None, check_same_thread=False
    )


def _person(rows: list[Any]) -> KeptPerson:
    """Return the person of rows with its number, product and one identity each."""
    return KeptPerson(rows[0][0], rows[0][1], tuple(row[2] for row in rows))


def _without_oldest(rows: Iterator[Any], left_out: dict[int, int]) -> Iterator[Any]:
    """Leave out as many of the first rows of each name as Kissmetrics has dropped (D7)."""
    for row in rows:
        if left := left_out.get(row[1]):
            left_out[row[1]] = left - 1
        else:
            yield row
