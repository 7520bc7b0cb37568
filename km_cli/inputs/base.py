"""What an input format is: bytes in, rows out, with nothing in between lost.

A reader's items, in order, cover every byte it was given: the raws of its `Row`s, `Reject`s and `Gap`s,
joined, are the input from where it began. That is what lets the ledger know a reading by its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from km_cli.model import Gap, Reject, Row

Item = Row | Reject | Gap

LONGEST_RECORD = 1 << 20
"""Bytes; a longer record is rejected, at constant memory (bad-input.md)."""


class Reader(Protocol):
    """Reads the records of one input."""

    columns: tuple[str, ...]
    """The columns found: of the header, or the keys of the first objects."""

    tabular: bool
    """Whether a row's values are a list in the order of `columns`; else they are objects."""

    preamble: bytes
    """The bytes before the first record: byte order mark and header."""

    def items(self) -> Iterator[Row | Reject | Gap]:
        """Yield every record in order.

        Raises InputError where the input as a whole turns out not to be understood, ReadError where it
        stops being readable.
        """
        ...
