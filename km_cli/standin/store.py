"""The store, in SQLite: it keeps the data that Kissmetrics would keep.

Names and people are small integers. The keys of events and properties begin with the second, so that a log in
order of time is appended at the end. `kept_minutes` lists the minutes in which a person has data, so that an
alias reads only those.

Kissmetrics keeps the last 1,000 instances of each event and property of a person (D7). The tables hold the
older ones too, and the reader leaves them out. So a repeat of an old one is recognised as a repeat, and no
count depends on the order of arrival or on a later alias. `kept_instances` counts all of them.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from km_cli.standin.reading import Reader
from km_cli.standin.wire import Hit, Ignored, decode, fold

_MOST_CACHED: Final = 200_000  # entries a cache, some 30 MB

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS kept_products (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS kept_people (
    id INTEGER PRIMARY KEY, product INTEGER NOT NULL, identity TEXT NOT NULL,
    leader INTEGER, -- the id that holds the data of all its aliases; null if it is this one
    UNIQUE (product, identity));
CREATE INDEX IF NOT EXISTS kept_people_leader ON kept_people (leader) WHERE leader IS NOT NULL;
CREATE TABLE IF NOT EXISTS kept_names (
    id INTEGER PRIMARY KEY, product INTEGER NOT NULL, kind TEXT NOT NULL, folded TEXT NOT NULL,
    shown TEXT NOT NULL, UNIQUE (product, kind, folded));
CREATE TABLE IF NOT EXISTS kept_events (
    second INTEGER, person INTEGER, name INTEGER, PRIMARY KEY (second, person, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept_properties (
    second INTEGER, person INTEGER, name INTEGER, value TEXT NOT NULL,
    PRIMARY KEY (second, person, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept_instances (
    person INTEGER, name INTEGER, n INTEGER NOT NULL, PRIMARY KEY (person, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept_minutes (
    person INTEGER, minute INTEGER, PRIMARY KEY (person, minute)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept_counts (
    kind TEXT, what TEXT, n INTEGER NOT NULL, PRIMARY KEY (kind, what)) WITHOUT ROWID;
"""

# A file of an earlier version has no counts yet.
_COUNT_INSTANCES: Final = """INSERT INTO kept_instances
SELECT person, name, count(*) FROM kept_events GROUP BY person, name
UNION ALL SELECT person, name, count(*) FROM kept_properties GROUP BY person, name"""

_ADD_INSTANCES: Final = """INSERT INTO kept_instances VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET n = n + excluded.n"""

_MOMENT: Final = """
SELECT name, NULL FROM kept_events WHERE second = ?1 AND person = ?2
UNION ALL SELECT name, value FROM kept_properties WHERE second = ?1 AND person = ?2"""

# The last second that has data.
_LATEST: Final = """SELECT max(coalesce((SELECT max(second) FROM kept_events), 0),
coalesce((SELECT max(second) FROM kept_properties), 0))"""

# A person's rows of a table, found by their minutes.
_ROWS: Final = """FROM kept_minutes m CROSS JOIN {0} r
ON r.second BETWEEN m.minute * 60 AND m.minute * 60 + 59 AND r.person = m.person"""
_EVENTS, _VALUES = _ROWS.format("kept_events"), _ROWS.format("kept_properties")

# An alias moves the data of one person (the loser) to the other (the leader). Where both have the same event
# or property in a second, the leader's stays (D1, D2).
_LOST_VALUES: Final = f"""SELECT count(*) {_VALUES} JOIN kept_properties k
ON k.second = r.second AND k.person = :leader AND k.name = r.name
WHERE m.person = :loser AND k.value <> r.value"""
_BOTH_HAVE: Final = """SELECT r.name, count(*) {0} JOIN {1} k
ON k.second = r.second AND k.person = :leader AND k.name = r.name
WHERE m.person = :loser GROUP BY r.name"""
_COPY_EVENTS: Final = f"""INSERT OR IGNORE INTO kept_events
SELECT r.second, :leader, r.name {_EVENTS} WHERE m.person = :loser"""
_DROP_EVENTS: Final = f"""DELETE FROM kept_events WHERE (second, person, name) IN
(SELECT r.second, r.person, r.name {_EVENTS} WHERE m.person = :loser)"""
_MOVE_THE_REST: Final = (
    f"""INSERT OR IGNORE INTO kept_properties
    SELECT r.second, :leader, r.name, r.value {_VALUES} WHERE m.person = :loser""",
    f"""DELETE FROM kept_properties WHERE (second, person, name) IN
    (SELECT r.second, r.person, r.name {_VALUES} WHERE m.person = :loser)""",
    """INSERT INTO kept_instances SELECT :leader, name, n FROM kept_instances WHERE person = :loser
    ON CONFLICT DO UPDATE SET n = n + excluded.n""",
    "DELETE FROM kept_instances WHERE person = :loser",
    "INSERT OR IGNORE INTO kept_minutes SELECT :leader, minute FROM kept_minutes WHERE person = :loser",
    "DELETE FROM kept_minutes WHERE person = :loser",
    "UPDATE kept_people SET leader = :leader WHERE leader = :loser OR id = :loser",
)


class _Moment(NamedTuple):
    """The data of one person in one second: ids of events, and values by the id of their property."""

    events: set[int]
    properties: dict[int, str]


class Store(Reader):
    """The embedded store. Threads may share one, and other processes may open the same file.

    Commits are not synced by themselves: the ledger is in the same file, and its next synced commit covers
    them.
    """

    def __init__(self, path: str | Path, now: Callable[[], float] = time.time) -> None:
        """Open or create the file; it cannot be in memory. `now` returns Unix time in seconds."""
        super().__init__(path)
        self._now = now
        self._lock = threading.Lock()
        self._db = self._connect()
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("PRAGMA cache_size = -65536")
            self._db.execute("PRAGMA wal_autocheckpoint = 8000")
            self._make_tables()
        except BaseException:
            self._db.close()
            raise
        self._aliases = self._latest = 0
        self._forget()

    def close(self) -> None:
        """Close the file. It may be called again."""
        self._db.close()

    def site_of(self, key: str) -> str:
        """Return the name of the site of an API key: "site-1", "site-2", … unless `name_site` gave another.

        The key itself is stored nowhere, only a salted fingerprint.
        """
        raise NotImplementedError

    def name_site(self, name: str, key: str) -> None:
        """Give the site of an API key its name. Raises ValueError if the name or the key has another one."""
        raise NotImplementedError

    def delete_all(self) -> None:
        """Delete everything but the names of sites. The ids of calls go on where they were."""
        raise NotImplementedError

    def _make_tables(self) -> None:
        """Make the missing tables, and count the data of a file of an earlier version."""
        if not self._one("SELECT count(*) FROM sqlite_master WHERE name = 'kept_instances'"):
            self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA}")
            if not self._one("SELECT EXISTS (SELECT 1 FROM kept_instances)"):  # or another process counted
                self._db.execute(_COUNT_INSTANCES)
            self._db.execute("COMMIT")

    def receive(self, requests: Iterable[tuple[str, bytes]]) -> None:
        """Take calls in one transaction, all or none. A call is its path with the query, and its form body.

        The caller must not have a transaction open that writes to the same file.
        """
        hits = [decode(path, body) for path, body in requests]
        with self._lock, self._transaction():
            arrival = int(self._now())
            for hit in hits:
                self._take(hit, arrival)
            self._flush()
            add = "INSERT INTO kept_counts VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n"
            self._db.executemany(add, [(*key, n) for key, n in self._counts.items() if n])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._heed_other_processes()
            self._counts.clear()
            yield
            self._db.execute("COMMIT")
        except BaseException:
            self._forget()  # some of the ids in the caches are undone
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _heed_other_processes(self) -> None:
        """Forget cached ids if another process made an alias, which alone can change an id."""
        made = self._one("SELECT coalesce(sum(n), 0) FROM kept_counts WHERE kind = 'alias'")
        if made != self._aliases:
            self._forget()
            self._aliases = made
        self._latest = self._one(_LATEST)

    def _forget(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._products: dict[str, int] = {}
        self._people: dict[tuple[int, str], int] = {}
        self._names: dict[tuple[int, str, str], tuple[int, bool]] = {}
        self._minutes: set[tuple[int, int]] = set()
        self._moments: dict[tuple[int, int], _Moment] = {}
        self._new_events: list[tuple[int, int, int]] = []
        self._new_values: list[tuple[int, int, int, str]] = []
        self._new_instances: Counter[tuple[int, int]] = Counter()

    def _take(self, hit: Hit | Ignored, arrival: int) -> None:
        self._counts["received", ""] += 1
        if isinstance(hit, Ignored):
            self._counts["ignored", hit.reason] += 1
            return
        for reason in hit.dropped:
            self._counts["ignored", reason] += 1
        product = self._product(hit.product)
        person = self._person(product, hit.person)
        if hit.kind == "a":
            self._alias(person, self._person(product, hit.name))
        else:
            self._record(hit, product, person, arrival if hit.second is None else hit.second)

    def _record(self, hit: Hit, product: int, person: int, second: int) -> None:
        if hit.kind == "s" and not hit.properties:
            return
        moment = self._moment(second, person)
        gain, folded = self._set(hit, product, moment, (second, person))
        if hit.kind == "e":
            name, changed = self._name(product, "event", hit.name)
            folded = folded or changed
            if name in moment.events:  # D1, the stricter reading: the properties need not match
                self._counts["merged", "D1" if gain else "repeat"] += 1
            else:
                moment.events.add(name)
                self._new_events.append((second, person, name))
                self._new_instances[person, name] += 1
        if folded:
            self._counts["merged", "D4"] += 1

    def _set(self, hit: Hit, product: int, moment: _Moment, key: tuple[int, int]) -> tuple[bool, bool]:
        """Set the properties. Return whether that changed anything, and whether D4 changed a name."""
        gain = folded = False
        for shown, value in hit.properties:
            name, changed = self._name(product, "property", shown)
            folded = folded or changed
            before = moment.properties.get(name)
            if before == value:
                continue
            if before is None:
                self._new_instances[key[1], name] += 1
            else:
                self._counts["merged", "D2"] += 1  # one value survives: here the later one
            gain = True
            moment.properties[name] = value
            self._new_values.append((*key, name, value))
        return gain, folded

    def _moment(self, second: int, person: int) -> _Moment:
        if known := self._moments.get((second, person)):
            return known
        moment = self._moments[second, person] = _Moment(set(), {})
        if second > self._latest:  # a log in order of time needs no query
            return moment
        for name, value in self._db.execute(_MOMENT, (second, person)):
            if value is None:
                moment.events.add(name)
            else:
                moment.properties[name] = value
        return moment

    def _product(self, key: str) -> int:
        if known := self._products.get(key):
            return known
        self._db.execute("INSERT OR IGNORE INTO kept_products (key) VALUES (?)", (key,))
        self._products[key] = self._one("SELECT id FROM kept_products WHERE key = ?", (key,))
        return self._products[key]

    def _person(self, product: int, identity: str) -> int:
        """Return the id that holds this person's data. Identities that differ in case are two people."""
        key = (product, identity)
        if known := self._people.get(key):
            return known
        if len(self._people) >= _MOST_CACHED:
            self._people.clear()
        new = self._db.execute("INSERT OR IGNORE INTO kept_people (product, identity) VALUES (?, ?)", key)
        query = "SELECT coalesce(leader, id) FROM kept_people WHERE product = ? AND identity = ?"
        found = self._people[key] = (new.lastrowid if new.rowcount else 0) or self._one(query, key)
        return found

    def _name(self, product: int, kind: str, shown: str) -> tuple[int, bool]:
        """Return the id of a name, shown as first spelled, and whether it has a comma or colon (D4)."""
        if known := self._names.get((product, kind, shown)):
            return known
        if len(self._names) >= _MOST_CACHED:
            self._names.clear()
        plain = fold(shown)
        key = (product, kind, plain.casefold())
        insert = "INSERT OR IGNORE INTO kept_names (product, kind, folded, shown) VALUES (?, ?, ?, ?)"
        self._db.execute(insert, (*key, plain))
        query = "SELECT id FROM kept_names WHERE product = ? AND kind = ? AND folded = ?"
        found = self._names[product, kind, shown] = (self._one(query, key), plain != shown)
        return found

    def _alias(self, one: int, other: int) -> None:
        """Make two people one for good (I2)."""
        if one == other:
            return
        self._flush()
        count = "SELECT count(*) FROM kept_minutes WHERE person = ?"
        # The one with less data is moved.
        loser, leader = sorted((one, other), key=lambda person: self._one(count, (person,)))
        who = {"loser": loser, "leader": leader}
        self._counts["merged", "D2"] += self._one(_LOST_VALUES, who)
        both = [
            (leader, name, -count)
            for rows, table in ((_EVENTS, "kept_events"), (_VALUES, "kept_properties"))
            for name, count in self._db.execute(_BOTH_HAVE.format(rows, table), who)
        ]
        copied = self._db.execute(_COPY_EVENTS, who).rowcount
        self._counts["merged", "D1"] += self._db.execute(_DROP_EVENTS, who).rowcount - copied
        for statement in _MOVE_THE_REST:
            self._db.execute(statement, who)
        self._db.executemany(_ADD_INSTANCES, both)
        self._counts["alias", ""] += 1
        self._aliases += 1
        self._people.clear()

    def _flush(self) -> None:
        """Write the new events and values of this transaction."""
        run = self._db.executemany
        run("INSERT INTO kept_events VALUES (?, ?, ?)", self._new_events)
        run("INSERT OR REPLACE INTO kept_properties VALUES (?, ?, ?, ?)", self._new_values)
        run(_ADD_INSTANCES, [(*key, count) for key, count in self._new_instances.items()])
        minutes = {(person, second // 60) for second, person in self._moments}
        run("INSERT OR IGNORE INTO kept_minutes VALUES (?, ?)", minutes - self._minutes)
        if len(self._minutes) >= _MOST_CACHED:
            self._minutes.clear()
        self._minutes |= minutes
        self._latest = max(self._latest, *(second for second, _ in self._moments), 0)
        self._new_events.clear()
        self._new_values.clear()
        self._new_instances.clear()
        self._moments.clear()

    def _one(self, query: str, values: tuple[str | int, ...] | dict[str, int] = ()) -> int:
        (number,) = self._db.execute(query, values).fetchone()
        return int(number)
