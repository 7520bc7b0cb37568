"""Check sums of values in the ledger: SQLite has none, and a value with a flipped bit may look right."""

from __future__ import annotations

from zlib import crc32


def check_sum(*values: str | int | bytes) -> int:
    """Return a check sum of values, the same on every machine and in every version of Python."""
    found = 0
    for value in values:
        found = crc32(value if type(value) is bytes else str(value).encode("utf-8", "surrogatepass"), found)
    return found


def expect_sum(found: int, *values: str | int | bytes) -> None:
    """Check that values are those that a check sum was made of. Raises ValueError."""
    if found != check_sum(*values):
        raise ValueError("its check sum is wrong")
