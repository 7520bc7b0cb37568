"""The rows of a query as an input: JSON lines, one row a line, in the order of a column."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any, NamedTuple

from km_cli.errors import InputError, KmError, ReadError, UsageError, did_you_mean
from km_cli.inputs.base import Check, FormatOptions, no_check
from km_cli.inputs.source import Source, Stream
from km_cli.inputs.sql.address import Kind
from km_cli.inputs.sql.base import Column, Fault, Position, Query, Session
from km_cli.inputs.sql.text import described, has_since, ordered
from km_cli.inputs.sql.waiting import Waiting

_JSON_LINES = FormatOptions("jsonl")
_FIRST = 50
_MOST = 1000
"""Rows that are fetched at a time, at the beginning and at most."""

_BLOCK = 1 << 20
"""Bytes that rows fetched at a time should have."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")


class Mark(NamedTuple):
    """A row that was read: the value of its order column as JSON text, and a digest of its id, b"" for none.

    `is_behind` if it stands before the position at which the last run stopped, or its value cannot be kept:
    it moves no position. `is_known` if the last run had read it, so that it is no row of the input.
    """

    value: str
    id: bytes
    is_behind: bool
    is_known: bool


class QuerySource(Source):
    """A query as an input that can be read once. `position` is where the last run stopped.

    `marks` has a mark for each row that was given out, in their order; who reads the rows takes them off.
    `keyed`, if set, hashes the digests of ids under a key.
    """

    is_query = True

    def __init__(self, query: Query, check: Check = no_check) -> None:
        super().__init__(query.source, None, _JSON_LINES, check=check)
        self.path = None
        self.query = query
        self.position = Position()
        self.marks: deque[Mark] = deque()
        self.keyed: Callable[[str], str] | None = None

    def pin(self) -> None:
        """Pin nothing: there is no file."""

    @property
    def is_regular(self) -> bool:
        """Return False: the rows can be read once."""
        return False

    def check(self) -> None:
        """Check nothing: a database is asked when its turn comes."""

    def open(self, *, only_unpacked: bool = False) -> Stream:  # noqa: ARG002 - the signature of files
        """Ask the query; return its rows. Raises UsageError, ReadError."""
        self.marks.clear()
        return QueryStream(self, self._check)


class QueryStream(Stream):
    """The rows of a query as bytes."""

    def __init__(self, source: QuerySource, check: Check) -> None:
        self._source = source
        self._query = source.query
        self._waiting = Waiting(check)
        self._session: Session | None = None
        self._rows = 0
        self._ready = memoryview(b"")
        try:
            self._lines = self._begin()
        except BaseException:
            self.close()
            raise

    def read(self, size: int = _BLOCK) -> bytes:
        """Return up to `size` bytes, b"" at the end. Raises ReadError, UsageError, InputError."""
        while not self._ready:
            lines = next(self._lines, None)
            if lines is None:
                return b""
            self._ready = memoryview(lines)
        data, self._ready = bytes(self._ready[:size]), self._ready[size:]
        return data

    def bytes_of_file(self, length: int | None) -> int:  # noqa: ARG002 - the signature of files
        """Return 0: it is not known how many rows there are."""
        return 0

    def check_content(self, head: bytes) -> None:
        """Check nothing: the rows are JSON lines."""

    def close(self) -> None:
        """Close the connection."""
        session, self._session = self._session, None
        self._waiting.close(session.close if session else lambda: None)

    def _do(self, work: Any) -> Any:
        """Do a piece of work with the database. Raises UsageError, ReadError."""
        try:
            return self._waiting.do(work, self._interrupt)
        except Fault as fault:
            raise self._error(fault) from None

    def _interrupt(self) -> None:
        if self._session is not None:
            self._session.interrupt()

    def _error(self, fault: Fault) -> KmError:
        query = self._query
        place = f"{query.source}, {query.database.kind.value} {query.database.place}"
        if fault.is_usage:
            return UsageError(f"{place}: {fault}", fault.hint)
        after = f", after {self._rows:,} rows" if self._rows else ""
        return ReadError(f"{place}{after}: {fault}", fault.hint)

    def _begin(self) -> Iterator[bytes]:
        """Check the columns, and ask the query; return its rows."""
        query, position = self._query, self._source.position
        session = self._session = self._do(partial(connect, query))
        columns = self._do(lambda: _described(session, query))
        order = _check_columns(query, columns)
        value = position.value or _start(query)
        since = self._do(lambda: session.literal(value, order)) if value else ""
        text = ordered(query, columns, since, goes_on=bool(position.value))
        self._do(lambda: session.run(text))
        return self._encoded(session, columns)

    def _encoded(self, session: Session, columns: Sequence[Column]) -> Iterator[bytes]:
        """Yield the rows as lines, many at a time."""
        names = [json.dumps(one.name, ensure_ascii=False) + ": " for one in columns]
        texts, named = [one.text for one in columns], [one.name for one in columns]
        order, id_ = named.index(self._query.order_by), named.index(self._query.id)
        most = _FIRST
        while rows := self._do(partial(session.fetch, most)):
            lines = []
            for row in rows:
                self._rows += 1
                cells = [
                    "null" if value is None else text(value) for text, value in zip(texts, row, strict=False)
                ]
                is_behind = bool(row[-1]) or not _can_be_kept(cells[order])
                mark = self._mark(cells[order], cells[id_], is_behind=is_behind)
                self._source.marks.append(mark)
                if not mark.is_known:
                    lines.append("{" + ", ".join(map(str.__add__, names, cells)) + "}\n")
            data = "".join(lines).encode("utf-8", "surrogateescape")
            most = max(1, min(_MOST, 2 * most, _BLOCK * len(lines) // (len(data) or 1) or most))
            if data:
                yield data

    def _mark(self, value: str, id_: str, *, is_behind: bool) -> Mark:
        """Return the mark of a row. Raises InputError for a row behind which no run can go on."""
        query, position = self._query, self._source.position
        if value == "null":
            raise InputError(
                f"{query.source}: row {self._rows:,} (id {id_}) has no {query.order_by}: a later run could "
                "not tell whether it was read",
                f"leave such rows out (WHERE {query.order_by} IS NOT NULL), or order by a column that each "
                "row has",
            )
        digest = b"" if id_ == "null" else _digest(id_.encode("utf-8", "surrogatepass"))
        if digest and self._source.keyed is not None:
            digest = _digest(self._source.keyed(digest.hex()).encode())
        is_known = value == position.value and digest in position.ids
        return Mark(value, digest, is_behind, is_known)


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).digest()


def _can_be_kept(value: str) -> bool:
    """Tell whether a later query can have this value in it: no bytes that are not UTF-8, and no NUL.

    SQLite alone has such texts.
    """
    if "\\u0000" in value:
        return False
    try:
        return value.isascii() or bool(value.encode())
    except UnicodeEncodeError:
        return False


def connect(query: Query) -> Session:
    """Return a connection to the database of a query. Raises Fault."""
    kind = query.database.kind
    if kind is Kind.SQLITE:
        from km_cli.inputs.sql.sqlite import Sqlite

        return Sqlite(query.database)
    if kind is Kind.DUCKDB:
        from km_cli.inputs.sql.duckdb import DuckDb

        return DuckDb(query.database)
    from km_cli.inputs.sql.postgresql import PostgreSql

    return PostgreSql(query.database)


def _described(session: Session, query: Query) -> Sequence[Column]:
    """Return the columns of a query. Raises Fault: its hint says that :since has no type of its own."""
    try:
        return session.columns(described(query))
    except Fault as fault:
        if fault.is_usage and has_since(query.sql) and query.database.kind is not Kind.SQLITE:
            fault.hint += "; if :since is part of a calculation, cast it: :since::timestamptz"
        raise


def _check_columns(query: Query, columns: Sequence[Column]) -> Column:
    """Return the order column. Raises UsageError if it or the id is missing, or a name stands there twice."""
    names = [column.name for column in columns]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(
            f"{query.source}: two columns of its result are called {twice!r}",
            f"give one of them another name: AS {twice}_2",
        )
    for label, wanted in (("--order-by", query.order_by), ("--id", query.id)):
        if wanted not in names:
            raise UsageError(
                f"{query.source}: its result has no column {wanted!r} ({label})",
                did_you_mean(wanted, names, f"the columns are: {', '.join(names)}"),
            )
    order = columns[names.index(query.order_by)]
    if not order.has_order:
        raise UsageError(
            f"{query.source}: rows cannot be read on behind a value of {query.order_by!r}, which is of type "
            f"{order.kind}",
            "order by a time, a number or a text that only grows, such as updated_at",
        )
    return order


def _start(query: Query) -> str:
    """Return the value of `:since` of the first run as JSON text. Raises UsageError if it is missing."""
    if not has_since(query.sql):
        return ""
    if not query.start:
        raise UsageError(
            f"{query.source}: it has :since, and nothing was read yet that could stand there",
            "say where to begin: start in km.toml, or --start VALUE; or leave the condition out of the query",
        )
    is_number = _NUMBER.fullmatch(query.start) is not None
    return query.start if is_number else json.dumps(query.start, ensure_ascii=False)
