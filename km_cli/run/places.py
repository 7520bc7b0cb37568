"""The places of the findings of one code: lines by input, in few bytes."""

from __future__ import annotations

MOST_RANGES = 1_000
"""How many ranges of lines are kept for one code. Later places are counted: memory stays constant."""


class Places:
    """Remembers lines by input. Lines that follow each other are one range."""

    __slots__ = ("_ranges", "_room", "more")

    def __init__(self) -> None:
        self._ranges: dict[str, list[list[int]]] = {}
        self._room = MOST_RANGES
        self.more = 0
        """How many places came when there was no room for them."""

    def add(self, source: str, line: int) -> None:
        """Remember a line, counted from 1. A place without a line is not remembered."""
        if not line:
            return
        ranges = self._ranges.get(source)
        if ranges and ranges[-1][0] <= line <= ranges[-1][1] + 1:
            ranges[-1][1] = max(line, ranges[-1][1])
        elif not self._room:
            self.more += 1
        else:
            self._room -= 1
            self._ranges.setdefault(source, []).append([line, line])

    def by_source(self) -> dict[str, str]:
        """Return the lines of each input as text: "2, 5-9", in the order in which they came."""
        return {
            source: ", ".join(
                f"{first:,}" if first == last else f"{first:,}-{last:,}" for first, last in ranges
            )
            for source, ranges in self._ranges.items()
        }
