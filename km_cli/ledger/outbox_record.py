"""One record of the outbox as bytes: a row, and the calls that were planned from it for one site.

A header has the row's place and the sizes of its texts, which follow. Then come the calls: of each a header,
with its place in the record, the sizes and the reference to its slot, its persona, and its final bytes. The
last four bytes are a check sum over all that, and over the other columns of the table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Any, NamedTuple
from zlib import crc32

from km_cli.ledger.changed import decode_origin
from km_cli.ledger.damage import expect
from km_cli.model import Origin, PlannedCall, Row

_ROW = Struct(">QQQQIII")
_CALL = Struct(">HHIqI8s8sB8s")
_SUM = Struct(">I")
_PLACE_BITS = 16
_PLACE = (1 << _PLACE_BITS) - 1

_PAYLOAD = re.compile(rb"/[esa]\?_p=[!-~]+")
"""The form of a call's bytes: a path and a query."""


class CallSource(NamedTuple):
    """Where the calls of a record come from: the run that planned them, the reading, and the row.

    The run is 0 if that was a km-cli that did not count its runs.
    """

    run: int
    reading: int
    row: Row


class OutboxRecord(NamedTuple):
    """One record. `row` is the number of the first record of the same row."""

    record: int
    tracker: str
    site: str
    row: int
    source: CallSource
    calls: list[PlannedCall]


def pack_record(
    tracker: str, run: int, reading: int, row: Row, calls: Sequence[PlannedCall]
) -> tuple[int, str, str, int, bytes]:
    """Return the columns of the table: record, tracker, site, pending (how many calls it has) and body."""
    site, number, row_number = calls[0].site, calls[0].number, calls[0].row
    name, raw = row.source.encode(), row.raw
    origin = json.dumps(row.origin).encode() if row.origin else b""
    header = _ROW.pack(row_number, run, reading, row.line, len(name), len(origin), len(raw))
    body = b"".join([header, name, origin, raw, *_pack_calls(calls)])
    record, pending = record_of(number), len(calls)
    return record, tracker, site, pending, body + _check_sum(record, tracker, site, pending, body)


def unpack_record(values: Sequence[Any]) -> OutboxRecord:
    """Return the record with these columns. Raises TypeError, ValueError, struct.error if it is damaged."""
    expect(values, int, str, str, int, bytes)
    record, tracker, site, pending, whole = values
    body = whole[: -_SUM.size]
    if whole[-_SUM.size :] != _check_sum(record, tracker, site, pending, body):
        raise ValueError("its check sum is wrong")
    row, run, reading, line, *sizes = _ROW.unpack_from(body)
    at, texts = _ROW.size, []
    for size in sizes:
        texts.append(body[at : at + size])
        at += size
    name, origin, raw = texts
    source = CallSource(run, reading, Row(name.decode(), line, raw, None, read_origin(origin.decode())))
    return OutboxRecord(record, tracker, site, row, source, _unpack_calls(record, row, site, body, at))


def _check_sum(record: int, tracker: str, site: str, pending: int, body: bytes) -> bytes:
    return _SUM.pack(crc32(body, crc32(f"{record} {tracker} {site} {pending}".encode())))


def read_origin(text: str | None) -> Origin | None:
    """Return the origin of a row that was a reject. Raises TypeError, ValueError."""
    return decode_origin(json.loads(text)) if text else None


def _pack_calls(calls: Sequence[PlannedCall]) -> Iterator[bytes]:
    for _, persona, payload, person, second, taken, deed, total, number, _ in calls:
        name = persona.encode()
        place, moved = number & _PLACE, taken - second
        yield _CALL.pack(place, len(name), len(payload), second, moved, person, deed, len(total), total)
        yield name
        yield payload


def _unpack_calls(record: int, row: int, site: str, body: bytes, at: int) -> list[PlannedCall]:
    """Return the calls that begin there. Raises ValueError, struct.error."""
    calls = []
    while at < len(body):
        place, name_size, size, second, moved, person, deed, total_size, total = _CALL.unpack_from(body, at)
        at += _CALL.size + name_size
        persona, payload = body[at - name_size : at].decode(), body[at : at + size]
        at += size
        if not _PAYLOAD.fullmatch(payload):
            raise ValueError(f"the bytes of a call of record {record}")
        taken, total, number = second + moved, total[:total_size], number_of(record, place)
        calls.append(PlannedCall(site, persona, payload, person, second, taken, deed, total, number, row))
    return calls


def number_of(record: int, place: int) -> int:
    """Return the number of a call: its record's, then its place there. It is the same in every run."""
    return record << _PLACE_BITS | place


def record_of(number: int) -> int:
    """Return the number of a call's record."""
    return number >> _PLACE_BITS


def bit_of(number: int) -> int:
    """Return the bit that stands for a call in a set of calls of its record."""
    return 1 << (number & _PLACE)
