"""What every database does for a query, and what a run keeps of it.

`tests/test_sql.py` runs one suite over every database.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from km_cli.inputs.sql.address import Database

Text = Callable[[Any], str]
"""Returns a value that is not NULL as JSON text."""


class Query(NamedTuple):
    """A query whose rows are an input. `name` is that of its reading, and `sql` its text with `:since`.

    `order_by` and `id` are columns of the result: rows come in the order of the first one, and are told apart
    by the second. `start` is the value of `:since` as long as nothing was read, "" for none.
    """

    name: str
    sql: str
    database: Database
    order_by: str
    id: str
    start: str = ""

    @property
    def source(self) -> str:
        """The name in messages, in the ledger and in rejects."""
        return f"sql:{self.name}"


class Position(NamedTuple):
    """How far a query was read: the value of its order column, as JSON text, "" before the first row.

    `ids` are digests of the ids of the rows with this value that were read; more may have it later.
    """

    value: str = ""
    ids: frozenset[bytes] = frozenset()


class Column(NamedTuple):
    """A column of a result.

    `kind` is its type as the database calls it. `select` is the SQL of its value, and `text` turns that value
    into JSON text. `has_order` if a query can go on behind a value of this type.
    """

    name: str
    kind: str
    select: str
    text: Text
    has_order: bool


class Fault(Exception):
    """A database cannot do what it was asked to do. `str(fault)` says why, and `hint` what to do.

    `is_usage` if the command or the query is wrong, so that running it again does not help.
    """

    def __init__(self, message: str, hint: str, *, is_usage: bool = False) -> None:
        super().__init__(message)
        self.hint = hint
        self.is_usage = is_usage


class Session(Protocol):
    """An open connection that only reads. All methods raise Fault, but for `interrupt` and `close`."""

    def columns(self, sql: str) -> Sequence[Column]:
        """Return the columns that a SELECT has, without running it to its end."""

    def literal(self, value: str, column: Column) -> str:
        """Return SQL for a value of a column, which is given as JSON text."""

    def run(self, sql: str) -> None:
        """Begin a SELECT."""

    def fetch(self, most: int) -> Sequence[Sequence[Any]]:
        """Return up to `most` rows that follow; none at the end."""

    def interrupt(self) -> None:
        """Break off whatever another thread waits for."""

    def close(self) -> None:
        """Close the connection."""


def quoted(name: str) -> str:
    """Return a name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def shortened(error: Exception) -> str:
    """Return the message of a database on one line."""
    return " ".join(str(error).split())
