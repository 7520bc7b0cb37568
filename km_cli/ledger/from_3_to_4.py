"""The step to format 4: the outbox is packed, and tables have the names of what they hold.

Format 3 has no counts of the calls that were sent. Those of its calls that are pending are counted now, so
that one that is refused later can be taken back.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from types import NoneType
from typing import Any, NamedTuple

from km_cli.ledger.damage import decoding, expect, expect_size
from km_cli.ledger.format_4_record import INSERT, RecordCall, RecordRow, number_of, pack_record
from km_cli.ledger.outbox_record import read_origin
from km_cli.ledger.sent import Sent
from km_cli.ledger.sums import expect_sum
from km_cli.model import NO_SECOND, PlannedCall

_RENAMES = (
    "ALTER TABLE untold RENAME TO unreported_rejects",
    "ALTER TABLE persons RENAME TO owners",
    "DROP INDEX IF EXISTS persons_led",
    "CREATE INDEX owners_led ON owners (leader) WHERE leader <> x''",
    "ALTER TABLE spellings RENAME COLUMN alike TO spelling",
    "ALTER TABLE changed RENAME TO changed_calls",
    "ALTER TABLE changed_calls RENAME COLUMN alike TO total",
    "ALTER TABLE outbox RENAME TO old_outbox",
    "ALTER TABLE outbox_rows RENAME TO old_outbox_rows",
)

_OUTBOX = """
CREATE TABLE {} (
    record INTEGER PRIMARY KEY, tracker TEXT NOT NULL, site TEXT NOT NULL, pending INTEGER NOT NULL,
    body BLOB NOT NULL)
"""
_SENT = """
CREATE TABLE sent (
    run INTEGER NOT NULL, tracker TEXT NOT NULL, site TEXT NOT NULL, persona TEXT NOT NULL,
    event TEXT NOT NULL, day INTEGER NOT NULL, calls INTEGER NOT NULL,
    PRIMARY KEY (run, tracker, site, persona, event, day)) WITHOUT ROWID
"""
"""Tables as they are in format 4; a later step may change them."""

_COUNT = """
INSERT INTO main.sent VALUES (0, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (run, tracker, site, persona, event, day) DO UPDATE SET calls = calls + excluded.calls
"""
"""Counts calls that no run has planned, as far as the ledger knows."""

_CHUNK = 1000


class _OldCall(NamedTuple):
    """A pending call of format 3, with its row."""

    call: int
    row: int
    site: str
    persona: str
    payload: bytes
    person: bytes
    second: int
    taken: int
    deed: bytes
    alike: bytes
    tracker: str
    sum: int
    reading: int
    source: str
    line: int
    raw: bytes
    origin: str | None


_TYPES = (
    *(int, int, str, str, bytes, bytes, int, int, bytes, bytes, str, int),
    *(int, str, int, bytes, (str, NoneType)),
)


def step(database: sqlite3.Connection) -> None:
    """Bring `main` from format 3 to 4, within the open transaction."""
    for rename in _RENAMES:
        database.execute(rename)
    database.execute(_OUTBOX.format("outbox"))
    database.execute(_OUTBOX.format("outbox_aliases"))
    database.execute(_SENT)
    first = 1
    for _, calls in groupby(_pending(database), lambda one: one.row):
        record = first
        for mates in _by_record(calls):
            _move(database, mates, record, first)
            record += 1
        first = record
    database.execute("DROP TABLE old_outbox")
    database.execute("DROP TABLE old_outbox_rows")


def _pending(database: sqlite3.Connection) -> Iterator[_OldCall]:
    """Yield the pending calls, oldest first. Raises LedgerError if one is damaged."""
    query = (
        f"SELECT {', '.join(_OldCall._fields)} FROM old_outbox LEFT JOIN old_outbox_rows USING (row) "
        f"WHERE call > ? ORDER BY call LIMIT {_CHUNK}"
    )
    last = 0
    while found := database.execute(query, (last,)).fetchall():
        for values in found:
            with decoding(database, "outbox"):
                call = _decoded(values)
            yield call
        last = found[-1][0]


def _decoded(values: tuple[Any, ...]) -> _OldCall:
    """Return the call with these columns. Raises TypeError, ValueError if it is damaged."""
    expect(values, *_TYPES)
    call = _OldCall._make(values)
    expect_sum(call.sum, *values[:11])
    expect_size(call.person, 8)
    expect_size(call.deed, 8)
    expect_size(call.alike, 0, 8)
    read_origin(call.origin)
    return call


def _by_record(calls: Iterable[_OldCall]) -> Iterable[list[_OldCall]]:
    """Return the calls of one row: those to each site together, and each alias alone."""
    mates: dict[tuple[str, str, int], list[_OldCall]] = {}
    for call in calls:
        alias = call.call if call.second == NO_SECOND else 0
        mates.setdefault((call.tracker, call.site, alias), []).append(call)
    return mates.values()


def _move(database: sqlite3.Connection, calls: list[_OldCall], record: int, first: int) -> None:
    """Write calls as a record, and count them. `first` is the first record of their row."""
    one = calls[0]
    row = RecordRow(first, one.reading, one.source, one.line, one.raw, one.origin or "")
    packed = pack_record(record, one.tracker, one.site, row, list(map(_record_call, calls)))
    table = "outbox_aliases" if one.second == NO_SECOND else "outbox"
    database.execute(INSERT.format(table), packed)
    planned_calls = (PlannedCall(*call[2:10], number_of(record, at), first) for at, call in enumerate(calls))
    sent = Counter(map(Sent.of_pending, planned_calls))
    database.executemany(_COUNT, [(one.tracker, *kind, count) for kind, count in sent.items()])


def _record_call(call: _OldCall) -> RecordCall:
    moved = call.taken - call.second
    return RecordCall(call.persona, call.payload, call.person, call.second, moved, call.deed, call.alike)
