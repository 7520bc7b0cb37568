"""Forgets some readings and the calls that only they claim, within the transaction of the caller.

A call that another reading claims, too, stays known. A reading that is forgotten stays as a stub: rows of
calls that stay refer to it, for their columns, and rejects of it have its token. Its aliases cannot be undone
(I2), so they stay known and stay counted. A call that it has sent and another reading claims is counted as
one of the other reading from then on.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from itertools import islice
from typing import NamedTuple

from km_cli.ledger.counts import CountTable
from km_cli.ledger.horizons import HorizonTable
from km_cli.ledger.pruning import Pruned
from km_cli.ledger.queries import forget_queries
from km_cli.ledger.readings import ReadingTable
from km_cli.ledger.runs import NO_RUN, RunTable
from km_cli.ledger.sent import Sent, SentTable
from km_cli.ledger.slots import Key, SlotTable
from km_cli.model import Claim, KnownCall, PlannedCall, Slot

_CHUNK = 1000
_DAY = 86_400
_TEMPORARY = (
    ("touched", "second INTEGER, person BLOB, PRIMARY KEY (second, person)"),
    ("gone", "person BLOB PRIMARY KEY, site TEXT, persona TEXT"),
)
_WITH_CALLS = (
    "SELECT person FROM main.slots",
    "SELECT person FROM main.owners WHERE leader <> x''",
    "SELECT leader FROM main.owners WHERE leader <> x''",
)
"""The people who stay: those who have calls, and those of aliases."""

Pending = Collection[tuple[bytes, int, int, bytes, bytes]]
"""The pending calls: person, second, taken, deed and total of each."""

_Key = tuple[str, str, str, bytes, int]
"""Tracker, site, persona, the digest of an event, and a day."""

Kind = tuple[int, str, str, str, bytes, int]
"""A reading, and the rest of the key."""


class Claimed(NamedTuple):
    """The calls that readings claim: theirs alone, those that others claim too, and the pending ones."""

    alone: int = 0
    shared: int = 0
    pending: int = 0


class Tables(NamedTuple):
    """The tables of a ledger that forgetting changes."""

    database: sqlite3.Connection
    slots: SlotTable
    counts: CountTable
    readings: ReadingTable
    sent: SentTable
    runs: RunTable
    horizon: HorizonTable


def count_claimed(slots: SlotTable, pending: Pending, numbers: Collection[int]) -> Claimed:
    """Return how many calls these readings claim. It reads all calls of the ledger."""
    alone = shared = waiting = 0
    for known_call in slots.all_known():
        others = len(_other_claims(known_call, numbers))
        if not others:
            alone += 1
            waiting += known_call[:5] in pending
        elif others < len(known_call.claims):
            shared += 1
    return Claimed(alone, shared, waiting)


def _other_claims(known_call: KnownCall, numbers: Collection[int]) -> tuple[Claim, ...]:
    return tuple(claim for claim in known_call.claims if claim.reading not in numbers)


class Forgetting:
    """Forgets readings by their numbers. `digest_event` returns the digest that slots have of an event."""

    def __init__(
        self, tables: Tables, numbers: Collection[int], digest_event: Callable[[str], bytes]
    ) -> None:
        self._tables = tables
        self._database = tables.database
        self._numbers = numbers
        self._digest_event = digest_event
        self._calls_of: defaultdict[int, Counter[str]] = defaultdict(Counter)
        """By reading, the change of its calls, by tracker, site and persona."""
        self._kinds: Counter[Kind] = Counter()
        self._places: dict[tuple[int, str], tuple[str, str] | None] = {}

    def forget(self) -> Pruned:
        """Forget the readings; return how many calls, ids and values are gone."""
        for name, columns in _TEMPORARY:
            self._database.execute(f"CREATE TEMP TABLE IF NOT EXISTS {name} ({columns}) WITHOUT ROWID")
            self._database.execute(f"DELETE FROM temp.{name}")
        values = self._rows_of("property_values")
        self._note_touched()
        calls = ids = 0
        after: Key = (b"", -(1 << 62))
        while places := self._touched_after(after):
            gone = [known_call for place in places for known_call in self._take_from(*place)]
            self._tables.slots.write()
            self._tables.counts.write(at_end=False)
            calls, ids = calls + len(gone), ids + self._forget_ids(gone)
            after = places[-1]
        self._tables.counts.write(at_end=True)
        self._database.execute("DELETE FROM main.slots WHERE length(calls) = 4")  # A check sum of nothing.
        self._take_back_sent()
        self._forget_people()
        self._forget_readings()
        return Pruned(calls, ids, values - self._rows_of("property_values"))

    def _rows_of(self, table: str) -> int:
        return int(self._database.execute(f"SELECT count(*) FROM main.{table}").fetchone()[0])

    def _note_touched(self) -> None:
        """Note the slots to change in a temporary table: a query must not read what is being written."""
        places = (
            known_call[:2] for known_call in self._tables.slots.all_known() if self._is_claimed(known_call)
        )
        while chunk := list(islice(places, _CHUNK)):
            self._database.executemany(
                "INSERT OR IGNORE INTO temp.touched VALUES (?, ?)",
                [(second, person) for person, second in chunk],
            )

    def _is_claimed(self, known_call: KnownCall) -> bool:
        return any(claim.reading in self._numbers for claim in known_call.claims)

    def _touched_after(self, place: Key) -> list[Key]:
        person, second = place
        return self._database.execute(
            "SELECT person, second FROM temp.touched WHERE (second, person) > (?, ?) "
            "ORDER BY second, person LIMIT ?",
            (second, person, _CHUNK),
        ).fetchall()

    def _take_from(self, person: bytes, second: int) -> Iterator[KnownCall]:
        """Take the claims of the readings from a slot; yield the calls that are forgotten with them."""
        slots = self._tables.slots
        slot = slots.slot(person, second)
        gone, kept = [], []
        for known_call in slot.known:
            others = _other_claims(known_call, self._numbers)
            kept.append(known_call._replace(claims=others) if others else known_call)
            if not others:
                gone.append(known_call)
            elif others != known_call.claims:
                self._hand_over(known_call, others[0].reading)
        slots.put(person, second, Slot(tuple(kept), slot.moved))
        for known_call in gone:
            self._take_back(known_call)
            yield known_call

    def _take_back(self, known_call: KnownCall) -> None:
        """Forget a call as if it were refused, and note what is to be counted no more."""
        person, second, taken, deed, total, event, *_ = known_call
        number, persona = self._sender(known_call), self._persona(person)
        place = self._place(number, persona)
        gain = self._tables.slots.forget(PlannedCall("", persona, b"", person, second, taken, deed, total))
        if place is None:  # A ledger of format 2 does not know it.
            return
        tracker, site = place
        if gain:
            self._tables.counts.take_back(f"{tracker} {site}", persona, person, gain)
        self._calls_of[number][f"{tracker} {site} {persona}"] -= 1
        self._kinds[number, tracker, site, persona, event, taken // _DAY] += 1
        self._database.execute(
            "INSERT OR IGNORE INTO temp.gone VALUES (?, ?, ?)", (person, f"{tracker} {site}", persona)
        )

    def _hand_over(self, known_call: KnownCall, heir: int) -> None:
        """Count a call that stays for another reading that claims it, if a forgotten one has sent it."""
        number, persona = self._sender(known_call), self._persona(known_call.person)
        place = self._place(number, persona)
        if place is not None and number in self._numbers:
            where = f"{place[0]} {place[1]} {persona}"
            self._calls_of[number][where] -= 1
            self._calls_of[heir][where] += 1

    def _persona(self, person: bytes) -> str:
        owner = self._tables.slots.owner(person)
        return owner.persona if owner else ""

    def _sender(self, known_call: KnownCall) -> int:
        """Return the reading that counts a call: the one that has sent it, as long as it has a claim."""
        row = self._tables.slots.row(known_call.row) if known_call.row else None
        is_there = row is not None and known_call.claim_of(row.reading) is not None
        return row.reading if row is not None and is_there else known_call.claims[0].reading

    def _place(self, number: int, persona: str) -> tuple[str, str] | None:
        """Return the tracker and the site that the calls of a persona went to from a reading."""
        key = number, persona
        if key not in self._places:
            self._places[key] = None
            reading = self._tables.readings.by_number(number)
            for place, _ in reading.calls if reading else ():
                tracker, _, rest = place.partition(" ")
                site, _, name = rest.partition(" ")
                if name == persona:
                    self._places[key] = tracker, site
        return self._places[key]

    def _forget_ids(self, gone: list[KnownCall]) -> int:
        """Forget the log's own ids of calls. An id that names another call by now stays."""
        found = self._database.executemany(
            "DELETE FROM main.ids WHERE id = ? AND person = ? AND second = ?",
            [(known_call.id, *known_call[:2]) for known_call in gone if known_call.id],
        )
        return max(found.rowcount, 0)

    def _take_back_sent(self) -> None:
        """Count the calls no more as sent by a run, nor by their reading.

        The ledger does not know the run of a call. It was the first run of its reading, or a later one.
        """
        wanted = {kind[1:] for kind in self._kinds}
        runs: defaultdict[_Key, list[tuple[int, Sent]]] = defaultdict(list)
        for tracker, sent, run in self._tables.sent.by_run():
            key = (tracker, sent.site, sent.persona, self._digest_event(sent.event), sent.day)
            if key in wanted:
                runs[key].append((run, sent))
        for kind, left in self._kinds.items():
            first = self._first_run(kind[0])
            for run, sent in sorted(runs[kind[1:]], key=lambda one: (one[0] < first, one[0])):
                left -= self._tables.sent.take_from(run, kind[1], sent, left)
        for number, counted in self._calls_of.items():
            self._tables.readings.count_calls(number, counted)

    def _first_run(self, number: int) -> int:
        reading = self._tables.readings.by_number(number)
        return self._tables.runs.last_before(reading.begun + 1) if reading else NO_RUN

    def _forget_people(self) -> None:
        """Forget the people who have no calls any more. In a ledger that was pruned this cannot be told."""
        if self._tables.horizon.is_set:
            return
        run = self._database.execute
        for query in _WITH_CALLS:
            run(f"DELETE FROM temp.gone WHERE person IN ({query})")
        run("DELETE FROM temp.gone WHERE person NOT IN (SELECT person FROM main.owners)")
        run(
            "UPDATE main.totals SET people = people - (SELECT count(*) FROM temp.gone "
            "WHERE gone.site = totals.site AND gone.persona = totals.persona)"
        )
        for table in ("owners", "calls_by_person", "spellings"):
            run(f"DELETE FROM main.{table} WHERE person IN (SELECT person FROM temp.gone)")
        run("DELETE FROM main.instances WHERE substr(name, 1, 8) IN (SELECT person FROM temp.gone)")

    def _forget_readings(self) -> None:
        """Forget how far the readings got, and all files: the ledger cannot tell which are of these logs."""
        for number in self._numbers:
            self._tables.readings.forget(number)
            for table in ("changed_calls", "changed_rows"):
                self._database.execute(f"DELETE FROM main.{table} WHERE reading = ?", (number,))
        self._database.execute("DELETE FROM main.files")
        forget_queries(self._database, self._numbers)
