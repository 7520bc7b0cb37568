"""Bounded memory of what was seen: a log has any number of people, names and values."""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Remembered(dict[K, V]):
    """A dictionary of at most `most` entries, which forgets all of them when one more comes.

    It is for entries that can be made again at any time, so that forgetting costs time and never changes a
    result. Forgetting all of them is simpler than forgetting the oldest, and it costs little: a log repeats
    its people, names and values within a short while.
    """

    __slots__ = ("most",)

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def remember(self, key: K, value: V) -> V:
        """Add an entry; return its value."""
        if len(self) >= self.most:
            self.clear()
        self[key] = value
        return value
