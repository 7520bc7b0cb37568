"""The numbers that Kissmetrics should hold, as far as the ledger knows them. `km-cli verify` compares them.

`SentTable` counts calls as they are planned. These are the differences between that and the totals that
Kissmetrics shows: calls that are pending, calls that it makes one of (D1), and instances that it drops (D7).
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from km_cli.kissmetrics import MOST_INSTANCES
from km_cli.ledger.damage import decoding, expect
from km_cli.ledger.outbox_record import unpack_record
from km_cli.ledger.sent import Sent
from km_cli.ledger.slot_bytes import decode_slot
from km_cli.model import NO_EVENT, is_event_key

_PERSON, _EVENT = 8, 4
"""Bytes of the digests in the key of an instance."""

_OUTBOXES = ("outbox", "outbox_aliases")


class Shortfalls(NamedTuple):
    """Calls that the ledger counts and that Kissmetrics may not, by the 4-byte digest of the event.

    `merged` are calls beyond the first of one person's second (D1); people whom an alias joins are one.
    `dropped` are instances beyond the last 1,000 of a person (D7). The numbers are of all trackers and sites.
    `forgotten` are the calls that a prune has forgotten: more of them may be merged or dropped.
    """

    merged: Mapping[bytes, int] = {}
    dropped: Mapping[bytes, int] = {}
    forgotten: int = 0


class ExpectedTable:
    """Reads the outbox, the slots and the names. It writes nothing."""

    def __init__(self, database: sqlite3.Connection, schemas: tuple[str, ...]) -> None:
        self._database = database
        self._schemas = schemas

    def pending(self, tracker: str) -> dict[Sent, int]:
        """Return how many calls to a tracker are pending, by the kind that they are counted as."""
        found: Counter[Sent] = Counter()
        for schema in self._schemas:
            for table in _OUTBOXES:
                query = f"SELECT * FROM {schema}.{table} WHERE tracker = ?"
                with decoding(self._database, table):
                    for columns in self._database.execute(query, (tracker,)):
                        found.update(map(Sent.of_pending, unpack_record(columns).calls))
        return dict(found)

    def names(self, tracker: str, site: str, kind: str) -> set[bytes]:
        """Return the 8-byte digests of the names planned for a site; `kind` is event or property."""
        found: set[bytes] = set()
        for schema in self._schemas:
            query = f"SELECT name FROM {schema}.names WHERE site = ? AND kind = ?"
            with decoding(self._database, "names"):
                for row in self._database.execute(query, (f"{tracker} {site}", kind)):
                    expect(row, bytes)
                    found.add(row[0])
        return found

    def shortfalls(self) -> Shortfalls:
        """Count the calls that Kissmetrics may merge or drop. It reads all slots of the ledger."""
        leaders = self._leaders()
        busy = self._busy() | set(leaders) | set(leaders.values())
        merged: Counter[bytes] = Counter()
        instances: Counter[tuple[bytes, bytes]] = Counter()
        now = -1
        seen: set[tuple[bytes, bytes]] = set()
        for second, person, events in self._standing():
            if person not in busy:  # nearly all: no alias, and no limit is near
                if len(events) > 1:
                    merged.update(_beyond_the_first(events))
                continue
            if second != now:
                now, seen = second, set()
            for event in events:
                key = leaders.get(person, person), event
                if key in seen:
                    merged[event] += 1
                else:
                    seen.add(key)
                    instances[key] += 1
        if forgotten := self._forgotten():
            for key, times in self._counted(leaders).items():
                instances[key] = max(instances[key], times)
        return Shortfalls(dict(merged), _dropped(instances), forgotten)

    def _forgotten(self) -> int:
        """Return how many calls the prunes have forgotten."""
        with decoding(self._database, "horizons"):
            query = f"SELECT coalesce(sum(calls), 0) FROM {self._schemas[-1]}.horizons"
            found = self._database.execute(query).fetchone()
            expect(found, int)
            return int(found[0])

    def _counted(self, leaders: Mapping[bytes, bytes]) -> Counter[tuple[bytes, bytes]]:
        """Return the instances of events that were counted one by one, as a prune does for busy people."""
        found: Counter[tuple[bytes, bytes]] = Counter()
        with decoding(self._database, "instances"):
            for name, times in self._database.execute(f"SELECT name, n FROM {self._schemas[-1]}.instances"):
                expect((name, times), bytes, int)
                if is_event_key(name):
                    person, event = name[:_PERSON], name[-_EVENT:]
                    found[leaders.get(person, person), event] += times
        return found

    def _standing(self) -> Iterator[tuple[int, bytes, list[bytes]]]:
        """Yield second, person and events of each slot, in the order of seconds."""
        for schema in reversed(self._schemas):  # an overlay that is only looked at has no slots of its own
            query = f"SELECT second, person, calls FROM {schema}.slots ORDER BY second, person"
            with decoding(self._database, "slots"):
                for second, person, blob in self._database.execute(query):
                    standing = decode_slot(person, second, blob).standing(second)
                    yield second, person, [event for event, _ in standing if event != NO_EVENT]

    def _leaders(self) -> dict[bytes, bytes]:
        """Return the people whom an alias made part of another one, each with the person that it became."""
        found: dict[bytes, bytes] = {}
        for schema in self._schemas:
            with decoding(self._database, "owners"):
                query = f"SELECT person, leader FROM {schema}.owners WHERE leader <> x''"
                for row in self._database.execute(query):
                    expect(row, bytes, bytes)
                    found[row[0]] = row[1]
        return {person: _last(person, found) for person in found}

    def _busy(self) -> set[bytes]:
        """Return the people with so many seconds that Kissmetrics may drop instances."""
        found: set[bytes] = set()
        for schema in self._schemas:
            query = f"SELECT person FROM {schema}.slots GROUP BY person HAVING count(*) > ?"
            with decoding(self._database, "slots"):
                found.update(row[0] for row in self._database.execute(query, (MOST_INSTANCES,)))
        return found


def _beyond_the_first(events: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the events of one person's second that Kissmetrics has already."""
    seen: set[bytes] = set()
    for event in events:
        if event in seen:
            yield event
        seen.add(event)


def _dropped(instances: Mapping[tuple[bytes, bytes], int]) -> dict[bytes, int]:
    """Return how many instances of each event are beyond the last ones that Kissmetrics keeps of a person."""
    dropped: defaultdict[bytes, int] = defaultdict(int)
    for (_, event), times in instances.items():
        if times > MOST_INSTANCES:
            dropped[event] += times - MOST_INSTANCES
    return dict(dropped)


def _last(person: bytes, leaders: Mapping[bytes, bytes]) -> bytes:
    """Return the person at the end of a chain of aliases. A circle ends where it is met again."""
    seen = {person}
    while (leader := leaders.get(person, person)) not in seen:
        seen.add(leader)
        person = leader
    return person
