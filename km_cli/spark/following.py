"""Follows the bytes of a file while it is read, to know it again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

from km_cli.inputs.base import LINE_ENDS, record_may_grow
from km_cli.ledger import Reading
from km_cli.model import Gap, Reject, Row

Item = Row | Reject | Gap

HEAD, READ = "head", "read"
"""Kinds of rows of MAPPED. HEAD: the file begins with all that the reading `code` has read. READ: `number`
bytes of it were read, up to `line`; `blob` is their digest."""


class Follower:
    """Follows the bytes of a file. `found` are those of the readings that it begins with, so far."""

    def __init__(self, number: int, preamble: bytes, readings: Iterable[Reading]) -> None:
        self._number = number
        self._heads: dict[int, list[Reading]] = {}
        for reading in readings:
            if reading.length:
                self._heads.setdefault(reading.length, []).append(reading)
        self._state = sha256()
        self.length = self._line = 0
        self.found: list[Reading] = []
        if preamble.endswith(LINE_ENDS):
            self._add(preamble)

    def follow(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items. A last record without a line end may still grow, and does not count as read."""
        growing = b""
        for item in items:
            if growing:
                self._add(growing)
            raw = _raw(item)
            growing = raw if record_may_grow(raw) else b""
            if not growing:
                self._add(raw)
            yield item

    def _add(self, raw: bytes) -> None:
        self._state.update(raw)
        self.length += len(raw)
        self._line += len((raw + b".").splitlines()) - 1
        if self.length in self._heads:
            digest = self._state.digest()
            self.found += [one for one in self._heads[self.length] if one.digest == digest]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of MAPPED about the whole file."""
        for reading in self.found:
            yield {"kind": HEAD, "reading": self._number, "code": str(reading.number)}
        yield {
            "kind": READ,
            "reading": self._number,
            "number": self.length,
            "line": self._line,
            "blob": self._state.digest(),
        }


def _raw(item: Item) -> bytes:
    return item.row.raw if isinstance(item, Reject) else item.raw
