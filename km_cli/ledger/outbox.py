"""The outbox: calls whose final bytes are durable, and that are neither acknowledged nor rejected yet."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from types import NoneType
from typing import Any

from km_cli.ledger.changed import decode_origin
from km_cli.ledger.damage import decoding, expect
from km_cli.ledger.sums import check_sum, expect_sum
from km_cli.model import NO_SECOND, OutboxCall, Outcome, PlannedCall, Receipt, Row, SlotReference

_CHUNK = 2000
_MOST_A_ROW = 1000
"""More calls than one row can become: three for each persona."""

_COLUMNS = "call, row, site, persona, payload, person, second, taken, deed, alike, tracker, sum"

_TYPES = (int, int, str, str, bytes, bytes, int, int, bytes, bytes, str, int)

_PAYLOAD = re.compile(rb"/[esa]\?_p=[!-~]+")
"""The form of a call's bytes: a path and a query."""

_Call = tuple[Any, ...]
"""A row of the table, in the order of _COLUMNS."""


class Outbox:
    """The outbox of a ledger. The numbers of calls grow, and the calls of one row follow one another."""

    def __init__(self, database: sqlite3.Connection, schemas: tuple[str, ...]) -> None:
        self._database = database
        self._schemas = schemas
        self._row, self._call = database.execute(
            "SELECT (SELECT coalesce(max(row), 0) FROM main.outbox_rows), "
            "(SELECT coalesce(max(call), 0) FROM main.outbox)"
        ).fetchone()
        expect((self._row, self._call), int, int)
        self._open: dict[int, int] = {}
        """How many calls of a row are pending, by the number of the row."""

    def post(
        self, tracker: str, reading: int, calls: Sequence[tuple[PlannedCall, bytes]]
    ) -> list[OutboxCall]:
        """Put calls and their rows into the outbox; the caller's transaction makes them durable."""
        outbox_calls: list[OutboxCall] = []
        rows: list[tuple[object, ...]] = []
        last: Row | None = None
        for planned, payload in calls:
            row, call = planned.row, planned.call
            if row is not last:
                last = row
                self._row += 1
                self._open[self._row] = 0
                origin = json.dumps(row.origin) if row.origin else None
                rows.append((self._row, reading, row.source, row.line, row.raw, origin))
            self._call += 1
            self._open[self._row] += 1
            person, second, taken, deed, total, *_ = planned.known
            reference = SlotReference(person, second, taken, deed, total)
            outbox_calls.append(
                OutboxCall(self._call, self._row, call.site, call.persona, payload, reference)
            )
        self._database.executemany("INSERT INTO main.outbox_rows VALUES (?, ?, ?, ?, ?, ?)", rows)
        self._database.executemany(
            "INSERT INTO main.outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    *(number, row_number, tracker, site, persona, payload, *reference),
                    check_sum(number, row_number, site, persona, payload, *reference, tracker),
                )
                for number, row_number, site, persona, payload, reference in outbox_calls
            ],
        )
        return outbox_calls

    def settle(self, receipts: Iterable[Receipt]) -> None:
        """Take out acknowledged and rejected calls, and the rows that have no call left."""
        settled = [receipt.call for receipt in receipts if receipt.outcome is not Outcome.PENDING]
        numbers = [(outbox_call.number,) for outbox_call in settled]
        self._database.executemany("DELETE FROM main.outbox WHERE call = ?", numbers)
        empty: list[tuple[int]] = []
        for outbox_call in settled:
            self._open[outbox_call.row] -= 1
            if not self._open[outbox_call.row]:
                del self._open[outbox_call.row]
                empty.append((outbox_call.row,))
        self._database.executemany("DELETE FROM main.outbox_rows WHERE row = ?", empty)

    def pending(self, tracker: str, sites: Sequence[str]) -> Iterator[list[OutboxCall]]:
        """Yield the calls that earlier runs left, oldest first, in lists that split no row. Not aliases."""
        for found in self._chunks(0, self._call):
            for call in found:
                self._open[call[1]] = self._open.get(call[1], 0) + 1
            wanted = [
                _outbox_call(call)
                for call in found
                if call[10] == tracker and call[2] in sites and not _is_alias(call)
            ]
            if wanted:
                yield wanted

    def aliases(self, tracker: str, sites: Sequence[str]) -> Iterator[list[OutboxCall]]:
        """Yield the pending aliases of these sites, oldest first."""
        for found in self._chunks(0, self._call, f"AND second = {NO_SECOND}"):
            if wanted := [_outbox_call(call) for call in found if call[10] == tracker and call[2] in sites]:
                yield wanted

    def has_aliases(self) -> bool:
        """Tell whether any alias is pending."""
        query = "SELECT 1 FROM main.outbox WHERE second = ? LIMIT 1"
        return self._database.execute(query, (NO_SECOND,)).fetchone() is not None

    def holds(self, persons: Iterable[bytes]) -> set[bytes]:
        """Return those of the persons that have a pending call other than an alias."""
        self._database.execute("CREATE TEMP TABLE IF NOT EXISTS asked (person BLOB PRIMARY KEY)")
        self._database.execute("DELETE FROM asked")
        self._database.executemany(
            "INSERT OR IGNORE INTO asked VALUES (?)", [(person,) for person in persons]
        )
        found = self._database.execute(
            "SELECT DISTINCT person FROM main.outbox JOIN asked USING (person) WHERE second <> ?",
            (NO_SECOND,),
        )
        return {person for (person,) in found}

    def aliases_beside(self, outbox_call: OutboxCall) -> list[OutboxCall]:
        """Return the pending aliases of a call's persona in the same row."""
        found = self._database.execute(
            f"SELECT {_COLUMNS} FROM main.outbox WHERE call BETWEEN ? AND ? AND row = ? AND persona = ? "
            "AND second = ?",
            (
                outbox_call.number - _MOST_A_ROW,
                outbox_call.number + _MOST_A_ROW,
                outbox_call.row,
                outbox_call.persona,
                NO_SECOND,
            ),
        )
        with decoding(self._database, "outbox"):
            return [_outbox_call(_checked(call)) for call in found]

    def _chunks(self, last: int, end: int, also: str = "") -> Iterator[list[_Call]]:
        """Yield the calls after `last` up to `end`, in lists that split no row."""
        query = (
            f"SELECT {_COLUMNS} FROM main.outbox WHERE call > ? AND call <= ? {also} ORDER BY call LIMIT ?"
        )
        while found := self._chunk(query, last, end):
            if len(found) == _CHUNK and found[0][1] != found[-1][1]:
                found = [call for call in found if call[1] != found[-1][1]]
            last = found[-1][0]
            yield found

    def _chunk(self, query: str, last: int, end: int) -> list[_Call]:
        with decoding(self._database, "outbox"):
            found = self._database.execute(query, (last, end, _CHUNK)).fetchall()
            return [_checked(call) for call in found]

    def count(self, tracker: str) -> dict[str, int]:
        """Return how many calls are pending, by site."""
        found: dict[str, int] = {}
        for name in self._schemas:
            query = f"SELECT site, count(*) FROM {name}.outbox WHERE tracker = ? GROUP BY site"
            with decoding(self._database, "outbox"):
                for row in self._database.execute(query, (tracker,)):
                    expect(row, str, int)
                    found[row[0]] = row[1]
        return found

    def row(self, number: int) -> tuple[int, Row]:
        """Return the reading and the row of a call by the row's number, for a reject."""
        with decoding(self._database, "outbox_rows"):
            found = self._database.execute(
                "SELECT reading, source, line, raw, origin FROM main.outbox_rows WHERE row = ?", (number,)
            ).fetchone()
            expect(found, int, str, int, bytes, (str, NoneType))
            reading, source, line, raw, text = found
            origin = decode_origin(json.loads(text)) if text else None
        return reading, Row(source, line, raw, None, origin)


def _checked(call: _Call) -> _Call:
    """Return the call if its values are not damaged. Raises TypeError, ValueError."""
    expect(call, *_TYPES)
    if not _PAYLOAD.fullmatch(call[4]):
        raise ValueError(f"the bytes of call {call[0]}")
    expect_sum(call[-1], *call[:-1])
    return call


def _outbox_call(call: _Call) -> OutboxCall:
    return OutboxCall._make((*call[:5], SlotReference._make(call[5:10])))


def _is_alias(call: _Call) -> bool:
    return bool(call[6] == NO_SECOND)
