"""Reads a whole ledger, and checks what the code relies on.

Every value is decoded, which finds a flipped bit by the check sums. Then the tables are compared with each
other: a pending call stands in its slot, a call that was moved leaves a mark in the second that it took, and
each call belongs to a reading. Nothing is written, and no lock is taken. One
transaction sees one state, so a run may be at work.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from km_cli.errors import LedgerError
from km_cli.ledger.bulk_parts import part_from_row
from km_cli.ledger.checks import check_file, check_header
from km_cli.ledger.damage import SPOILED, expect, expect_size
from km_cli.ledger.migrations import back_up
from km_cli.ledger.opening import leave_no_trace, open_overlay
from km_cli.ledger.outbox_record import OutboxRecord, unpack_record
from km_cli.ledger.queries import TABLE as QUERIES
from km_cli.ledger.queries import has_queries, query_place_from_row
from km_cli.ledger.readings import reading_from_row, reading_query
from km_cli.ledger.rows import unpack_rows
from km_cli.ledger.runs import run_from_row
from km_cli.ledger.slot_bytes import decode_slot
from km_cli.ledger.sums import expect_sum
from km_cli.model import KnownCall, MovedCall, PlannedCall, Slot
from km_cli.object_address import is_address

_MOST = 100
"""Problems of one table that are listed. A damaged page may spoil thousands of rows."""


class Problem(NamedTuple):
    """What is wrong with a table. `place` is the key of the row, "" for the table as a whole."""

    table: str
    place: str
    text: str


def check_ledger(path: Path) -> tuple[list[Problem], dict[str, int]]:
    """Read a whole ledger; return what is wrong, and how many rows each table has.

    An older format is checked as this version would migrate it. Raises LedgerError if it cannot be opened.
    """
    at_rest = not path.with_name(path.name + "-wal").exists()
    database, schemas = open_overlay(path)
    with closing(database):
        checking = _Check(database, schemas[-1])
        problems = list(checking.problems())
    if at_rest:
        leave_no_trace(path)
    return problems, dict(checking.rows)


def back_up_ledger(path: Path, copy: Path) -> None:
    """Copy a ledger, in its own format, to a new file. Raises LedgerError; then there is no such file."""
    check_file(path)
    check_header(path)
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            back_up(database, copy)
    except (OSError, sqlite3.Error) as error:
        raise LedgerError(
            f"the ledger {path} cannot be copied to {copy}: {error}", "make room there, or give another path"
        ) from None


class _Check:
    """Checks the ledger in a schema of a database. `rows` counts the rows of each table as they are read."""

    def __init__(self, database: sqlite3.Connection, schema: str) -> None:
        self._database = database
        self._schema = schema
        self._readings: set[int] = set()
        self._last_row = 0
        self.rows: Counter[str] = Counter()

    def problems(self) -> Iterator[Problem]:
        """Yield all problems, those of one table after the other."""
        self._database.execute("BEGIN")
        try:
            yield from self._structure()
            checks = (
                (self._check_reading, "readings", reading_query()),
                (self._check_rows, "rows", "first, count, body"),
                (self._check_run, "runs", "*"),
                (self._check_slot, "slots", "second, person, calls"),
                (self._check_id, "ids", "id, person, second"),
                (self._check_value, "property_values", "*"),
                (self._check_record, "outbox", "*"),
                (self._check_record, "outbox_aliases", "*"),
                (self._check_part, "bulk_parts", "*"),
            )
            for check, table, columns in checks:
                yield from self._each(table, columns, check)
            if has_queries(self._database, self._schema):
                yield from self._each(QUERIES, "*", self._check_query)
            with suppress(*SPOILED):  # It was named before, and then the totals cannot be right.
                yield from list(self._totals())
        finally:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")

    def _structure(self) -> Iterator[Problem]:
        """Yield what SQLite finds wrong with the file."""
        try:
            for (found,) in self._database.execute(f"PRAGMA {self._schema}.integrity_check({_MOST})"):
                if found != "ok":
                    yield Problem("", "", str(found).replace("\n", " "))
        except sqlite3.DatabaseError as error:
            yield Problem("", "", f"it cannot be read further: {error}")

    def _each(
        self, table: str, columns: str, check: Callable[[tuple[Any, ...]], Iterator[str]]
    ) -> Iterator[Problem]:
        """Check each row of a table. A row that cannot be decoded is a problem, and not the end."""
        left = _MOST
        query = f"SELECT {columns} FROM {self._schema}.{table}"
        try:
            for row in self._database.execute(query):
                self.rows[table] += 1
                for text in self._checked(check, row):
                    yield Problem(table, _key_of(row), text)
                    left -= 1
                if left <= 0:
                    yield Problem(table, "", "and perhaps more: the rest of this table is not checked")
                    return
        except sqlite3.DatabaseError as error:
            yield Problem(table, "", f"it cannot be read further: {error}")

    def _checked(self, check: Callable[[tuple[Any, ...]], Iterator[str]], row: tuple[Any, ...]) -> list[str]:
        try:
            return list(check(row))
        except (LedgerError, *SPOILED) as error:
            return [f"it cannot be decoded: {error or type(error).__name__}"]

    def _check_reading(self, row: tuple[Any, ...]) -> Iterator[str]:
        reading = reading_from_row(row)
        self._readings.add(reading.number)
        if not 0 <= reading.rejected <= reading.rows:
            yield f"{reading.rejected} of {reading.rows} rows rejected"

    def _check_rows(self, row: tuple[Any, ...]) -> Iterator[str]:
        expect(row, int, int, bytes)
        first, count, body = row
        found = list(unpack_rows(body))
        if len(found) != count:
            yield f"it has {len(found)} rows, not {count}"
        if first <= self._last_row:
            yield f"number {first} was given twice"
        self._last_row = max(self._last_row, first + count - 1)
        yield from self._without_reading({one.reading for one in found})

    def _check_run(self, row: tuple[Any, ...]) -> Iterator[str]:
        run = run_from_row(row)
        if run.ended is not None and run.ended < run.began:
            yield "it ended before it began"

    def _check_slot(self, row: tuple[Any, ...]) -> Iterator[str]:
        expect(row, int, bytes, bytes)
        second, person, blob = row
        known, _ = decode_slot(person, second, blob)
        for call in known:
            yield from self._without_reading({claim.reading for claim in call.claims})
            if call.row > self._last_row:
                yield f"its row {call.row} is missing"
            if call.taken != call.second and not self._leaves_mark(call):
                yield f"a call was moved to {call.taken}, and that second does not know it"

    def _leaves_mark(self, call: KnownCall) -> bool:
        return MovedCall(call.event, call.pairs) in self._slot(call.person, call.taken).moved

    def _check_id(self, row: tuple[Any, ...]) -> Iterator[str]:
        expect(row, bytes, bytes, int)
        # The slot may not know the id: ids of corrected lines stand here alone, and a refused call is gone.
        return iter(())

    def _check_value(self, row: tuple[Any, ...]) -> Iterator[str]:
        expect(row, bytes, int, int, int, int, int, bytes, int)
        key, *values, found = row
        expect_sum(found, key, *values)
        expect_size(values[-1], 4, 8)
        return iter(())

    def _check_record(self, row: tuple[Any, ...]) -> Iterator[str]:
        record: OutboxRecord = unpack_record(row)
        yield from self._without_reading({record.source.reading})
        for call in record.calls:
            if not call.is_alias and not self._has_slot(call):
                yield f"a pending call of the second {call.taken} stands in no slot"

    def _check_part(self, row: tuple[Any, ...]) -> Iterator[str]:
        part = part_from_row(row)
        if not 0 <= row[7] <= 2:
            yield f"its state is {row[7]}"
        if part.calls < 0 or part.length < 0 or (part.calls and not part.length):
            yield f"it has {part.calls:,} calls in {part.length:,} bytes"
        if part.waits and not is_address(part.series):
            yield "it waits for an upload, and its series is not in a bucket"
        _, columns = json.loads(part.layout)
        if not all(isinstance(column, str) for column in columns):
            yield f"its columns are {part.layout}"

    def _check_query(self, row: tuple[Any, ...]) -> Iterator[str]:
        place = query_place_from_row(row)
        if place.reading not in self._readings:
            yield f"its reading {place.reading} is missing"

    def _has_slot(self, call: PlannedCall) -> bool:
        key = (call.person, call.second, call.taken, call.deed, call.total)
        return any(known[:5] == key for known in self._slot(call.person, call.second).known)

    def _slot(self, person: bytes, second: int) -> Slot:
        query = f"SELECT calls FROM {self._schema}.slots WHERE second = ? AND person = ?"
        found = self._database.execute(query, (second, person)).fetchone()
        return decode_slot(person, second, found[0]) if found else Slot()

    def _without_reading(self, numbers: set[int]) -> Iterator[str]:
        for number in sorted(numbers - self._readings):
            yield f"its reading {number} is missing"

    def _totals(self) -> Iterator[Problem]:
        """Yield the trackers for which the runs have counted more calls than the readings have.

        They may have counted fewer: ledgers of format 2 and 3 did not count by run.
        """
        by_reading: Counter[str] = Counter()
        for row in self._database.execute(f"SELECT {reading_query()} FROM {self._schema}.readings"):
            for place, number in reading_from_row(row).calls:
                by_reading[place.partition(" ")[0]] += number
        query = f"SELECT tracker, sum(calls) FROM {self._schema}.sent GROUP BY tracker"
        for tracker, by_run in self._database.execute(query):
            if by_run > by_reading[tracker]:
                text = f"{by_run:,} calls by run, and {by_reading[tracker]:,} by reading"
                yield Problem("sent", tracker, text)


def _key_of(row: tuple[Any, ...]) -> str:
    first = row[0]
    return first.hex() if isinstance(first, bytes) else str(first)
