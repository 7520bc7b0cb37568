"""The part of a row that belongs to one person, as bytes on their way from the mapping to the planner."""

from __future__ import annotations

import marshal
from collections.abc import Iterable
from typing import NamedTuple

from km_cli.model import Alias, Record, Row, Sequence, Set, Wired

_KINDS: tuple[type[Wired], ...] = (Record, Set, Alias)


class Part(NamedTuple):
    """The calls of one person in a row, with their places among the calls of the whole row.

    `row` is the row as it stands in the log, for a reject; that of `sequence` has its hashed values.
    """

    sequence: Sequence
    places: tuple[int, ...]
    row: Row


def pack_part(sequence: Sequence, places: Iterable[int], raw: bytes | None = None) -> bytes:
    """Return the calls of a row that stand at these places, with the row, as bytes.

    `raw` is the row as it stands in the log, if the sequence has another one. Only this job reads the bytes,
    under the same Python, so their form may change with every version.
    """
    row, calls, cells, actor = sequence
    taken = [(place, _KINDS.index(type(calls[place])), tuple(calls[place])) for place in places]
    return marshal.dumps((row.source, row.line, row.raw, raw, taken, cells, actor))


def unpack_part(blob: bytes) -> Part:
    """Return the part of a row that `pack_part` wrote."""
    source, line, raw, in_log, taken, cells, actor = marshal.loads(blob)
    row = Row(source, line, raw, None)
    calls = tuple(_KINDS[kind]._make(fields) for _, kind, fields in taken)
    places = tuple(place for place, *_ in taken)
    in_log_row = row if in_log is None else row._replace(raw=in_log)
    return Part(Sequence(row, calls, cells, actor), places, in_log_row)
