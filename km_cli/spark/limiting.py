"""`--limit`: the first rows of a job, in the order of its files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from km_cli.mapping import LeftOut
from km_cli.model import Event, Gap, Reject
from km_cli.run.overlaps import Span
from km_cli.spark.following import Item


class Limit(NamedTuple):
    """The rows that may be taken of a file behind a line: earlier jobs have read it up to there.

    `rest` is the span of the rows that are not taken, as far as it matters.
    """

    rows: int
    line: int = 0
    rest: Span = Span()


class Limiter:
    """Ends the items of a file when as many rows were taken as may be. `has_cut` if any row was left."""

    def __init__(self, limit: Limit | None) -> None:
        self.left = limit.rows if limit is not None else None
        self._line = limit.line if limit is not None else 0
        self.has_cut = False

    def cut(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items. A row counts by what the mapping makes of it, before the next one is asked for."""
        for item in items:
            if self.left == 0 and not isinstance(item, Gap):
                self.has_cut = True
                return
            yield item

    def count(self, one: Event | Reject | LeftOut) -> None:
        """Count a row, unless it is outside of the selection or was read by an earlier job."""
        if self.left is not None and type(one) is not LeftOut and one.row.line > self._line:
            self.left -= 1
