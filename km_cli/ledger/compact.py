"""A table from digests to numbers that takes few bytes: a log may have millions of people.

A dictionary takes more than 100 bytes for a digest and a number, this table 24 to 48. Digests are spread
evenly, so the first bits of one say where it stands (open addressing), and a walk through the table meets
them nearly sorted.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

_FIRST_BITS = 10
_from_bytes = int.from_bytes


class CompactTable:
    """Numbers of 64 bits, none of them 0, by digests of 8 bytes. Entries are never taken out, only changed.

    `cells` has the digest as a number at each even place, and its number in the place behind it: 0 if the two
    places are free. It is replaced when the table grows.
    """

    __slots__ = ("_bits", "_mask", "_shift", "cells", "count")

    def __init__(self, bits: int = _FIRST_BITS) -> None:
        self._bits = bits
        self._shift = 64 - bits
        self._mask = (2 << bits) - 1
        self.cells = array("Q", [0]) * (2 << bits)
        self.count = 0

    def find(self, key: bytes) -> int:
        """Return the place in `cells` of a digest's number, or where it would stand: there is a 0 then."""
        return self._find(_from_bytes(key))

    def _find(self, number: int) -> int:
        cells = self.cells
        at = (number >> self._shift) << 1
        while cells[at + 1] and cells[at] != number:
            at = (at + 2) & self._mask
        return at + 1

    def get(self, key: bytes) -> int:
        """Return the number of a digest, 0 if it has none."""
        # As `_find` does: this is asked for each call, and a function more costs as much as the search.
        number, cells = _from_bytes(key), self.cells
        at = (number >> self._shift) << 1
        while (found := cells[at + 1]) and cells[at] != number:
            at = (at + 2) & self._mask
        return found

    def put(self, key: bytes, value: int) -> None:
        """Set the number of a digest."""
        number = _from_bytes(key)
        at = self._find(number)
        if not self.cells[at]:
            self.cells[at - 1] = number
            self.count += 1
        self.cells[at] = value
        if self.count * 3 > self._mask:  # Two thirds are taken: a search takes two or three steps.
            self._grow()

    def items(self) -> Iterator[tuple[bytes, int]]:
        """Yield each digest and its number, nearly sorted by digest."""
        cells = self.cells
        for at in range(1, len(cells), 2):
            if cells[at]:
                yield cells[at - 1].to_bytes(8), cells[at]

    def _grow(self) -> None:
        larger = CompactTable(self._bits + 1)
        cells, into, find = self.cells, larger.cells, larger._find
        for at in range(1, len(cells), 2):
            if cells[at]:
                place = find(cells[at - 1])
                into[place - 1], into[place] = cells[at - 1], cells[at]
        self._bits, self._shift, self._mask = larger._bits, larger._shift, larger._mask
        self.cells = into
