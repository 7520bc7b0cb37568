"""How far logs were read. By the bytes already read, a reading is found again in whatever file has them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Head(NamedTuple):
    """How far a reading got: the digest of the bytes read, the digest of its settings, and its rows."""

    number: int
    asked: str
    digest: bytes
    rows: int


class Heads:
    """The heads of all readings, by the number of bytes read and by their digest."""

    def __init__(self) -> None:
        self._by_length: dict[int, dict[bytes, list[Head]]] = {}
        self._by_reading: dict[int, tuple[int, Head]] = {}

    @property
    def lengths(self) -> Iterable[int]:
        """All numbers of bytes that readings have read."""
        return self._by_length

    def matching(self, length: int, digest: bytes) -> list[Head]:
        """Return the heads of readings that have read these bytes, the latest first."""
        return self._by_length[length].get(digest, [])[::-1]

    def put(self, head: Head, length: int) -> None:
        """Add a head, and remove the one that its reading had before."""
        old_length, old = self._by_reading.pop(head.number, (0, head))
        if old_length:
            same_length = self._by_length[old_length]
            same_length[old.digest].remove(old)
            if not same_length[old.digest]:
                del same_length[old.digest]
            if not same_length:
                del self._by_length[old_length]
        self._by_length.setdefault(length, {}).setdefault(head.digest, []).append(head)
        self._by_reading[head.number] = length, head
