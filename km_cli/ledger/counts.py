"""The forecast's counts over all runs: instances, names, spellings, and how much Kissmetrics will hold.

Instances are counted in memory and written when a file ends or when there are many. A run that is killed may
have counted too few of them. No call depends on these counts, so that is a price worth paying for speed.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from types import NoneType
from typing import Any

from km_cli.kissmetrics import MOST_INSTANCES
from km_cli.ledger.damage import decoding, expect
from km_cli.memory import Remembered
from km_cli.model import Gain, Held, instance_keys, is_event_key

_MOST_CACHED = 200_000
_MOST_UNWRITTEN = 100_000
_MOST_NAMES = 70_000


class CountTable:
    """The counts of a ledger for one run. `schemas` are searched in this order; writes go to the first."""

    def __init__(self, database: sqlite3.Connection, schemas: tuple[str, ...]) -> None:
        self._database = database
        self._schemas = schemas
        self._instances: dict[bytes, int] = {}
        self._unwritten: set[bytes] = set()
        self._spellings: Remembered[bytes, bytes] = Remembered(_MOST_CACHED)
        self._new_spellings: dict[bytes, bytes] = {}
        self._names: dict[tuple[str, str], set[bytes]] = {}
        self._new_names: list[tuple[str, str, bytes]] = []
        self._gains: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
        """The gains of people, events and properties that are not written yet, by site and persona."""
        self._has_instances_on_disk = any(
            self._one(name, "SELECT 1 FROM {}.instances LIMIT 1") for name in schemas
        )

    def count_gain(self, site: str, persona: str, person: bytes, gain: Gain) -> list[tuple[bytes, int]]:
        """Count the gain of a call to this person.

        Return the key and the number of each instance that is one too many (D7).
        """
        known, total = self._instances, self._gains[site, persona]
        total[0] += gain.people
        too_many = []
        keys = instance_keys(person, gain)
        for key in keys:
            count = known.get(key)
            if count is None:
                count = self._load(key) if self._has_instances_on_disk else 0
            known[key] = count = count + 1
            if count <= MOST_INSTANCES:
                total[1 if is_event_key(key) else 2] += 1
            else:
                too_many.append((key, count))
        self._unwritten.update(keys)
        return too_many

    def take_back(self, site: str, persona: str, person: bytes, gain: Gain) -> None:
        """Take back the gain of a call that its destination refused."""
        total = self._gains[site, persona]
        for key in instance_keys(person, gain):
            count = self._instances.get(key)
            count = self._load(key) if count is None else count
            self._instances[key] = count - 1
            self._unwritten.add(key)
            if count <= MOST_INSTANCES:
                total[1 if is_event_key(key) else 2] -= 1

    def _load(self, key: bytes) -> int:
        query = "SELECT n FROM {}.instances WHERE name = ?"
        with decoding(self._database, "instances"):
            rows = (self._one(name, query, key) for name in self._schemas)
            return next((int(row[0]) for row in rows if row), 0)

    def is_spelled_alike(self, spelling: bytes, person: bytes) -> bool:
        """Tell whether another person's identity has this spelling; if not, remember this person's."""
        known = self._spellings.get(spelling) or self._new_spellings.get(spelling)
        if known is None:
            known = self._load_spelling(spelling)
            if known is None:
                known = self._new_spellings[spelling] = person
            self._spellings.remember(spelling, known)
        return known != person

    def _load_spelling(self, spelling: bytes) -> bytes | None:
        query = "SELECT person FROM {}.spellings WHERE spelling = ?"
        with decoding(self._database, "spellings"):
            rows = (self._one(name, query, spelling) for name in self._schemas)
            known: bytes | None = next((row[0] for row in rows if row), None)
            expect((known,), (bytes, NoneType))
        return known

    def count_name(self, site: str, kind: str, name: bytes) -> int:
        """Count the name of an event or property. Return how many the site has; 0 if it had this one."""
        names = self._names.get((site, kind))
        if names is None:
            query = "SELECT name FROM {}.names WHERE site = ? AND kind = ?"
            with decoding(self._database, "names"):
                names = self._names[site, kind] = {
                    row[0]
                    for schema in self._schemas
                    for row in self._database.execute(query.format(schema), (site, kind))
                }
        if name in names:
            return 0
        if len(names) >= _MOST_NAMES:
            return len(names) + 1  # It is beyond the limit of any product, so the name need not be kept.
        names.add(name)
        self._new_names.append((site, kind, name))
        return len(names)

    def total(self, site: str) -> dict[str, Held]:
        """Return how much Kissmetrics will hold in a site once all is sent, by persona."""
        found: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for schema in self._schemas:
            query = f"SELECT persona, people, events, properties FROM {schema}.totals WHERE site = ?"
            with decoding(self._database, "totals"):
                for row in self._database.execute(query, (site,)):
                    expect(row, str, int, int, int)
                    persona, *numbers = row
                    found[persona] = [have + more for have, more in zip(found[persona], numbers, strict=True)]
        for (where, persona), numbers in self._gains.items():
            if where == site:
                found[persona] = [have + more for have, more in zip(found[persona], numbers, strict=True)]
        return {persona: Held(*numbers) for persona, numbers in found.items()}

    def write(self, *, at_end: bool) -> None:
        """Write the new counts, `at_end` those of instances too. The caller's transaction keeps them."""
        run = self._database.executemany
        if self._new_spellings:
            run("INSERT OR IGNORE INTO main.spellings VALUES (?, ?)", sorted(self._new_spellings.items()))
            self._new_spellings.clear()
        if self._new_names:
            run("INSERT OR IGNORE INTO main.names VALUES (?, ?, ?)", self._new_names)
            self._new_names.clear()
        if self._gains:
            run(
                "INSERT INTO main.totals VALUES (?, ?, ?, ?, ?) ON CONFLICT (site, persona) DO UPDATE SET "
                "people = people + excluded.people, events = events + excluded.events, "
                "properties = properties + excluded.properties",
                [(*key, *numbers) for key, numbers in self._gains.items()],
            )
            self._gains.clear()
        if self._unwritten and (at_end or len(self._unwritten) > _MOST_UNWRITTEN):
            counted = [(key, self._instances[key]) for key in sorted(self._unwritten)]
            run("INSERT OR REPLACE INTO main.instances VALUES (?, ?)", counted)
            self._unwritten.clear()
            if len(self._instances) > _MOST_CACHED:  # Not `Remembered`: unwritten counts must be kept.
                self._instances.clear()
                self._has_instances_on_disk = True

    def discard(self) -> None:
        """Forget the counts that were not written."""
        self._instances.clear()
        self._unwritten.clear()
        self._spellings.clear()
        self._new_spellings.clear()
        self._names.clear()
        self._new_names.clear()
        self._gains.clear()

    def _one(self, schema: str, query: str, *values: object) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self._database.execute(query.format(schema), values).fetchone()
        return found
