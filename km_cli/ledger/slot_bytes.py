"""Slots as bytes, and back.

A slot's blob is its entries, one after the other, and a check sum. An entry is a header (kind, seconds
moved, deed, total, event, whether it has an id, how many claims and properties, the number of its row) and
then the id, the claims and the properties. A claim is its reading, flags with the size of its total, its
line, and that total. Person and second are the same for all entries of a slot, and so are only in the key.
"""

from __future__ import annotations

from struct import Struct
from zlib import crc32

from km_cli.model import Claim, KnownCall, MovedCall, Slot

_KNOWN, _MOVED = 1, 2
_HEADER = Struct(">BI8s8s4sBBHQ")
_CLAIM = Struct(">IBI")
_HEADER_AND_CLAIM = Struct(_HEADER.format + _CLAIM.format[1:])
_SUM = Struct(">I")
_HAS_ID, _CHANGED, _SIZE = 0x80, 0x40, 0x3F
_MOST_LINE = 0xFFFF_FFFF


def encode_slot(person: bytes, second: int, slot: Slot) -> bytes:
    """Return the slot as bytes, with a check sum over them and the slot's place, person and second."""
    known, moved = slot
    if len(known) == 1 and not moved:  # most of them
        blob = encode_known(known[0])
    else:
        blob = b"".join([*map(encode_known, known), *map(_encode_moved, moved)])
    return blob + _check_sum(person, second, blob)


def _check_sum(person: bytes, second: int, blob: bytes) -> bytes:
    return _SUM.pack(crc32(blob, crc32(person, second)))


def _encode_moved(moved_call: MovedCall) -> bytes:
    event, pairs = moved_call
    return _HEADER.pack(_MOVED, 0, b"", b"", event, 0, 0, len(pairs) // 8, 0) + pairs


def encode_known(known_call: KnownCall) -> bytes:
    """Return one entry as bytes."""
    _, second, taken, deed, total, event, pairs, call_id, claims, row = known_call
    moved, count = taken - second, len(pairs) // 8
    if len(claims) == 1 and not call_id:
        reading, has_id, other, line, changed = claims[0]
        if not (has_id or other or changed):  # the first claim of a call without an id
            line = min(line, _MOST_LINE)
            return (
                _HEADER_AND_CLAIM.pack(_KNOWN, moved, deed, total, event, 0, 1, count, row, reading, 0, line)
                + pairs
            )
    header = _HEADER.pack(_KNOWN, moved, deed, total, event, len(call_id), len(claims), count, row)
    return header + call_id + b"".join([_encode_claim(*one) for one in claims]) + pairs


def _encode_claim(reading: int, has_id: bool, total: bytes, line: int, changed: bool) -> bytes:
    flags = len(total) | has_id * _HAS_ID | changed * _CHANGED
    return _CLAIM.pack(reading, flags, min(line, _MOST_LINE)) + total


def decode_slot(person: bytes, second: int, blob: bytes) -> Slot:
    """Return the slot of a blob. Raises ValueError and struct.error if the blob is damaged."""
    blob, found = blob[: -_SUM.size], blob[-_SUM.size :]
    if found != _check_sum(person, second, blob):
        raise ValueError("its check sum is wrong")
    known_calls: list[KnownCall] = []
    moved_calls: list[MovedCall] = []
    at = 0
    while at < len(blob):
        kind, moved, deed, total, event, id_size, count, pairs_count, row = _HEADER.unpack_from(blob, at)
        at += _HEADER.size
        event_id = blob[at : at + id_size]
        at += id_size
        claims = []
        for _ in range(count):
            reading, flags, line = _CLAIM.unpack_from(blob, at)
            at += _CLAIM.size
            size = flags & _SIZE
            claim = Claim(reading, bool(flags & _HAS_ID), blob[at : at + size], line, bool(flags & _CHANGED))
            claims.append(claim)
            at += size
        pairs = blob[at : at + 8 * pairs_count]
        at += 8 * pairs_count
        if kind not in (_KNOWN, _MOVED) or at > len(blob) or (kind == _KNOWN and not claims):
            raise ValueError(f"kind {kind}, {len(blob)} bytes")
        if kind == _MOVED:
            moved_calls.append(MovedCall(event, pairs))
        else:
            taken = second + moved
            known_calls.append(
                KnownCall(person, second, taken, deed, total, event, pairs, event_id, tuple(claims), row)
            )
    return Slot(tuple(known_calls), tuple(moved_calls))
