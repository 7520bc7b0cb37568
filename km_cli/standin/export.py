"""The store in the form of Kissmetrics' data export (W7): revisions of JSON lines, an index and a status."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CALLS_A_REVISION = 10_000
"""Calls that one file of the export holds. The last file may hold fewer."""


class Revision(NamedTuple):
    """One file of the export: its number from 1, lines, and its first and last UTC Unix second."""

    number: int
    lines: int
    first: int
    last: int


class Export:
    """Reads a store that may be in use as the files of a data export, in order of arrival.

    With `duplicates`, as in the older export, events that Kissmetrics counts once (D1) stand in it each time.
    """

    def __init__(self, path: Path, site: str | None = None, *, duplicates: bool = False) -> None:
        """Open the file. Raises sqlite3.Error if there is no store in it."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the file."""
        raise NotImplementedError

    def revision(self, number: int) -> Iterator[str] | None:
        """Yield the lines of `revisions/NUMBER.json`, without line ends; None if there is no such file."""
        raise NotImplementedError

    def index(self) -> list[Revision]:
        """Return the files of the export, as `index.csv` lists them."""
        raise NotImplementedError

    def index_csv(self) -> str:
        """Return the text of `index.csv`."""
        raise NotImplementedError

    def status_csv(self) -> str:
        """Return the text of `status.csv`: how many revisions there are, and how many are exported."""
        raise NotImplementedError
