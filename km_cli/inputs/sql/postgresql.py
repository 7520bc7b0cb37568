"""PostgreSQL, by psycopg: one read-only snapshot for all rows, fetched through a cursor of the server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from km_cli.inputs.sql.address import Database, password_of
from km_cli.inputs.sql.base import Column, Fault, quoted, shortened
from km_cli.inputs.sql.text import BEGIN
from km_cli.inputs.sql.values import (
    as_bool,
    as_decimal,
    as_float,
    as_hex,
    as_json,
    as_moment,
    as_number,
    as_text,
)
from km_cli.install_hint import install_command

_TYPES = {
    **dict.fromkeys(("int2", "int4", "int8", "oid"), (as_number, True)),
    **dict.fromkeys(("float4", "float8"), (as_float, True)),
    **dict.fromkeys(("text", "varchar", "bpchar", "uuid", "date"), (as_text, True)),
    **dict.fromkeys(("timestamp", "timestamptz"), (as_moment, True)),
    "numeric": (as_decimal, True),
    "bool": (as_bool, False),
    "bytea": (as_hex, False),
    "json": (as_json, False),
    "jsonb": (as_json, False),
}
"""Types with the text of their values, and whether a query can go on behind a value; the others are text."""

_SESSION = {
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "iso_8601",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    # The server would end a session that waits while calls are sent.
    "idle_in_transaction_session_timeout": "0",
    # All rows are fetched, not the first ones alone.
    "cursor_tuple_fraction": "1.0",
}
_PATIENCE = 10
"""Seconds to connect, unless the URL says otherwise."""

_PASSING = ("08", "53", "55", "57", "58", "40", "XX")
"""Classes of SQLSTATE that say nothing against the query: https://www.postgresql.org/docs/current/errcodes-appendix.html"""


class PostgreSql:
    """A connection to a server."""

    def __init__(self, database: Database) -> None:
        """Raises Fault."""
        try:
            import psycopg
        except ImportError:
            raise Fault(
                "PostgreSQL takes a library that is not installed",
                install_command("sql"),
                is_usage=True,
            ) from None
        self._psycopg = psycopg
        self._cursor: Any = None
        self._password = password_of(database)
        try:
            parts = psycopg.conninfo.conninfo_to_dict(database.target)
            parts = {"connect_timeout": _PATIENCE, "application_name": "km-cli", **parts}
            self._database = psycopg.connect(**parts, client_encoding="UTF8")  # type: ignore[arg-type]  # a dictionary
        except psycopg.ProgrammingError:
            raise Fault(
                "the URL of the database cannot be understood",
                "write postgresql://USER@HOST:PORT/DATABASE, with special characters percent-encoded",
                is_usage=True,
            ) from None
        except psycopg.Error as error:
            raise self._unreached(error) from None
        self._begin()

    def _begin(self) -> None:
        """Begin the transaction that all rows are read in."""
        level = self._psycopg.IsolationLevel.REPEATABLE_READ
        try:
            self._database.isolation_level, self._database.read_only = level, True
            for name, value in _SESSION.items():
                self._database.execute("SELECT set_config(%s, %s, false)", (name, value))
        except self._psycopg.Error as error:
            self.close()
            raise self._fault(error, "") from None

    def columns(self, sql: str) -> Sequence[Column]:
        """Return the columns of a SELECT."""
        try:
            found = self._database.execute(sql.encode()).description or ()
        except self._psycopg.Error as error:
            raise self._fault(error, sql) from None
        return [self._column(one.name, one.type_code) for one in found]

    def _column(self, name: str, oid: int) -> Column:
        known = self._psycopg.adapters.types.get(oid)
        kind, value = known.name if known else "", f"km_cli_q.{quoted(name)}"
        if known and known.array_oid == oid:
            return Column(name, f"{kind}[]", f"to_json({value})::text", as_json, False)
        text, has_order = _TYPES.get(kind, (as_text, False))
        return Column(name, kind or "of its own", f"{value}::text", text, has_order)

    def literal(self, value: str, column: Column) -> str:
        """Return a value as text that is cast to the type of its column."""
        found = json.loads(value)
        text = found if isinstance(found, str) else value
        escape = self._psycopg.pq.Escaping(self._database.pgconn).escape_literal
        return f"CAST({escape(text.encode()).decode()} AS {column.kind})"

    def run(self, sql: str) -> None:
        """Begin a SELECT."""
        try:
            self._cursor = self._database.cursor(name="km_cli")
            self._cursor.execute(sql.encode())
        except self._psycopg.Error as error:
            raise self._fault(error, "") from None

    def fetch(self, most: int) -> Sequence[Sequence[Any]]:
        """Return the next rows."""
        try:
            return self._cursor.fetchmany(most)  # type: ignore[no-any-return]  # untyped
        except self._psycopg.Error as error:
            raise self._fault(error, "") from None
        except UnicodeDecodeError:
            raise Fault(
                "the database has text that is not UTF-8", "correct its rows or its encoding", is_usage=True
            ) from None

    def interrupt(self) -> None:
        """Break off the query."""
        self._database.cancel()

    def close(self) -> None:
        """Close the connection, and the transaction with it. The cursor must not ask it any more."""
        self._database.close()
        if self._cursor is not None:
            with suppress(self._psycopg.Error):
                self._cursor.close()

    def _unreached(self, error: Exception) -> Fault:
        """Return what it means that there is no connection. Without an answer, the error has no code."""
        said = self._masked(error)
        if "password" in said or "authentication" in said or "no pg_hba.conf entry" in said:
            hint = "check the user, and the password in PGPASSFILE, PGSERVICE or the variable of the URL"
            return Fault(f"the server does not let this user in ({said})", hint, is_usage=True)
        if "does not exist" in said:
            return Fault(f"the server has no such database or user ({said})", "check the URL", is_usage=True)
        return Fault(f"the server cannot be reached ({said})", "check the URL and the server, then run again")

    def _masked(self, error: Exception) -> str:
        said = shortened(error)
        return said.replace(self._password, "***") if self._password else said

    def _fault(self, error: Any, sql: str) -> Fault:
        """Return what an error of the server means. `sql` has the user's text behind `BEGIN`."""
        state, said = error.sqlstate or "08", self._masked(error)
        diagnosis = error.diag
        if diagnosis.message_primary:
            hint = f"; {diagnosis.message_hint}" if diagnosis.message_hint else ""
            said = f"{diagnosis.message_primary}{hint}{_place(sql, diagnosis.statement_position)}"
        if state == "57014":
            return Fault(
                f"the server has broken the query off ({said})",
                "raise its statement_timeout, or make the query cheaper: an index on its order column",
            )
        if state.startswith(_PASSING):
            return Fault(f"the connection is lost ({said})", "run again: it goes on where this run stopped")
        if state == "42501":
            return Fault(
                f"PostgreSQL says: {said}", "let this user read the table (GRANT SELECT)", is_usage=True
            )
        if state == "25006":
            return Fault(f"the query would write ({said})", "km-cli only reads databases", is_usage=True)
        return Fault(f"PostgreSQL says: {said}", "correct the query", is_usage=True)


def _place(sql: str, position: str | None) -> str:
    """Return the place of a mistake in the user's text; a position counts the characters from 1."""
    if not sql or not position or int(position) <= len(BEGIN):
        return ""
    before = sql[len(BEGIN) : int(position) - 1]
    return f", at line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"
