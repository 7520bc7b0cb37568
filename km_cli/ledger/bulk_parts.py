"""Bulk files: how long each was when the last batch was committed, and whether it is finished.

A batch and the new lengths of its files are one transaction. Bytes behind the length of a file are of a batch
that was not committed, so the next run cuts them off and writes that batch again.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from km_cli.ledger.damage import decoding, expect
from km_cli.ledger.sums import check_sum, expect_sum

_COLUMNS = "series, site, number, layout, length, crc, calls, is_open, sum"

_WAITS = 2
"""The value of `is_open` for a file that waits; 1 stands for an open file, and 0 for a finished one."""


class BulkPart(NamedTuple):
    """A bulk file: which one of a series and a site, and its content as far as it is committed.

    `series` is the path of the series, and `layout` (JSON) the layout of its lines. `length` is in bytes,
    `crc` the check sum of these bytes, and `calls` how many calls they are. A part that is not open is
    finished: it is never written again. If it `waits`, it is still to be uploaded.
    """

    series: str
    site: str
    number: int
    layout: str
    length: int = 0
    crc: int = 0
    calls: int = 0
    is_open: bool = True
    waits: bool = False


class BulkPartTable:
    """The bulk files of a ledger."""

    def __init__(self, database: sqlite3.Connection, schemas: tuple[str, ...]) -> None:
        self._database = database
        self._schema = schemas[-1]

    def unfinished(self, series: str) -> list[BulkPart]:
        """Return the files of a series that are open or wait, in the order of their numbers."""
        return list(self._select("series = ? AND is_open ORDER BY site, number", series))

    def last_number(self, series: str, site: str) -> int:
        """Return the highest number of a site's files in a series; 0 if there are none."""
        parts = self._select("series = ? AND site = ? ORDER BY number DESC LIMIT 1", series, site)
        return next((part.number for part in parts), 0)

    def all_unfinished(self) -> list[BulkPart]:
        """Return the files of all series that are open or wait."""
        return list(self._select("is_open ORDER BY series, site, number"))

    def all_finished(self) -> list[BulkPart]:
        """Return the files of all series that are finished."""
        return list(self._select("NOT is_open ORDER BY series, site, number"))

    def calls_by_site(self) -> dict[str, int]:
        """Return how many calls were written to files, by site. The ledger does not know of their upload."""
        found: Counter[str] = Counter()
        for part in self._select("calls > 0"):
            found[part.site] += part.calls
        return dict(found)

    def _select(self, where: str, *values: str) -> Iterator[BulkPart]:
        with decoding(self._database, "bulk_parts"):
            query = f"SELECT {_COLUMNS} FROM {self._schema}.bulk_parts WHERE {where}"
            for row in self._database.execute(query, values):
                yield part_from_row(row)

    def write(self, parts: Iterable[BulkPart]) -> None:
        """Write files as they are now; the caller's transaction makes that durable."""
        values = [(*part[:7], _WAITS if part.waits else int(part.is_open)) for part in parts]
        self._database.executemany(
            f"INSERT OR REPLACE INTO main.bulk_parts ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(*one, check_sum(*one)) for one in values],
        )

    def forget(self, parts: Iterable[BulkPart]) -> None:
        """Forget files that nothing was written to; the caller's transaction makes that durable."""
        self._database.executemany(
            "DELETE FROM main.bulk_parts WHERE series = ? AND site = ? AND number = ?",
            [part[:3] for part in parts],
        )


def part_from_row(row: tuple[Any, ...]) -> BulkPart:
    """Return the file that a row of the table describes. Raises ValueError if the row is damaged."""
    expect(row, str, str, int, str, int, int, int, int, int)
    expect_sum(row[-1], *row[:-1])
    series, site, number, layout, length, crc, calls, is_open, _ = row
    return BulkPart(series, site, number, layout, length, crc, calls, is_open == 1, is_open == _WAITS)
