"""The outbox: calls whose final bytes are durable, and that are neither acknowledged nor rejected yet.

The calls of one row to one site are one record. It is deleted when the last of its calls is settled. If one
is rejected, or this run gives it up, the record is rewritten without those that are settled. So it holds an
acknowledged call only while a run still sends another one of it; if a crash comes then, that call is sent
once more, byte for byte the same. An alias has a record of its own, because it waits until all else is sent
(I3).
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import product, repeat
from typing import NamedTuple

from km_cli.ledger.damage import damaged, decoding, expect
from km_cli.ledger.outbox_record import (
    CallSource,
    OutboxRecord,
    bit_of,
    number_of,
    pack_record,
    record_of,
    unpack_record,
)
from km_cli.model import NO_SECOND, Outcome, PlannedCall, Receipt, Row, RowPlan
from km_cli.model.making import maker

_CHUNK = 1000
"""How many records are read at a time."""

_CALLS, _ALIASES = "outbox", "outbox_aliases"
"""The two tables of records, which share their numbers."""

INSERT = "INSERT INTO main.{} VALUES (?, ?, ?, ?, ?)"
"""The statement that inserts a packed record into a table."""


_planned_call = maker(PlannedCall)


class _New(NamedTuple):
    """A record that is being made."""

    record: int
    row: Row
    calls: list[PlannedCall]


class Outbox:
    """The outbox of a ledger. The numbers of records and calls grow, and the records of a row are neighbours.

    A call that has its receipt is never returned again, even if its record still holds it.
    """

    def __init__(self, database: sqlite3.Connection, schemas: tuple[str, ...]) -> None:
        self._database = database
        self._schemas = schemas
        last = [
            database.execute(f"SELECT coalesce(max(record), 0) FROM main.{table}").fetchone()[0]
            for table in (_CALLS, _ALIASES)
        ]
        expect(last, int, int)
        self._next: int = max(last) + 1
        self._left: dict[int, int] = {}
        """The calls that are not settled, as bits, by record; the records that this run has to do with."""
        self._partly_settled: set[int] = set()
        self._given_up: set[int] = set()
        """The records with a call that this run gave up: its receipt says that it is pending."""

    def post(self, tracker: str, run: int, reading: int, plans: Iterable[RowPlan]) -> list[PlannedCall]:
        """Put the calls of rows into the outbox, and return them with their numbers.

        The caller's transaction makes them durable.
        """
        posted: list[PlannedCall] = []
        records: list[_New] = []
        aliases: list[_New] = []
        last: Row | None = None
        first, by_site = self._next, dict[str, _New]()
        for row, planned in _with_rows(plans):
            if row is not last:
                last, first, by_site = row, self._next, {}
            is_alias = planned.second == NO_SECOND
            record = None if is_alias else by_site.get(planned.site)
            if record is None:
                record = _New(self._next, row, [])
                self._next += 1
                (aliases if is_alias else records).append(record)
                if not is_alias:
                    by_site[planned.site] = record
            number = number_of(record.record, len(record.calls))
            planned_call = _planned_call((*planned[:8], number, first))
            record.calls.append(planned_call)
            posted.append(planned_call)
        self._insert(_CALLS, tracker, run, reading, records)
        self._insert(_ALIASES, tracker, run, reading, aliases)
        return posted

    def _insert(self, table: str, tracker: str, run: int, reading: int, records: Iterable[_New]) -> None:
        self._database.executemany(
            INSERT.format(table),
            [pack_record(tracker, run, reading, row, calls) for _, row, calls in records],
        )
        for record, _, calls in records:
            self._left[record] = (1 << len(calls)) - 1

    def settle(self, receipts: Iterable[Receipt]) -> None:
        """Take out acknowledged and rejected calls; the caller's transaction makes it durable."""
        done: dict[str, set[int]] = {_CALLS: set(), _ALIASES: set()}
        rejected: set[int] = set()
        for planned_call, outcome, _ in receipts:
            record = record_of(planned_call.number)
            if outcome is Outcome.PENDING:
                self._given_up.add(record)
                continue
            left = self._left[record] = self._left[record] & ~bit_of(planned_call.number)
            if not left:
                del self._left[record]
                done[_ALIASES if planned_call.is_alias else _CALLS].add(record)
            else:
                self._partly_settled.add(record)
                if outcome is Outcome.REJECTED:
                    rejected.add(record)
        for table, records in done.items():
            self._database.executemany(
                f"DELETE FROM main.{table} WHERE record = ?", [(record,) for record in sorted(records)]
            )
            self._partly_settled -= records
            self._given_up -= records
        self._rewrite(self._partly_settled & (rejected | self._given_up))

    def _rewrite(self, records: Iterable[int]) -> None:
        """Write records of several calls anew, with those that have no receipt."""
        smaller: list[tuple[int, bytes, int]] = []
        for number in sorted(records):
            record = self._one(_CALLS, number)
            run, reading, row = record.source
            *_, pending, body = pack_record(record.tracker, run, reading, row, self._left_in(record))
            smaller.append((pending, body, number))
        self._database.executemany("UPDATE main.outbox SET pending = ?, body = ? WHERE record = ?", smaller)
        self._partly_settled.difference_update(number for *_, number in smaller)

    def _left_in(self, record: OutboxRecord) -> list[PlannedCall]:
        """Return the calls of a record that have no receipt."""
        left = self._left.get(record.record)
        return record.calls if left is None else [call for call in record.calls if left & bit_of(call.number)]

    def pending(self, tracker: str, sites: Sequence[str]) -> Iterator[list[PlannedCall]]:
        """Yield the calls that earlier runs left, without aliases, oldest first."""
        yield from self._handed_out(_CALLS, tracker, sites)

    def aliases(self, tracker: str, sites: Sequence[str]) -> Iterator[list[PlannedCall]]:
        """Yield the pending aliases of these sites, oldest first."""
        yield from self._handed_out(_ALIASES, tracker, sites)

    def _handed_out(self, table: str, tracker: str, sites: Sequence[str]) -> Iterator[list[PlannedCall]]:
        for records in self._chunks(table):
            wanted = [record for record in records if record.tracker == tracker and record.site in sites]
            if wanted:
                yield [planned_call for record in wanted for planned_call in self._hand_out(record)]

    def _hand_out(self, record: OutboxRecord) -> list[PlannedCall]:
        """Return the calls of a record that have no receipt, and expect their receipts."""
        planned_calls = self._left_in(record)
        self._left[record.record] = sum(bit_of(planned_call.number) for planned_call in planned_calls)
        return planned_calls

    def has_aliases(self) -> bool:
        """Tell whether any alias is pending."""
        return self._database.execute("SELECT 1 FROM main.outbox_aliases").fetchone() is not None

    def aliases_beside(self, planned_call: PlannedCall) -> list[PlannedCall]:
        """Return the pending aliases of a call's persona in the same row."""
        found: list[PlannedCall] = []
        for record in self._select(_ALIASES, "record >= ? ORDER BY record", planned_call.row):
            if record.row != planned_call.row:
                break
            found += self._hand_out(record)
        return [alias for alias in found if alias.persona == planned_call.persona]

    def note_waiting(self) -> None:
        """Note the people who have a pending call other than an alias, for `holds`."""
        with decoding(self._database, ""):
            self._database.execute("DROP TABLE IF EXISTS temp.waiting")
            self._database.execute("CREATE TEMP TABLE waiting (person BLOB PRIMARY KEY) WITHOUT ROWID")
        for records in self._chunks(_CALLS):
            left = [planned_call for record in records for planned_call in self._left_in(record)]
            persons = [(planned_call.person,) for planned_call in left]
            with decoding(self._database, ""):
                self._database.executemany("INSERT OR IGNORE INTO temp.waiting VALUES (?)", persons)

    def holds(self, person: bytes) -> bool:
        """Tell whether a person had a pending call other than an alias when `note_waiting` was called."""
        query = "SELECT 1 FROM temp.waiting WHERE person = ?"
        return self._database.execute(query, (person,)).fetchone() is not None

    def count(self, tracker: str) -> dict[str, int]:
        """Return how many calls are pending, by site. While calls are sent, these are too many."""
        found: Counter[str] = Counter()
        for schema, table in product(self._schemas, (_CALLS, _ALIASES)):
            query = f"SELECT site, sum(pending) FROM {schema}.{table} WHERE tracker = ? GROUP BY site"
            with decoding(self._database, table):
                for row in self._database.execute(query, (tracker,)):
                    expect(row, str, int)
                    found[row[0]] += row[1]
        return dict(found)

    def pending_calls(self) -> set[tuple[bytes, int, int, bytes, bytes]]:
        """Return person, second, taken, deed and total of each pending call that is no alias, for a look."""
        found: set[tuple[bytes, int, int, bytes, bytes]] = set()
        for schema in self._schemas:
            with decoding(self._database, _CALLS):
                for columns in self._database.execute(f"SELECT * FROM {schema}.{_CALLS}"):
                    for one in unpack_record(columns).calls:
                        found.add((one.person, one.second, one.taken, one.deed, one.total))
        return found

    def count_by_reading(self) -> dict[tuple[str, str, int], int]:
        """Return how many calls are pending, by tracker, site and the number of their reading."""
        found: Counter[tuple[str, str, int]] = Counter()
        for schema, table in product(self._schemas, (_CALLS, _ALIASES)):
            with decoding(self._database, table):
                for columns in self._database.execute(f"SELECT * FROM {schema}.{table}"):
                    record = unpack_record(columns)
                    found[record.tracker, record.site, record.source.reading] += len(record.calls)
        return dict(found)

    def all_pending(self) -> Iterator[tuple[str, PlannedCall]]:
        """Yield the tracker and the call of all that is pending, aliases too. Nothing expects receipts."""
        for schema, table in product(self._schemas, (_CALLS, _ALIASES)):
            with decoding(self._database, table):
                for columns in self._database.execute(f"SELECT * FROM {schema}.{table}"):
                    record = unpack_record(columns)
                    yield from ((record.tracker, planned_call) for planned_call in record.calls)

    def source_of(self, planned_call: PlannedCall) -> CallSource:
        """Return where a call comes from, for a reject."""
        table = _ALIASES if planned_call.is_alias else _CALLS
        return self._one(table, record_of(planned_call.number)).source

    def _one(self, table: str, number: int) -> OutboxRecord:
        record = next(self._select(table, "record = ?", number), None)
        if record is None:
            raise damaged(self._database, table, f"record {number} is gone")
        return record

    def _chunks(self, table: str) -> Iterator[list[OutboxRecord]]:
        """Yield the records that are there now, oldest first."""
        last, end = 0, self._next
        where = f"record > ? AND record < ? ORDER BY record LIMIT {_CHUNK}"
        while records := list(self._select(table, where, last, end)):
            yield records
            last = records[-1].record

    def _select(self, table: str, where: str, *values: object) -> Iterator[OutboxRecord]:
        query = f"SELECT * FROM main.{table} WHERE {where}"
        with decoding(self._database, table):
            for columns in self._database.execute(query, values):
                record = unpack_record(columns)
                if any(planned_call.is_alias is not (table == _ALIASES) for planned_call in record.calls):
                    raise ValueError(f"the calls of record {record.record}")
                yield record


def _with_rows(plans: Iterable[RowPlan]) -> Iterator[tuple[Row, PlannedCall]]:
    """Yield the planned calls, each with the row that it comes from."""
    for plan in plans:
        yield from zip(plan.rows or repeat(plan.row), plan.planned, strict=False)
