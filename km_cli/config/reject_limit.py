"""How many rejected rows a run may have before it stops: `--max-rejects`."""

from __future__ import annotations

import re
from typing import NamedTuple

from km_cli.errors import TooManyRejects, UsageError

FEWEST_JUDGED = 1000
"""Rows; a percentage of fewer says little, unless there are no more."""


class RejectLimit(NamedTuple):
    """So many rejected rows are allowed, or that percentage of the rows read; `said` is how it was put."""

    said: str
    most: float
    is_percentage: bool

    def check(self, rejected: int, read: int, *, at_end: bool) -> None:
        """Raise TooManyRejects if so many rejected rows of those `read` so far are too many."""
        if self.is_percentage:
            too_many = rejected * 100 > self.most * read and (at_end or read >= FEWEST_JUDGED)
        else:
            too_many = rejected > self.most
        if too_many:
            raise TooManyRejects(
                f"{rejected:,} of {read:,} rows are rejected, more than --max-rejects {self.said} allows",
                "see why, mend the log or the flags, run again: what was sent stands and is not sent again",
            )


def make_reject_limit(text: str) -> RejectLimit:
    """Return what `N` or `N%` means. Raises UsageError if it is neither."""
    number = re.fullmatch(r"(\d+)|(\d+(?:\.\d+)?)\s*%", text.strip(), re.ASCII)
    if number is None or float(number[2] or 0) > 100:
        raise UsageError(
            f"--max-rejects {text!r} is neither a number of rows nor a percentage of them",
            "write it as 100 or as 0.5%",
        )
    return RejectLimit(text.strip(), float(number[1] or number[2]), number[1] is None)
