"""A packed input as a stream of bytes, and the errors for data that cannot be unpacked."""

from __future__ import annotations

from typing import Protocol


class Bytes(Protocol):
    """The two methods of a file that readers use."""

    def read1(self, size: int, /) -> bytes:
        """Return up to `size` bytes, b"" at the end."""
        ...

    def close(self) -> None:
        """Close the stream and the file below it."""
        ...


class Damaged(Exception):
    """Compressed data cannot be unpacked any further; str() says why."""


class EndsEarly(Damaged):
    """The data ends early. All before the end is sound; the rest is missing, or not written yet."""


class TooLarge(Damaged):
    """The data needs more memory than km-cli gives it. `program` unpacks it with as much as it needs."""

    def __init__(self, message: str, program: str) -> None:
        super().__init__(message)
        self.program = program
