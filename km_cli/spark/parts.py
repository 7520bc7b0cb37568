"""The part of a row that belongs to one person, as bytes on their way from the mapping to the planner."""

from __future__ import annotations

import marshal
from collections.abc import Iterable
from typing import NamedTuple

from km_cli.model import Alias, Record, Row, Sequence, Set, Wired

_KINDS: tuple[type[Wired], ...] = (Record, Set, Alias)


class Part(NamedTuple):
    """The calls of one person in a row, with their places among the calls of the whole row."""

    sequence: Sequence
    places: tuple[int, ...]


def pack_part(sequence: Sequence, places: Iterable[int]) -> bytes:
    """Return the calls of a row that stand at these places, with the row, as bytes.

    Only this job reads them, under the same Python, so the form may change with every version.
    """
    row, calls, cells, actor = sequence
    taken = [(place, _KINDS.index(type(calls[place])), tuple(calls[place])) for place in places]
    return marshal.dumps((row.source, row.line, row.raw, taken, cells, actor))


def unpack_part(blob: bytes) -> Part:
    """Return the part of a row that `pack_part` wrote."""
    source, line, raw, taken, cells, actor = marshal.loads(blob)
    calls = tuple(_KINDS[kind]._make(fields) for _, kind, fields in taken)
    return Part(
        Sequence(Row(source, line, raw, None), calls, cells, actor), tuple(place for place, *_ in taken)
    )
