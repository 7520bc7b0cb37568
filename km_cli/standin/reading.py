"""What can be read from the store."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

_MERGED: Final = ("D1", "D2", "D4", "repeat")

# A person is called by the first identity in alphabetical order, whichever came first.
_PEOPLE: Final = """(SELECT coalesce(leader, id) AS id, product, min(identity) AS identity
FROM kept_people GROUP BY coalesce(leader, id))"""
_SHOWN: Final = f"""SELECT o.key, p.identity, n.shown, {{columns}} FROM {{table}} r
JOIN {_PEOPLE} p ON p.id = r.person JOIN kept_products o ON o.id = p.product
JOIN kept_names n ON n.id = r.name ORDER BY r.second, p.product, p.identity, n.folded"""
_IDENTITIES: Final = """SELECT o.key, p.identity, coalesce(p.leader, p.id) AS who
FROM kept_people p JOIN kept_products o ON o.id = p.product
WHERE who IN (SELECT person FROM kept_minutes) ORDER BY who, p.identity"""


class Person(NamedTuple):
    """One person of one product, with all identities that were aliased to each other, sorted."""

    product: str
    identities: tuple[str, ...]


class Event(NamedTuple):
    """An event that counts. `person` is the first of the person's identities, `second` UTC Unix time."""

    product: str
    person: str
    event: str
    second: int


class Property(NamedTuple):
    """A value that stands. `person` is the first of the person's identities, `second` UTC Unix time."""

    product: str
    person: str
    name: str
    second: int
    value: str


class Kept(NamedTuple):
    """What stands in the store.

    `merged`: D1 events not counted, D2 values that lost to another, D4 calls with a name that was changed,
    repeat calls that changed nothing at all (a resend; or two that only looked alike).
    `ignored`: the reasons why calls, or single properties of a call that was kept, are not there.
    """

    received: int
    people: int
    events: int
    properties: int
    merged: dict[str, int]
    ignored: dict[str, int]


class Reader:
    """Reads by a connection of its own each time: sees only what is committed, holds up nothing."""

    def __init__(self, path: str | Path) -> None:
        """`path` is a file that has the store's tables."""
        self._path = str(path)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)

    def kept(self) -> Kept:
        """What stands in the store, over all products. Counts every row: seconds with many millions."""
        with closing(self._connect()) as db:
            db.execute("BEGIN")  # one view for all of it
            counts: dict[str, dict[str, int]] = {
                kind: {} for kind in ("received", "merged", "ignored", "alias")
            }
            for kind, what, n in db.execute("SELECT kind, what, n FROM kept_counts"):
                counts[kind][what] = n
            query = """SELECT (SELECT count(DISTINCT person) FROM kept_minutes),
            (SELECT count(*) FROM kept_events), (SELECT count(*) FROM kept_properties)"""
            people, events, properties = db.execute(query).fetchone()
        merged = dict.fromkeys(_MERGED, 0) | counts["merged"]
        return Kept(counts["received"].get("", 0), people, events, properties, merged, counts["ignored"])

    def people(self) -> Iterator[Person]:
        """Everyone who has an event or a property (I3)."""
        with closing(self._connect()) as db:
            for _, rows in groupby(db.execute(_IDENTITIES), key=lambda row: row[2]):
                keys, identities, _ = zip(*rows, strict=True)
                yield Person(keys[0], identities)

    def events(self) -> Iterator[Event]:
        """Every event that counts, by second; an alias shows at once."""
        with closing(self._connect()) as db:
            yield from map(Event._make, db.execute(_SHOWN.format(table="kept_events", columns="r.second")))

    def properties(self) -> Iterator[Property]:
        """Every value that stands, by second. Values are as sent: "123" is not made a number (D5)."""
        query = _SHOWN.format(table="kept_properties", columns="r.second, r.value")
        with closing(self._connect()) as db:
            yield from map(Property._make, db.execute(query))
