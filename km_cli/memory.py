"""Bounded memory of what was seen: a log has any number of people, names and values."""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Remembered(dict[K, V]):
    """A dictionary of at most `most` entries, which forgets all of them when one more comes.

    Every entry can be made again at any time: forgetting costs time and never changes a result. Forgetting
    all is simpler than forgetting the oldest, and costs little: a log that has more than `most` of anything
    repeats the same ones within a short while.
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
