"""Check sums of values in the ledger: SQLite has none, and a value with a flipped bit may look valid."""

from __future__ import annotations

from zlib import crc32


def check_sum(*values: str | int | bytes) -> int:
    """Return a check sum of values, the same on every machine and in every version of Python."""
    found = 0
    for value in values:
        found = crc32(value if type(value) is bytes else str(value).encode("utf-8", "surrogatepass"), found)
    return found


def expect_sum(found: int, *values: str | int | bytes) -> None:
    """Check values by their check sum. Raises ValueError if it is not theirs."""
    if found != check_sum(*values):
        raise ValueError("its check sum is wrong")
