"""The rows of an input file, and the reports about them: rejects and findings."""

from __future__ import annotations

from typing import Any, NamedTuple

Properties = tuple[tuple[str, str], ...]
"""(name, value) pairs in the order of the input's columns; a name occurs once."""


class Origin(NamedTuple):
    """Where a corrected reject comes from.

    `reading` is the token of its reading. `owed` are the parts of the row that are still to be sent, named as
    `part_of` names them (empty: all). `columns` and `delimiter` say how to read the reject's raw text; with
    "" as the delimiter it is a JSON object.
    """

    reading: str
    owed: tuple[str, ...]
    columns: tuple[str, ...]
    delimiter: str


class Row(NamedTuple):
    """One record of an input, with its place.

    `values` is a list of cells (CSV) or an object (JSON lines). `raw` holds the record's own bytes and those
    of the blank lines before it: joined, the raws of a reading are its bytes. `line` counts from 1. Only a
    corrected reject has an `origin`.
    """

    source: str
    line: int
    raw: bytes
    values: Any
    origin: Origin | None = None


class Gap(NamedTuple):
    """Bytes that belong to no record of their own: the rest of a line that is too long to hold."""

    raw: bytes


class Finding(NamedTuple):
    """Data that Kissmetrics would merge, change or drop, or a decision that prevents it.

    `who` is its subject, a person or a name, so that the report can list the most frequent subjects.
    """

    code: str
    message: str
    source: str
    line: int
    who: str = ""


class Reject(NamedTuple):
    """A row that is not sent, and the reason. `owed` are the parts that are not sent (empty: all)."""

    row: Row
    code: str
    reason: str
    owed: tuple[str, ...] = ()
