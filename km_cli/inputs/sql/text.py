"""The text of a query: where `:since` stands, and the SELECT around it.

The query of the user becomes a table in a SELECT of ours, which puts its rows in order. A statement that
changes data cannot stand there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from km_cli.errors import UsageError
from km_cli.inputs.sql.base import Column, Query, quoted

_TOKEN = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/|(?P<tag>\$\w*\$).*?(?P=tag)|::|(?P<since>:since\b)""",
    re.DOTALL | re.ASCII,
)
"""Texts, names, comments and casts, in which `:since` means nothing; and `:since` itself."""

_COMMENTS = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)
_WRITES = frozenset(
    (
        *("insert", "update", "delete", "merge", "replace", "truncate", "create", "drop", "alter", "grant"),
        *("revoke", "copy", "attach", "detach", "vacuum", "pragma", "set", "call", "do", "begin", "commit"),
        *("export", "import", "install", "load"),
    )
)
BEFORE = "km_cli_before"
"""The column that says whether a row stands before the position of the last run."""


def has_since(sql: str) -> bool:
    """Tell whether a query has `:since` in it."""
    return any(found["since"] for found in _TOKEN.finditer(sql))


def with_since(sql: str, value: str) -> str:
    """Return a query with SQL in the place of each `:since`."""
    return _TOKEN.sub(lambda found: value if found["since"] else found[0], sql)


def check_reads(sql: str, label: str) -> str:
    """Return a query without a semicolon at its end. Raises UsageError for one that would change data."""
    text = sql.strip().removesuffix(";").rstrip()
    bare = _COMMENTS.sub("", text, count=1)
    if not bare:
        raise UsageError(f"{label} has no query in it", 'write one: "SELECT * FROM events"')
    first = re.split(r"\W", bare, maxsplit=1)[0]
    if first.lower() in _WRITES:
        raise UsageError(
            f"{label} begins with {first.upper()}: km-cli only reads databases",
            "write a query that begins with SELECT, or with WITH",
        )
    return text


def wrapped(sql: str) -> str:
    """Return a query as a table. A comment at its end must not swallow what follows."""
    return f"{BEGIN}{sql}{END}"


BEGIN, END = "SELECT * FROM (\n", "\n) AS km_cli_q"
"""The text before and behind that of the user."""


def described(query: Query) -> str:
    """Return the SELECT by which columns are found. No place in it differs from that in the user's text."""
    return f"{wrapped(with_since(query.sql, 'NULL  '))} LIMIT 0"


def ordered(query: Query, columns: Sequence[Column], since: str, *, goes_on: bool) -> str:
    """Return the SELECT of all rows in order, the columns followed by `BEFORE`.

    `since` is SQL for the value of `:since`, "" for none; with `goes_on` it is where the last run stopped.
    Rows without a value come first, so that they show at once.
    """
    order, own = f"km_cli_q.{quoted(query.order_by)}", has_since(query.sql)
    before = f"{order} < {since}" if goes_on and own else "1 = 0"
    selected = ", ".join(f"{one.select} AS {quoted(one.name)}" for one in columns)
    table = wrapped(with_since(query.sql, since)).replace("*", f"{selected}, {before} AS {BEFORE}", 1)
    behind = f" WHERE {order} >= {since} OR {order} IS NULL" if goes_on and not own else ""
    return f"{table}{behind} ORDER BY {order} NULLS FIRST, km_cli_q.{quoted(query.id)}"
