"""DuckDB, by its own library. It writes values as text itself: Python's times have no nanoseconds."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from typing import Any

from km_cli.inputs.sql.address import Database
from km_cli.inputs.sql.base import Column, Fault, quoted, shortened
from km_cli.inputs.sql.text import BEGIN
from km_cli.inputs.sql.text import END as _TABLE
from km_cli.inputs.sql.values import (
    as_bool,
    as_bytes,
    as_decimal,
    as_float,
    as_json,
    as_moment,
    as_number,
    as_text,
)
from km_cli.install_hint import install_command

_WHOLE = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"}
_NUMBERS = _WHOLE | {f"U{name}" for name in _WHOLE}
_TYPES = {
    **dict.fromkeys(_NUMBERS, (as_number, True)),
    "BOOLEAN": (as_bool, False),
    "FLOAT": (as_float, True),
    "DOUBLE": (as_float, True),
    "VARCHAR": (as_text, True),
    "BLOB": (as_bytes, False),
}
"""Types whose values Python has as they are, with their text; the others come as text."""

_WRITTEN = {"DECIMAL": as_decimal, "DATE": as_text, "UUID": as_text}
_END = " LIMIT 0"
_MEMORY = "256MB"
_THREADS = 2


class DuckDb:
    """A connection to a file, which is opened read-only. Rows go to a temporary folder to be put in order."""

    def __init__(self, database: Database) -> None:
        """Raises Fault."""
        try:
            import duckdb
        except ImportError:
            raise Fault(
                "DuckDB takes a library that is not installed", install_command("sql"), is_usage=True
            ) from None
        self._error = duckdb.Error
        self._folder = tempfile.TemporaryDirectory(prefix="km-cli-")
        settings: Any = {"memory_limit": _MEMORY, "threads": _THREADS, "temp_directory": self._folder.name}
        try:
            self._database = duckdb.connect(database.target, read_only=True, config=settings)
            self._database.execute("SET TimeZone = 'UTC'")
        except duckdb.Error as error:
            self._folder.cleanup()
            raise _fault(error) from None

    def columns(self, sql: str) -> Sequence[Column]:
        """Return the columns of a SELECT. As a table, two of one name would get different names."""
        self._described(sql.removesuffix(_END))  # fails unless the user's text is one SELECT
        return self._described(sql.removeprefix(BEGIN).removesuffix(_TABLE + _END))

    def _described(self, sql: str) -> list[Column]:
        self.run(f"DESCRIBE {sql}")
        found: list[Column] = []
        while rows := self.fetch(1000):
            found += [_column(str(row[0]), str(row[1])) for row in rows]
        return found

    def literal(self, value: str, column: Column) -> str:
        """Return a value as text that is cast to the type of its column."""
        found = json.loads(value)
        text = found if isinstance(found, str) else value
        return "CAST('" + text.replace("'", "''") + f"' AS {column.kind})"

    def run(self, sql: str) -> None:
        """Begin a SELECT."""
        try:
            self._database.execute(sql)
        except self._error as error:
            raise _fault(error) from None

    def fetch(self, most: int) -> Sequence[Sequence[Any]]:
        """Return the next rows."""
        try:
            return self._database.fetchmany(most)
        except self._error as error:
            raise _fault(error) from None

    def interrupt(self) -> None:
        """Break off the query."""
        self._database.interrupt()

    def close(self) -> None:
        """Close the connection, and remove the temporary folder."""
        self._database.close()
        self._folder.cleanup()


def _column(name: str, kind: str) -> Column:
    value, base = f"km_cli_q.{quoted(name)}", kind.partition("(")[0]
    if kind in _TYPES:
        text, has_order = _TYPES[kind]
        return Column(name, kind, value, text, has_order)
    written = f"CAST({value} AS VARCHAR)"
    if kind == "JSON":
        return Column(name, kind, written, as_json, False)
    if kind.endswith("]") or base in ("STRUCT", "MAP", "UNION"):
        return Column(name, kind, f"CAST(to_json({value}) AS VARCHAR)", as_json, False)
    if kind.startswith("TIMESTAMP"):
        return Column(name, kind, written, as_moment, True)
    return Column(name, kind, written, _WRITTEN.get(base, as_text), base in _WRITTEN)


_LINE = re.compile(r"\s*\n\s*LINE \d+:.*", re.DOTALL)


def _fault(error: Exception) -> Fault:
    """Return what an error means. The classes of the library tell a lock from a file that is damaged."""
    kind, said = type(error).__name__, shortened(error)
    if kind == "IOException" and "lock" in said.lower():
        return Fault(f"it is being written by another program ({said})", "run again when that is done")
    if kind in ("IOException", "OutOfMemoryException", "InterruptException", "HTTPException"):
        return Fault(f"it cannot be read ({said})", "check the file and the room in TMPDIR, then run again")
    if kind in ("SerializationException", "InternalException", "FatalException"):
        return Fault(f"it cannot be read ({said})", "open it with the version of DuckDB that wrote it")
    return Fault(f"DuckDB says: {said}", "correct the query", is_usage=True)
