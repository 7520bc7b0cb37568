"""A record of the outbox as format 4 has it, frozen for the step from format 3.

`outbox_record.py` may change with a later format; this may not, or the steps after it would meet records that
they do not know.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from struct import Struct
from typing import NamedTuple
from zlib import crc32

INSERT = "INSERT INTO main.{} VALUES (?, ?, ?, ?, ?)"
"""With the name of the table, outbox or outbox_aliases."""

_ROW = Struct(">QQQQIII")
_CALL = Struct(">HHIqI8s8sB8s")
_SUM = Struct(">I")
_PLACE_BITS = 16


class RecordRow(NamedTuple):
    """The row of a record.

    `number` is that of its first record, `origin` the JSON of the origin of a reject, "" for other rows.
    """

    number: int
    reading: int
    source: str
    line: int
    raw: bytes
    origin: str


class RecordCall(NamedTuple):
    """A call of a record. It was moved by `moved` seconds; `total` is the fingerprint of its row."""

    persona: str
    payload: bytes
    person: bytes
    second: int
    moved: int
    deed: bytes
    total: bytes


def number_of(record: int, place: int) -> int:
    """Return the number of a call: its record's, then its place there."""
    return record << _PLACE_BITS | place


def pack_record(
    record: int, tracker: str, site: str, row: RecordRow, calls: Sequence[RecordCall]
) -> tuple[int, str, str, int, bytes]:
    """Return the columns of the table: record, tracker, site, pending and body. No run planned the calls."""
    name, pending = row.source.encode(), len(calls)
    origin = json.dumps(json.loads(row.origin)).encode() if row.origin else b""
    header = _ROW.pack(row.number, 0, row.reading, row.line, len(name), len(origin), len(row.raw))
    body = b"".join([header, name, origin, row.raw, *_pack_calls(calls)])
    check_sum = crc32(body, crc32(f"{record} {tracker} {site} {pending}".encode()))
    return record, tracker, site, pending, body + _SUM.pack(check_sum)


def _pack_calls(calls: Sequence[RecordCall]) -> Iterator[bytes]:
    for place, (persona, payload, person, second, moved, deed, total) in enumerate(calls):
        name = persona.encode()
        yield _CALL.pack(place, len(name), len(payload), second, moved, person, deed, len(total), total)
        yield name
        yield payload
