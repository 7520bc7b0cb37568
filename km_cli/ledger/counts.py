"""The forecast's counts over all runs: calls, instances, names, spellings, and what Kissmetrics will hold.

Kissmetrics keeps the last 1,000 instances of an event or a property of one person (D7). A call adds at most
one instance to each, so a person with few calls cannot come near the limit: for most people it is enough to
count their calls. From a number of calls on a person is *busy*, and its instances are counted one by one.
Those of its earlier calls are added from the slots, but only when the limit may be reached: that takes a scan
of all slots. A scan serves all busy people at once, and after each one half as many calls make a person busy,
so that even a log with very many busy people needs few scans.

Calls and instances are counted in memory and written when a file ends or when there are many. A run that is
killed may have counted too few of them. No call depends on these counts, so that is a price worth paying for
speed.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from km_cli.kissmetrics import MOST_INSTANCES
from km_cli.ledger.damage import decoding, expect
from km_cli.ledger.slots import SlotTable
from km_cli.model import NO_EVENT, Gain, Held, RowPlan, held_keys, instance_keys, is_event_key

_MOST_CACHED = 200_000
_MOST_UNWRITTEN = 100_000
_MOST_NAMES = 70_000

BUSY_FROM = 500
"""How many calls a person may have before its instances are counted one by one."""

TooMany = Sequence[tuple[bytes, int]]
"""The key and the number of each instance that is one too many (D7)."""


class CountTable:
    """The counts of a ledger for one run. `schemas` are searched in this order; writes go to the first."""

    def __init__(
        self,
        database: sqlite3.Connection,
        schemas: tuple[str, ...],
        slots: SlotTable,
        *,
        is_dry: bool = False,
    ) -> None:
        self._database = database
        self._schemas = schemas
        self._slots = slots
        self._is_dry = is_dry
        self._busy_from = BUSY_FROM
        self._people = slots.people
        self._uncounted: dict[bytes, int] = {}
        """How many calls a busy person has whose instances are not counted: those before it was busy."""
        self._instances: dict[bytes, int] = {}
        self._unwritten: set[bytes] = set()
        self._unwritten_instances: set[bytes] = set()
        self._names: dict[tuple[str, str], set[bytes]] = {}
        self._new_names: list[tuple[str, str, bytes]] = []
        self._gains: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
        """The gains of people, events and properties that are not written yet, by site and persona."""
        self._is_ahead = False  # whether gains are counted whose calls are not committed

    def count_gains(self, tracker: str, plans: Sequence[RowPlan]) -> dict[tuple[int, int], TooMany]:
        """Count the gains of a batch, whose calls are all in the slots.

        Return the instances that are too many, by the place of the row and that of the call in its row.
        """
        self._is_ahead = True
        count_call, is_dry = self._people.count_call, self._is_dry
        found: dict[tuple[int, int], TooMany] = {}
        totals: dict[tuple[str, str], list[int]] = {}
        for row, plan in enumerate(plans):
            for at, (planned, gain) in enumerate(zip(plan.planned, plan.gains, strict=True)):
                people, event, names = gain
                person, where = planned.person, planned[:2]
                total = totals.get(where) or totals.setdefault(where, self._total(tracker, *where))
                total[0] += people
                if not (count_call(person, self._busy_from) or self._count_loaded(person)):
                    if too_many := self._count_instances(plans, row, at, total):
                        found[row, at] = too_many
                    continue
                if not is_dry:
                    self._unwritten.add(person)
                total[1] += event != NO_EVENT
                total[2] += len(names) // 4
        return found

    def _total(self, tracker: str, site: str, persona: str) -> list[int]:
        return self._gains[f"{tracker} {site}", persona]

    def _count_loaded(self, person: bytes) -> bool:
        """Count a call of a person whose calls may be on disk; return False if the person is busy."""
        calls = self._load_calls(person)
        if calls is not None:
            self._people.set_calls(person, calls + 1)
        return calls is not None

    def _load_calls(self, person: bytes) -> int | None:
        """Return how many calls a person has, None if it is busy."""
        if person in self._uncounted:
            return None
        people, is_busy = self._people, 0
        calls = people.calls(person)
        if calls is None:
            calls, is_busy = people.stored_calls(person) if people.may_have_calls_on_disk(person) else (0, 0)
        if not is_busy and calls < self._busy_from:
            return calls
        people.make_busy(person)
        self._uncounted[person] = calls
        self._unwritten.add(person)
        return None

    def _count_instances(self, plans: Sequence[RowPlan], row: int, at: int, total: list[int]) -> TooMany:
        """Count the instances of a call whose person is busy."""
        person = plans[row].planned[at].person
        keys = instance_keys(person, plans[row].gains[at])
        uncounted = self._uncounted[person]
        if uncounted and any(self._instances_of(key) + uncounted >= MOST_INSTANCES for key in keys):
            self._count_earlier(plans, row, at)
        too_many = []
        for key in keys:
            count = self._instances[key] = self._instances_of(key) + 1
            if count <= MOST_INSTANCES:
                total[1 if is_event_key(key) else 2] += 1
            else:
                too_many.append((key, count))
        self._unwritten_instances.update(keys)
        return too_many

    def _count_earlier(self, plans: Sequence[RowPlan], row: int, at: int) -> None:
        """Count all instances of busy people from the slots, but for this call and those behind it."""
        people = self._waiting()
        counted: Counter[bytes] = Counter(dict.fromkeys(self._keys_of(people), 0))
        for person, second, slot in self._slots.of_people(people):
            counted.update(held_keys(person, second, slot))
        for behind, plan in enumerate(plans[row:]):
            both = zip(plan.planned, plan.gains, strict=True)
            for planned, gain in islice(both, 0 if behind else at, None):
                if planned.person in people:
                    counted.subtract(instance_keys(planned.person, gain))
        self._instances.update(counted)
        self._unwritten_instances.update(counted)
        self._uncounted.update(dict.fromkeys(people, 0))
        self._unwritten |= people
        self._busy_from //= 2

    def _waiting(self) -> set[bytes]:
        """Return the busy people who have calls whose instances are not counted."""
        known = {person for person, uncounted in self._uncounted.items() if uncounted}
        query = "SELECT person FROM {}.calls_by_person WHERE is_busy AND calls > 0"
        with decoding(self._database, "calls_by_person"):
            for name in self._schemas:
                for row in self._database.execute(query.format(name)).fetchall():
                    expect(row, bytes)
                    if self._is_waiting(row[0]):
                        known.add(row[0])
        return known

    def _is_waiting(self, person: bytes) -> bool:
        if person not in self._uncounted:
            calls, is_busy = self._people.stored_calls(person)
            return bool(is_busy and calls)
        return self._uncounted[person] > 0

    def _keys_of(self, people: set[bytes]) -> set[bytes]:
        """Return the keys that the instances of these people are counted under so far."""
        keys = {key for key in self._instances if key[:8] in people}
        for name in self._schemas:
            query = f"SELECT name FROM {name}.instances WHERE name > ? AND name < ?"
            with decoding(self._database, "instances"):
                for person in people:
                    for row in self._database.execute(query, (person, person + b"\xff" * 10)):
                        expect(row, bytes)
                        keys.add(row[0])
        return keys

    def take_back(self, site: str, persona: str, person: bytes, gain: Gain) -> None:
        """Take back the gain of a call that its destination refused."""
        total = self._gains[site, persona]
        is_busy = self._people.calls(person) is None and self._load_calls(person) is None
        is_counted = is_busy and not self._uncounted[person]
        for key in instance_keys(person, gain):
            count = self._instances_of(key) if is_counted else 0
            if is_counted:
                self._instances[key] = count - 1
                self._unwritten_instances.add(key)
            if count <= MOST_INSTANCES:
                total[1 if is_event_key(key) else 2] -= 1

    def _instances_of(self, key: bytes) -> int:
        count = self._instances.get(key)
        if count is None:
            count = self._instances[key] = self._load(key)
        return count

    def _load(self, key: bytes) -> int:
        query = "SELECT n FROM {}.instances WHERE name = ?"
        with decoding(self._database, "instances"):
            rows = (self._one(name, query, key) for name in self._schemas)
            return next((int(row[0]) for row in rows if row), 0)

    def is_spelled_alike(self, spelling: bytes, person: bytes) -> bool:
        """Tell whether another person's identity has this spelling; if not, remember this person's."""
        return self._people.is_spelled_alike(spelling, person)

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

    def spellings(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the spellings on disk, each with its person."""
        yield from self._pairs("spellings", "spelling, person", bytes, bytes)

    def names(self) -> Iterator[tuple[str, str, bytes]]:
        """Yield the names on disk: the site with its tracker, `event` or `property`, and the digest."""
        yield from self._pairs("names", "site, kind, name", str, str, bytes)

    def _pairs(self, table: str, columns: str, *kinds: type) -> Iterator[Any]:
        with decoding(self._database, table):
            for row in self._database.execute(f"SELECT {columns} FROM {self._schemas[-1]}.{table}"):
                expect(row, *kinds)
                yield row

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

    def sites(self, tracker: str) -> list[str]:
        """Return the names of the sites of a tracker that hold anything, sorted."""
        found: set[str] = set()
        for schema in self._schemas:
            with decoding(self._database, "totals"):
                for row in self._database.execute(f"SELECT DISTINCT site FROM {schema}.totals"):
                    expect(row, str)
                    name, _, site = row[0].partition(" ")  # no tracker has a blank in its name
                    found |= {site} if name == tracker else set()
        return sorted(found)

    def write(self, *, at_end: bool) -> None:
        """Write the new counts, `at_end` those of calls too. The caller's transaction keeps them."""
        self._is_ahead = False
        run = self._database.executemany
        self._people.write_spellings()
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
        unwritten = len(self._unwritten) + len(self._unwritten_instances)
        if unwritten and (at_end or unwritten > _MOST_UNWRITTEN or self._people.is_full):
            self._write_calls()
        if self._people.is_full:
            self._people.leave_to_disk()

    def _write_calls(self) -> None:
        run = self._database.executemany
        calls, uncounted = self._people.calls, self._uncounted
        run(
            "INSERT OR REPLACE INTO main.calls_by_person VALUES (?, ?, ?)",
            [
                (person, uncounted[person] if person in uncounted else calls(person), person in uncounted)
                for person in sorted(self._unwritten)
            ],
        )
        counted = [(key, self._instances[key]) for key in sorted(self._unwritten_instances)]
        run("INSERT OR REPLACE INTO main.instances VALUES (?, ?)", counted)
        self._unwritten.clear()
        self._unwritten_instances.clear()
        # Not `Remembered`: unwritten counts must be kept.
        if len(self._uncounted) + len(self._instances) > _MOST_CACHED:
            self._uncounted.clear()
            self._instances.clear()

    def abandon(self) -> None:
        """Forget the counts of rows that were planned and not committed.

        The counts of committed batches stay, written or not: a run that is interrupted while it plans would
        lose those of a whole file, and a later one would miss instances that are too many.
        """
        if self._is_ahead:
            self.discard()
        else:
            self._discard_names()

    def discard(self) -> None:
        """Forget the counts that were not written."""
        self._is_ahead = False
        self._people.forget_calls()
        self._uncounted.clear()
        self._instances.clear()
        self._unwritten.clear()
        self._unwritten_instances.clear()
        self._gains.clear()
        self._discard_names()

    def _discard_names(self) -> None:
        """Forget spellings and names that were not written. Those are counted while rows are planned."""
        self._people.discard_spellings()
        self._names.clear()
        self._new_names.clear()

    def _one(self, schema: str, query: str, *values: object) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self._database.execute(query.format(schema), values).fetchone()
        return found
