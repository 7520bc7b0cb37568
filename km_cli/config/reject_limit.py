"""`--max-rejects`: the number of rejected rows at which a run stops."""

from __future__ import annotations

import re
from typing import NamedTuple

from km_cli.errors import TooManyRejects, UsageError

FEWEST_JUDGED = 1000
"""Rows. A percentage of fewer rows says little, so it is judged only at the end of the run."""


class RejectLimit(NamedTuple):
    """How many rows may be rejected: a number, or a percentage of the rows read. `text` is as given."""

    text: str
    most: float
    is_percentage: bool

    def check(self, rejected: int, read: int, *, at_end: bool) -> None:
        """Raise TooManyRejects if more rows are rejected, of those `read` so far, than the limit allows."""
        if self.is_percentage:
            too_many = rejected * 100 > self.most * read and (at_end or read >= FEWEST_JUDGED)
        else:
            too_many = rejected > self.most
        if too_many:
            raise TooManyRejects(
                f"{rejected:,} of {read:,} rows are rejected, more than --max-rejects {self.text} allows",
                "find the reason, correct the log or the flags, and run again: nothing is sent twice",
            )


def make_reject_limit(text: str) -> RejectLimit:
    """Parse `N` or `N%`. Raises UsageError for any other text."""
    number = re.fullmatch(r"(\d+)|(\d+(?:\.\d+)?)\s*%", text.strip(), re.ASCII)
    if number is None or float(number[2] or 0) > 100:
        raise UsageError(
            f"--max-rejects {text!r} is neither a number of rows nor a percentage",
            "for example 100 or 0.5%",
        )
    return RejectLimit(text.strip(), float(number[1] or number[2]), number[1] is None)
