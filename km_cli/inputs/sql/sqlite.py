"""SQLite, by Python's own library. Its types belong to values: each value has the text of its own type."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from km_cli.inputs.sql.address import Database
from km_cli.inputs.sql.base import Column, Fault, quoted, shortened
from km_cli.inputs.sql.values import as_bytes, as_float, as_number, as_text

_BUSY = 10.0
"""Seconds that a writer of the database is waited for."""

_TEXTS = {int: as_number, float: as_float, str: as_text, bytes: as_bytes}
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_PASSING = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

_INFINITE = {"inf": "9e999", "-inf": "-9e999"}
"""No value that is not less than such a text is less than the number, so that no row is left out."""


def _text(value: Any) -> str:
    return _TEXTS[type(value)](value)


def _decoded(data: bytes) -> str:
    """Return text as it stands. A row with bytes that are no UTF-8 is rejected when its turn comes."""
    return data.decode("utf-8", "surrogateescape")


class Sqlite:
    """A connection to a file, which is opened read-only."""

    def __init__(self, database: Database) -> None:
        """Raises Fault."""
        try:
            place = f"{Path(database.target).as_uri()}?mode=ro"
            # Another thread waits for it, see `Waiting`; one at a time.
            self._database = sqlite3.connect(place, uri=True, timeout=_BUSY, check_same_thread=False)
        except sqlite3.Error as error:
            raise _fault(error) from None
        self._database.text_factory = _decoded
        self._cursor = self._database.cursor()

    def columns(self, sql: str) -> Sequence[Column]:
        """Return the columns. Two of one name get a number behind a colon here."""
        self.run(sql)
        names = [one[0] for one in self._cursor.description]
        plain = [name.rpartition(":")[0] if name.rpartition(":")[2].isdigit() else "" for name in names]
        found = [one if one in names else name for name, one in zip(names, plain, strict=True)]
        return [Column(name, "", f"km_cli_q.{quoted(name)}", _text, True) for name in found]

    def literal(self, value: str, column: Column) -> str:  # noqa: ARG002 - the type is that of the value
        """Return a number as it is, and any other value as text; infinity came as text."""
        found = json.loads(value)
        if found in _INFINITE:
            return _INFINITE[found]
        return value if isinstance(found, int | float) else "'" + found.replace("'", "''") + "'"

    def run(self, sql: str) -> None:
        """Begin a SELECT."""
        try:
            self._cursor.execute(sql)
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise _fault(error) from None

    def fetch(self, most: int) -> Sequence[Sequence[Any]]:
        """Return the next rows."""
        try:
            return self._cursor.fetchmany(most)
        except sqlite3.Error as error:
            raise _fault(error) from None

    def interrupt(self) -> None:
        """Break off the query."""
        self._database.interrupt()

    def close(self) -> None:
        """Close the connection."""
        self._database.close()


def _fault(error: Exception) -> Fault:
    code = (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
    said = shortened(error)
    if code in _LOCKED:
        return Fault(f"it is being written by another program ({said})", "run again when that is done")
    if code in _PASSING:
        return Fault(
            f"it cannot be read any further ({said})", "repair the disk or make room, then run again"
        )
    if code in _DAMAGED:
        return Fault(f"the file is damaged ({said})", "restore a copy of it, then run again")
    if code == sqlite3.SQLITE_CANTOPEN:
        return Fault(f"it cannot be opened ({said})", "check the permissions of the file", is_usage=True)
    if code == sqlite3.SQLITE_READONLY:
        return Fault(
            f"it cannot be opened without writing ({said})",
            "a program that wrote to it was cut off: open it once with that program, then run again",
        )
    hint = "correct the query"
    if isinstance(error, sqlite3.ProgrammingError) and "binding" in said:
        hint += ": :since is the only placeholder that km-cli fills in"
    return Fault(f"SQLite says: {said}", hint, is_usage=True)
