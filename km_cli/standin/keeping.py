"""Taking calls: it decides what is kept of each, and writes that and the journal, a transaction at a time.

Kissmetrics keeps the last 1,000 instances of each event and property of a person (D7). The tables hold the
older ones too, and the reader leaves them out. So a repeat of an old one is recognised as a repeat, and no
count depends on the order of arrival or on a later alias. `kept_instances` counts all of them.
"""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple

from km_cli.standin.aliasing import join
from km_cli.standin.facts import MOST_NAMES, PLACEHOLDERS, RULE_OF_REASON, change_of
from km_cli.standin.reading import MOST_INSTANCES
from km_cli.standin.recording import Recorder
from km_cli.standin.schema import ALIAS, EVENT, IGNORED, SET
from km_cli.standin.wire import Hit, Ignored, all_parameters, fold

_MOST_CACHED: Final = 200_000  # entries a cache, some 30 MB

_ADD_INSTANCES: Final = """INSERT INTO kept_instances VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET n = n + excluded.n"""
_TOO_MANY: Final = f"""SELECT i.person, i.name, i.n, n.kind, n.shown, n.folded FROM kept_instances i
JOIN kept_names n ON n.id = i.name WHERE i.n > {MOST_INSTANCES} AND i.n <= {MOST_INSTANCES} + ?"""

_MOMENT: Final = """
SELECT name, NULL FROM kept_events WHERE second = ?1 AND person = ?2
UNION ALL SELECT name, value FROM kept_properties WHERE second = ?1 AND person = ?2"""

# The last second that has data.
_LATEST: Final = """SELECT max(coalesce((SELECT max(second) FROM kept_events), 0),
coalesce((SELECT max(second) FROM kept_properties), 0))"""

# An alias of another process changes ids, and it may have deleted everything.
_EPOCH: Final = """SELECT (SELECT coalesce(sum(n), 0) FROM kept_counts WHERE kind = 'alias'),
before, missing FROM kept_journal"""

_ADD_COUNTS: Final = "INSERT INTO {0} VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n"


_Place = tuple[int, int, int]
"""A call's id, the second of its arrival, and its product."""


class _Moment(NamedTuple):
    """The data of one person in one second: ids of events, and values by the id of their property."""

    events: set[int]
    properties: dict[int, str]


class _Name(NamedTuple):
    """A name as it was sent: the ids of the name and of this spelling, and whether D4 changes it."""

    id: int
    spelling: int
    is_changed: bool


class Keeper:
    """Keeps the calls of one transaction after the other, with what it knows of names and people."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._recorder = Recorder(db)
        self._epoch: tuple[int, ...] = ()
        self._latest = 0
        self.forget()

    def begin(self) -> None:
        """Begin with a transaction; cached ids are forgotten if another process changed them."""
        epoch = self._db.execute(_EPOCH).fetchone()
        if epoch != self._epoch:
            self.forget()
            self._epoch = epoch
        self._latest = self._one(_LATEST)
        self._counts.clear()
        self._name_counts.clear()
        self._recorder.begin()

    def finish(self) -> None:
        """Write everything that is not written yet."""
        self._flush()
        for table, counts in (("kept_counts", self._counts), ("kept_fact_counts", self._recorder.counts)):
            self._db.executemany(_ADD_COUNTS.format(table), [(*key, n) for key, n in counts.items() if n])

    def forget(self) -> None:
        """Forget everything that a transaction that was undone may have left."""
        self._counts: Counter[tuple[str, str]] = Counter()
        self._products: dict[str, int] = {}
        self._people: dict[tuple[int, str], int] = {}
        self._leaders: dict[int, int] = {}
        self._names: dict[tuple[int, str, str], _Name] = {}
        self._name_counts: dict[tuple[int, str], int] = {}
        self._minutes: set[tuple[int, int]] = set()
        self._moments: dict[tuple[int, int], _Moment] = {}
        self._new_events: list[tuple[int, int, int]] = []
        self._new_values: list[tuple[int, int, int, str]] = []
        self._new_instances: defaultdict[tuple[int, int], list[int]] = defaultdict(list)

    def take(self, hit: Hit | Ignored, request: tuple[str, bytes], arrival: int) -> None:
        """Keep a call as Kissmetrics would. `request` is the call before it was decoded."""
        self._counts["received", ""] += 1
        call = self._recorder.next_call()
        if isinstance(hit, Ignored):
            self._ignore(hit.reason, request, call, arrival)
            return
        place = (call, arrival, self._product(hit.product))
        if hit.dropped or hit.changed:
            self._judge_parts(hit, call)
        if hit.kind == "a":
            self._alias(hit, place)
        else:
            self._record(hit, place)

    def _ignore(self, reason: str, request: tuple[str, bytes], call: int, arrival: int) -> None:
        self._counts["ignored", reason] += 1
        key, parameters = all_parameters(*request)
        product = self._product(key) if key.strip() else None
        self._recorder.call((call, arrival, product, IGNORED, None, None, None), parameters)
        self._recorder.fact(RULE_OF_REASON.get(reason, "W2"), "dropped", True, reason, call)
        self._recorder.counts["ignored", ""] += 1

    def _judge_parts(self, hit: Hit, call: int) -> None:
        """Record the properties that are dropped, and the identities that are changed (by one page, D4)."""
        for reason, name in zip(hit.dropped, hit.dropped_names, strict=True):
            self._counts["ignored", reason] += 1
            detail = f"{name}: {reason}" if name.strip() else reason
            self._recorder.fact(RULE_OF_REASON.get(reason, "W2"), "dropped", True, detail, call)
        for identity in hit.changed:
            self._recorder.fact("D4", "changed", False, identity, call)

    def _record(self, hit: Hit, place: _Place) -> None:
        """Keep an event or a set."""
        call, arrival, product = place
        identity, person = self._person(product, hit.person, call)
        second = arrival if hit.second is None else hit.second
        event = self._name(product, "event", hit.name, call) if hit.kind == "e" else None
        kind, spelling = (EVENT, event.spelling) if event else (SET, None)
        self._recorder.call((*place, kind, identity, spelling, second), hit.properties)
        if not (event or hit.properties):
            return
        moment = self._moment(second, person)
        gain, is_changed = self._set(hit, place, moment, (second, person))
        if event:
            if event.id in moment.events:
                self._merge(hit, call, (second, person, event.id), gain=gain)
            else:
                moment.events.add(event.id)
                self._new_events.append((second, person, event.id))
                self._new_instances[person, event.id].append(call)
            if event.is_changed:
                is_changed = True
                self._recorder.fact("D4", "changed", True, hit.name, call)
        if is_changed:
            self._counts["merged", "D4"] += 1

    def _merge(self, hit: Hit, call: int, event: tuple[int, int, int], *, gain: bool) -> None:
        """Record that an event counts once (D1): the stricter page says so also if the properties differ."""
        rule = "D1" if gain else "repeat"
        self._counts["merged", rule] += 1
        second, person, name = event
        other = self._recorder.event_before(person, second, name, call, hit.properties)
        is_certain = other.is_alike if other else not gain
        self._recorder.fact(rule, "merged", is_certain, hit.name, call, other.id if other else None)

    def _set(self, hit: Hit, place: _Place, moment: _Moment, key: tuple[int, int]) -> tuple[bool, bool]:
        """Set the properties. Return whether that changed anything, and whether D4 changed a name."""
        gain = is_changed = False
        call, _, product = place
        for shown, value in hit.properties:
            name, _, is_odd = self._name(product, "property", shown, call)
            if is_odd:
                is_changed = True
                self._recorder.fact("D4", "changed", True, shown, call)
            if (is_certain := change_of(value)) is not None:
                self._recorder.fact("D5", "changed", is_certain, shown, call)
            before = moment.properties.get(name)
            if before == value:
                continue
            if before is None:
                self._new_instances[key[1], name].append(call)
            else:
                self._replace(shown, before, key, call)
            gain = True
            moment.properties[name] = value
            self._new_values.append((*key, name, value))
        return gain, is_changed

    def _replace(self, shown: str, before: str, key: tuple[int, int], call: int) -> None:
        """Record that one value survives (D2): here the later one."""
        self._counts["merged", "D2"] += 1
        second, person = key
        other = self._recorder.value_before(person, second, fold(shown).casefold(), before, call)
        self._recorder.fact("D2", "merged", True, shown, call, other)

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

    def _person(self, product: int, identity: str, call: int) -> tuple[int, int]:
        """Return the id of an identity, and the id that holds this person's data.

        Identities that differ in case are two people.
        """
        key = (product, identity)
        if known := self._people.get(key):
            return known, self._leaders.get(known, known)
        if len(self._people) >= _MOST_CACHED:
            self._people.clear()
            self._leaders.clear()
        new = self._db.execute("INSERT OR IGNORE INTO kept_people (product, identity) VALUES (?, ?)", key)
        if new.rowcount:
            found = leader = int(new.lastrowid or 0)
            if identity.strip().casefold() in PLACEHOLDERS:
                self._recorder.fact("I1", "merged", True, identity, call)
        else:
            query = "SELECT id, coalesce(leader, id) FROM kept_people WHERE product = ? AND identity = ?"
            found, leader = self._db.execute(query, key).fetchone()
            if leader != found:
                self._leaders[found] = leader
        self._people[key] = found
        return found, leader

    def _name(self, product: int, kind: str, shown: str, call: int) -> _Name:
        """Return the ids of a name, which is shown as first spelled."""
        if known := self._names.get((product, kind, shown)):
            return known
        if len(self._names) >= _MOST_CACHED:
            self._names.clear()
        plain = fold(shown)
        key = (product, kind, plain.casefold())
        insert = "INSERT OR IGNORE INTO kept_names (product, kind, folded, shown) VALUES (?, ?, ?, ?)"
        is_new = self._db.execute(insert, (*key, plain)).rowcount
        query = "SELECT id FROM kept_names WHERE product = ? AND kind = ? AND folded = ?"
        name = self._one(query, key)
        if is_new:
            self._count_name(product, kind, shown, call)
        spelling = self._spelling(name, shown, call, is_other=not is_new)
        found = self._names[product, kind, shown] = _Name(name, spelling, plain != shown)
        return found

    def _count_name(self, product: int, kind: str, shown: str, call: int) -> None:
        """Record that a product has a name more than a limit allows (D8)."""
        key = (product, kind)
        if key in self._name_counts:
            self._name_counts[key] += 1
        else:
            query = "SELECT count(*) FROM kept_names WHERE product = ? AND kind = ?"
            self._name_counts[key] = self._one(query, key)
        if (is_certain := MOST_NAMES.get(self._name_counts[key] - 1)) is not None:
            self._recorder.fact("D8", "dropped", is_certain, shown, call)

    def _spelling(self, name: int, shown: str, call: int, *, is_other: bool) -> int:
        """Return the id of a spelling. A new one of a name that `is_other` spelled merges two names (D4)."""
        insert = "INSERT OR IGNORE INTO kept_spellings (name, text, call) VALUES (?, ?, ?)"
        if self._db.execute(insert, (name, shown, call)).rowcount and is_other:
            first = "SELECT call FROM kept_spellings WHERE name = ? ORDER BY id LIMIT 1"
            (other,) = self._db.execute(first, (name,)).fetchone()
            self._recorder.fact("D4", "merged", True, shown, call, other)
        return self._one("SELECT id FROM kept_spellings WHERE name = ? AND text = ?", (name, shown))

    def _alias(self, hit: Hit, place: _Place) -> None:
        """Make two people one for good (I2)."""
        call, _, product = place
        identity, one = self._person(product, hit.person, call)
        other, two = self._person(product, hit.name, call)
        self._recorder.call((*place, ALIAS, identity, other, None))
        if one == two:
            return
        self._flush()
        self._recorder.fact("I2", "merged", True, hit.name, call)
        joined = join(self._db, self._recorder, one, two, call)
        self._counts["merged", "D1"] += joined.events
        self._counts["merged", "D2"] += joined.values
        self._counts["alias", ""] += 1
        self._epoch = (self._epoch[0] + 1, *self._epoch[1:])
        self._people.clear()
        self._leaders.clear()

    def _flush(self) -> None:
        """Write the new calls, events and values of this transaction."""
        run = self._db.executemany
        run("INSERT INTO kept_events VALUES (?, ?, ?)", self._new_events)
        run("INSERT OR REPLACE INTO kept_properties VALUES (?, ?, ?, ?)", self._new_values)
        run(_ADD_INSTANCES, [(*key, len(calls)) for key, calls in self._new_instances.items()])
        minutes = {(person, second // 60) for second, person in self._moments}
        run("INSERT OR IGNORE INTO kept_minutes VALUES (?, ?)", minutes - self._minutes)
        if len(self._minutes) >= _MOST_CACHED:
            self._minutes.clear()
        self._minutes |= minutes
        self._latest = max(self._latest, *(second for second, _ in self._moments), 0)
        self._look_for_too_many()
        self._recorder.write()
        self._new_events.clear()
        self._new_values.clear()
        self._new_instances.clear()
        self._moments.clear()

    def _look_for_too_many(self) -> None:
        """Record which events and properties of a person passed the number that is kept (D7)."""
        most = max(map(len, self._new_instances.values()), default=0)
        passed: list[tuple[int, int, int, str, str, str]] = []
        for person, name, n, *rest in self._db.execute(_TOO_MANY, (most,)).fetchall():
            calls = self._new_instances.get((person, name), [])
            before = n - len(calls)
            if before <= MOST_INSTANCES < n:
                passed.append((calls[MOST_INSTANCES - before], person, name, *rest))
        for call, person, name, kind, shown, folded in sorted(passed):
            oldest = self._recorder.oldest(person, name, folded, kind, call)
            self._recorder.passed_the_limit(kind, shown, call, oldest)

    def _one(self, query: str, values: Iterable[str | int] = ()) -> int:
        (number,) = self._db.execute(query, tuple(values)).fetchone()
        return int(number)
