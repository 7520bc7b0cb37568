"""The step to format 3, in which calls are known by their rows, and readings by their spans and mappings.

A ledger of format 2 has the spans in its slots: which readings have a call, and its second. It has no
fingerprints of rows, so its calls get no row (0), and are compared by the properties that were sent.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from km_cli.kissmetrics import MOST_INSTANCES
from km_cli.ledger.slot_bytes import encode_slot
from km_cli.ledger.sums import check_sum
from km_cli.model import NO_EVENT, Claim, KnownCall, MovedCall, Slot

TABLES = """
CREATE TABLE IF NOT EXISTS rows (
    first INTEGER PRIMARY KEY, count INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS files (
    file BLOB PRIMARY KEY, size INTEGER NOT NULL, time INTEGER NOT NULL, seen INTEGER NOT NULL
    ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pauses (
    tracker TEXT PRIMARY KEY, until REAL NOT NULL, failures INTEGER NOT NULL, reason TEXT NOT NULL
    ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS untold (path TEXT PRIMARY KEY, rows INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS persons (
    person BLOB PRIMARY KEY, persona TEXT NOT NULL, identity BLOB NOT NULL, leader BLOB NOT NULL
    ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ids (
    id BLOB PRIMARY KEY, person BLOB NOT NULL, second INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS instances (name BLOB PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spellings (alike BLOB PRIMARY KEY, person BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS names (
    site TEXT NOT NULL, kind TEXT NOT NULL, name BLOB NOT NULL, PRIMARY KEY (site, kind, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS totals (
    site TEXT NOT NULL, persona TEXT NOT NULL, people INTEGER NOT NULL, events INTEGER NOT NULL,
    properties INTEGER NOT NULL, PRIMARY KEY (site, persona)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changed (
    reading INTEGER NOT NULL, person BLOB NOT NULL, second INTEGER NOT NULL,
    deed BLOB NOT NULL, alike BLOB NOT NULL, source TEXT NOT NULL, line INTEGER NOT NULL,
    call TEXT NOT NULL, PRIMARY KEY (reading, person, second, deed, alike)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changed_rows (
    reading INTEGER NOT NULL, source TEXT NOT NULL, line INTEGER NOT NULL, raw BLOB NOT NULL,
    PRIMARY KEY (reading, source, line)) WITHOUT ROWID;
"""
"""Tables of format 3 that a ledger of format 2 may lack: it got some when a run first wrote to them."""

_MOVED = 2
_HEADER = Struct(">BH8s8s4sBBH")
_CLAIM = Struct(">IB")
_HAS_ID, _SIZE = 0x80, 0x7F
_CHUNK = 5000
_EVENT_SIZE = 17
"""Bytes in the key of an event's instances: the person, the word "event", and the digest of its name."""


_NEW_COLUMNS = (
    "begun INTEGER NOT NULL DEFAULT 0",
    "first INTEGER NOT NULL DEFAULT 0",
    "last INTEGER NOT NULL DEFAULT 0",
    "dated INTEGER NOT NULL DEFAULT 0",
    "start BLOB NOT NULL DEFAULT x''",
    "regular TEXT NOT NULL DEFAULT '[]'",
    "personas TEXT NOT NULL DEFAULT ''",
    "calls TEXT NOT NULL DEFAULT '{}'",
    "overlap TEXT NOT NULL DEFAULT 'ask'",
    "as_new TEXT NOT NULL DEFAULT '[]'",
    "sum INTEGER NOT NULL DEFAULT 0",
)


@dataclass(slots=True)
class _Span:
    """A reading's first and last second, and how many calls it sent, as the slots have it."""

    first: int
    last: int
    calls: int = 0


def step(database: sqlite3.Connection) -> None:
    """Bring `main` from format 2 to 3, within the open transaction."""
    for column in _NEW_COLUMNS:
        database.execute(f"ALTER TABLE readings ADD COLUMN {column}")
    database.execute("UPDATE readings SET regular = columns WHERE delimiter <> ''")
    database.execute("ALTER TABLE outbox ADD COLUMN sum INTEGER NOT NULL DEFAULT 0")
    _add_sums(database)
    _cap_totals(database)
    spans: dict[int, _Span] = {}
    for second, person, blob in _slots(database):
        slot = _decode(person, second, blob)
        _note(slot, spans)
        database.execute(
            "UPDATE slots SET calls = ? WHERE second = ? AND person = ?",
            (encode_slot(person, second, slot), second, person),
        )
    database.executemany(
        "UPDATE readings SET first = ?, last = ? WHERE reading = ?",
        [(one.first, one.last, reading) for reading, one in spans.items()],
    )
    database.executemany(
        "UPDATE readings SET calls = json_object(json_extract(actor, '$[0]'), ?) WHERE reading = ?",
        [(one.calls, reading) for reading, one in spans.items() if one.calls],
    )


def _add_sums(database: sqlite3.Connection) -> None:
    """Give each reading and each pending call its check sum."""
    for table, key, columns in (
        ("readings", "reading", "token, asked, mapping, actor, begun, start, personas"),
        ("outbox", "call", "call, row, site, persona, payload, person, second, taken, deed, alike, tracker"),
    ):
        found = database.execute(f"SELECT {key}, {columns} FROM {table}").fetchall()
        database.executemany(
            f"UPDATE {table} SET sum = ? WHERE {key} = ?",
            [(check_sum(*values), number) for number, *values in found],
        )


def _cap_totals(database: sqlite3.Connection) -> None:
    """Take the instances that Kissmetrics drops (D7) from the totals.

    Instances are counted by person, without the site. So the totals of a persona that is recorded in several
    sites stay as they are.
    """
    database.execute(
        """
        UPDATE totals SET
            events = events - coalesce((SELECT sum(n - :most) FROM instances JOIN persons
                ON persons.person = substr(name, 1, 8)
                WHERE persona = totals.persona AND n > :most AND length(name) = :event), 0),
            properties = properties - coalesce((SELECT sum(n - :most) FROM instances JOIN persons
                ON persons.person = substr(name, 1, 8)
                WHERE persona = totals.persona AND n > :most AND length(name) <> :event), 0)
        WHERE persona IN (SELECT persona FROM totals GROUP BY persona HAVING count(*) = 1)
        """,
        {"most": MOST_INSTANCES, "event": _EVENT_SIZE},
    )


def _slots(database: sqlite3.Connection) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield all slots, read in chunks, so that they can be written meanwhile."""
    last: tuple[int, bytes] = (-1, b"")
    query = "SELECT second, person, calls FROM slots WHERE (second, person) > (?, ?) ORDER BY 1, 2 LIMIT ?"
    while chunk := database.execute(query, (*last, _CHUNK)).fetchall():
        yield from chunk
        last = chunk[-1][:2]


def _note(slot: Slot, spans: dict[int, _Span]) -> None:
    """Widen the spans of the readings that have a call of the slot."""
    for known_call in slot.known:
        if known_call.event == NO_EVENT:
            continue
        for at, claim in enumerate(known_call.claims):
            one = spans.setdefault(claim.reading, _Span(known_call.second, known_call.second))
            one.first, one.last = min(one.first, known_call.second), max(one.last, known_call.second)
            one.calls += at == 0


def _decode(person: bytes, second: int, blob: bytes) -> Slot:
    """Return a slot of format 2."""
    known_calls: list[KnownCall] = []
    moved_calls: list[MovedCall] = []
    at = 0
    while at < len(blob):
        kind, moved, deed, alike, event, id_size, count, pairs_count = _HEADER.unpack_from(blob, at)
        at += _HEADER.size
        event_id = blob[at : at + id_size]
        at += id_size
        claims = []
        for _ in range(count):
            reading, flags = _CLAIM.unpack_from(blob, at)
            at += _CLAIM.size
            size = flags & _SIZE
            changed = blob[at : at + size]
            claims.append(Claim(reading, bool(flags & _HAS_ID), changed, changed=bool(changed)))
            at += size
        pairs = blob[at : at + 8 * pairs_count]
        at += 8 * pairs_count
        if kind == _MOVED:
            moved_calls.append(MovedCall(event, pairs))
        else:
            taken = second + moved
            known_calls.append(
                KnownCall(person, second, taken, deed, alike, event, pairs, event_id, tuple(claims))
            )
    return Slot(tuple(known_calls), tuple(moved_calls))
