"""The store in the form of Kissmetrics' data export (W7): revisions of JSON lines, an index and a status.

The columns of both tables are those of the page data-export. No page shows how it writes a UTC time.
"""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from km_cli.standin.looking import open_to_read
from km_cli.standin.schema import ALIAS, EVENT, IGNORED
from km_cli.standin.wire import fold

CALLS_A_REVISION: Final = 10_000
"""Calls that one file of the export covers. The last file may have fewer, and ignored calls are in none."""

_STATUS: Final = (
    "Total Revisions",
    "Exported Revisions",
    "Max Exported Revision Timestamp",
    "Max Exported Revision UTC Timestamp",
)
_INDEX: Final = (
    "Filename",
    "Minimum Timestamp",
    "Maximum Timestamp",
    "Minimum UTC Timestamp",
    "Maximum UTC Timestamp",
)

_FILES: Final = f"""SELECT 1 + (c.id - j.before - 1) / {CALLS_A_REVISION} AS file, count(*),
min(coalesce(c.second, c.arrived)), max(coalesce(c.second, c.arrived))
FROM kept_journal j CROSS JOIN kept_calls c LEFT JOIN kept_products o ON o.id = c.product
WHERE c.kind <> {IGNORED} AND (?1 IS NULL OR o.key = ?1) GROUP BY file ORDER BY file"""
_LINES: Final = f"""SELECT c.kind, coalesce(c.second, c.arrived), p.identity, s.text, a.identity,
c.properties, (SELECT min(f.rule) FROM kept_facts f WHERE f.call = c.id AND f.rule IN ('D1', 'repeat'))
FROM kept_journal j CROSS JOIN kept_calls c
ON c.id > j.before + (?2 - 1) * {CALLS_A_REVISION} AND c.id <= j.before + ?2 * {CALLS_A_REVISION}
LEFT JOIN kept_products o ON o.id = c.product LEFT JOIN kept_people p ON p.id = c.person
LEFT JOIN kept_spellings s ON c.kind = {EVENT} AND s.id = c.name
LEFT JOIN kept_people a ON c.kind = {ALIAS} AND a.id = c.name
WHERE c.kind <> {IGNORED} AND (?1 IS NULL OR o.key = ?1) ORDER BY c.id"""
_LAST_FILE: Final = f"""SELECT 1 + (max(c.id) - j.before - 1) / {CALLS_A_REVISION}
FROM kept_journal j CROSS JOIN kept_calls c"""
_HAS_JOURNAL: Final = "SELECT count(*) FROM sqlite_master WHERE name = 'kept_journal'"


class Revision(NamedTuple):
    """One file of the export: its number from 1, its calls, and its first and last UTC Unix second."""

    number: int
    calls: int
    first: int
    last: int


class Export:
    """Reads a store that may be in use as the files of a data export, in order of arrival.

    An alias has the second of its arrival, because it has no time of its own. Names have spaces for commas
    and colons (D4); values are text, as they were sent. By the newer page there are no duplicates: an event
    that merged with another one (D1) leaves only its properties. With `duplicates`, as by the older page,
    each call stands in it as it was sent.

    The numbers of files count the calls of all sites, so that a file may be empty for one site.
    """

    def __init__(self, path: Path, site: str | None = None, *, duplicates: bool = False) -> None:
        """Prepare to read a file: all its sites, or one."""
        self._path = path
        self._site = site
        self._duplicates = duplicates

    def index(self) -> list[Revision]:
        """Return the files of the export. Raises sqlite3.Error if the file cannot be read."""
        return [Revision._make(row) for row in self._rows(_FILES, (self._site,))]

    def revision(self, number: int) -> Iterator[str] | None:
        """Yield the lines of `revisions/NUMBER.json`, without line ends; None if there is no such file.

        Raises sqlite3.Error if the store cannot be read.
        """
        if not 0 < number <= self._files():
            return None
        return self._lines(self._rows(_LINES, (self._site, number)))

    def index_csv(self) -> str:
        """Return the text of `index.csv`. Raises sqlite3.Error if the file cannot be read."""
        return _table(
            _INDEX,
            (
                (f"revisions/{one.number}.json", one.first, one.last, _utc(one.first), _utc(one.last))
                for one in self.index()
            ),
        )

    def status_csv(self) -> str:
        """Return the text of `status.csv`: all files are exported. Raises sqlite3.Error."""
        number = self._files()
        last = max((one.last for one in self.index()), default=None)
        times = ("", "") if last is None else (last, _utc(last))
        return _table(_STATUS, [(number, number, *times)])

    def _files(self) -> int:
        return next((number or 0 for (number,) in self._rows(_LAST_FILE, ())), 0)

    def _rows(self, query: str, values: tuple[Any, ...]) -> list[Any]:
        with closing(open_to_read(self._path)) as db:
            return db.execute(query, values).fetchall() if _has_journal(db) else []

    def _lines(self, rows: list[Any]) -> Iterator[str]:
        for kind, second, identity, event, other, properties, merged in rows:
            line = {fold(name): value for name, value in json.loads(properties or "[]")}
            line |= {"_p": identity, "_t": second}
            if kind == ALIAS:
                line["_p2"] = other
            elif kind == EVENT and (self._duplicates or not merged):
                line["_n"] = fold(event)
            elif merged == "repeat" or len(line) == 2:
                continue
            yield json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def _has_journal(db: sqlite3.Connection) -> bool:
    return bool(db.execute(_HAS_JOURNAL).fetchone()[0])


def _table(header: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def _utc(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
