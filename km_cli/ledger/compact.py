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
        number, cells = _from_bytes(key), self.cells
        at = (number >> self._shift) << 1
        while cells[at] != number and cells[at + 1]:
            at = (at + 2) & self._mask
        return at + 1

    def get(self, key: bytes) -> int:
        """Return the number of a digest, 0 if it has none."""
        return self.cells[self.find(key)]

    def put(self, key: bytes, value: int) -> None:
        """Set the number of a digest."""
        at, cells = self.find(key), self.cells
        is_new = not cells[at]
        cells[at] = value
        if is_new:
            cells[at - 1] = _from_bytes(key)
            self.count += 1
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
        cells, into, shift, mask = self.cells, larger.cells, larger._shift, larger._mask
        for at in range(0, len(cells), 2):
            if cells[at + 1]:
                place = (cells[at] >> shift) << 1
                while into[place + 1]:
                    place = (place + 2) & mask
                into[place], into[place + 1] = cells[at], cells[at + 1]
        self._bits, self._shift, self._mask = larger._bits, shift, mask
        self.cells = into
