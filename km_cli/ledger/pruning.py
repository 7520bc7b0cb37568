"""Forgets the calls that are older than a horizon, within the transaction of the caller.

A slot begins with its second, so the slots of old calls are a range of their table. All that newer rows are
judged by stays: a call that was moved across the horizon leaves its mark in the second that it took; the last
value of each property before the horizon stays; and so do the owners of people, names, counts and readings.
The calls of corrected lines stay, too: such a line may be corrected again, to a time behind the horizon.
"""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from km_cli.ledger.damage import decoding, expect
from km_cli.ledger.outbox_record import unpack_record
from km_cli.ledger.slot_bytes import decode_slot
from km_cli.model import NANOSECONDS, KnownCall, Slot, held_keys

COUNTED_FROM = 100
"""Calls of a person from which its instances are counted, since slots cannot tell them later (D7)."""

_CHUNK = 1000
_MOST_COUNTED = 200_000

_TEMPORARY = (
    ("kept_ids", "id BLOB PRIMARY KEY"),
    ("kept_slots", "second INTEGER, person BLOB, PRIMARY KEY (second, person)"),
    ("counted", "person BLOB PRIMARY KEY"),
)


class Pruned(NamedTuple):
    """How many records were forgotten: calls, the log's own ids, values of properties, rows, and runs."""

    calls: int = 0
    ids: int = 0
    values: int = 0
    rows: int = 0
    runs: int = 0


def count_old_calls(database: sqlite3.Connection, schema: str, second: int) -> int:
    """Return how many calls the ledger knows that are older than a second. It reads all of them."""
    query = f"SELECT second, person, calls FROM {schema}.slots WHERE second < ?"
    return sum(len(slot.known) for _, _, slot in _slots(database, query, second))


def count_old_pending(database: sqlite3.Connection, schema: str, second: int) -> int:
    """Return how many calls older than a second are pending. Aliases have no second."""
    found = 0
    with decoding(database, "outbox"):
        for row in database.execute(f"SELECT * FROM {schema}.outbox"):
            found += sum(not one.is_alias and one.second < second for one in unpack_record(row).calls)
    return found


def prune(database: sqlite3.Connection, second: int) -> Pruned:
    """Forget the calls of `main` that are older than a second, and all that belongs to them alone."""
    for name, columns in _TEMPORARY:
        database.execute(f"CREATE TEMP TABLE IF NOT EXISTS {name} ({columns}) WITHOUT ROWID")
        database.execute(f"DELETE FROM temp.{name}")
    _count_instances(database)
    _choose_kept(database, second)
    where = "second < ? AND (second, person) NOT IN (SELECT second, person FROM temp.kept_slots)"
    old = _slots(database, f"SELECT second, person, calls FROM main.slots WHERE {where}", second)
    calls = sum(len(slot.known) for _, _, slot in old)
    database.execute(f"DELETE FROM main.slots WHERE {where}", (second,))
    ids = database.execute(
        "DELETE FROM main.ids WHERE second < ? AND id NOT IN (SELECT id FROM temp.kept_ids)", (second,)
    )
    values = _forget_values(database, second)
    _forget_changed(database, second)
    return Pruned(calls, ids.rowcount, values, _forget_rows(database))


def _slots(database: sqlite3.Connection, query: str, *values: object) -> Iterator[tuple[int, bytes, Slot]]:
    """Yield the slots of a query for second, person and calls."""
    with decoding(database, "slots"):
        for second, person, blob in database.execute(query, values):
            yield second, person, decode_slot(person, second, blob)


def _count_instances(database: sqlite3.Connection) -> None:
    """Count the instances of people with many calls while all of their slots are there (D7).

    Without this they would be counted from their slots when they come near the limit, and so be too few.
    """
    database.execute(
        "INSERT INTO temp.counted SELECT person FROM main.calls_by_person "
        "WHERE CASE WHEN is_busy THEN calls > 0 ELSE calls >= ? END",
        (COUNTED_FROM,),
    )
    database.execute(
        "DELETE FROM main.instances WHERE substr(name, 1, 8) IN (SELECT person FROM temp.counted)"
    )
    query = "SELECT second, person, calls FROM main.slots WHERE person IN (SELECT person FROM temp.counted)"
    counted: Counter[bytes] = Counter()
    for second, person, slot in _slots(database, query):
        counted.update(held_keys(person, second, slot))
        if len(counted) > _MOST_COUNTED:
            _add_instances(database, counted)
    _add_instances(database, counted)
    database.execute(
        "UPDATE main.calls_by_person SET calls = 0, is_busy = 1 "
        "WHERE person IN (SELECT person FROM temp.counted)"
    )


def _add_instances(database: sqlite3.Connection, counted: Counter[bytes]) -> None:
    database.executemany(
        "INSERT INTO main.instances VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET n = n + excluded.n",
        sorted(counted.items()),
    )
    counted.clear()


def _choose_kept(database: sqlite3.Connection, second: int) -> None:
    """Note the ids that are not the log's own, and their slots, in temporary tables.

    They are those of corrected lines, and of properties that format 4 has set once. They are few.
    """
    kept = _not_of_the_log(database, second)
    while chunk := list(islice(kept, _CHUNK)):
        database.executemany("INSERT INTO temp.kept_ids VALUES (?)", [(one[0],) for one in chunk])
        places = [one[1:] for one in chunk]
        database.executemany("INSERT OR IGNORE INTO temp.kept_slots VALUES (?, ?)", places)


def _not_of_the_log(database: sqlite3.Connection, second: int) -> Iterator[tuple[bytes, int, bytes]]:
    """Yield id, second and person of each old id that no call of its slot has as the log's own."""
    query = (
        "SELECT ids.id, slots.second, slots.person, slots.calls FROM main.ids AS ids CROSS JOIN main.slots "
        "AS slots ON slots.second = ids.second AND slots.person = ids.person WHERE ids.second < ?"
    )
    with decoding(database, "ids"):
        for row in database.execute(query, (second,)):
            expect(row, bytes, int, bytes, bytes)
            event_id, at, person, blob = row
            known: tuple[KnownCall, ...] = decode_slot(person, at, blob).known
            if known and all(one.id != event_id for one in known):
                yield event_id, at, person


def _forget_values(database: sqlite3.Connection, second: int) -> int:
    """Forget the old values of properties, but for the last one before the horizon."""
    moment = second * NANOSECONDS
    found = database.execute(
        "DELETE FROM main.property_values AS old WHERE moment < ?1 AND last < ?1 AND taken < ?2 AND EXISTS "
        "(SELECT 1 FROM main.property_values AS later WHERE later.property = old.property "
        "AND (later.moment, later.place) > (old.moment, old.place) AND later.moment < ?1)",
        (moment, second),
    )
    return found.rowcount


def _forget_changed(database: sqlite3.Connection, second: int) -> None:
    """Forget the calls of rows that were taken for an old call with other values."""
    database.execute("DELETE FROM main.changed_calls WHERE second < ?", (second,))
    database.execute(
        "DELETE FROM main.changed_rows WHERE (reading, source, line) NOT IN "
        "(SELECT reading, source, line FROM main.changed_calls)"
    )


def _forget_rows(database: sqlite3.Connection) -> int:
    """Forget the batches of rows that no call refers to any more; return how many rows they have.

    The last batch stays, so that no number is given twice.
    """
    with decoding(database, "rows"):
        batches: list[tuple[int, int]] = database.execute(
            "SELECT first, count FROM main.rows ORDER BY first"
        ).fetchall()
        for batch in batches:
            expect(batch, int, int)
    firsts = [first for first, _ in batches]
    is_used = bytearray(len(batches))
    is_used[-1:] = b"\1" * len(is_used[-1:])
    for row in _rows_referred_to(database):
        if row and (at := bisect_right(firsts, row)):
            is_used[at - 1] = 1
    unused = [batch for batch, used in zip(batches, is_used, strict=True) if not used]
    database.executemany("DELETE FROM main.rows WHERE first = ?", [(first,) for first, _ in unused])
    return sum(count for _, count in unused)


def _rows_referred_to(database: sqlite3.Connection) -> Iterator[int]:
    """Yield the number of each row that a call refers to; 0 for a call that has none."""
    for _, _, slot in _slots(database, "SELECT second, person, calls FROM main.slots"):
        yield from (known.row for known in slot.known)
    with decoding(database, "changed_calls"):
        for (text,) in database.execute("SELECT call FROM main.changed_calls"):
            # The call, the origin, the fingerprint and the number of its row; format 2 had the first two.
            yield from json.loads(text)[3:4]
