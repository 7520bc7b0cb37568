"""Readings: how far a file was read, known again by the bytes already read and how they were mapped."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from km_cli.ledger.damage import decoding, expect
from km_cli.model import Origin


class Reading(NamedTuple):
    """One file under one mapping, as far as it was read.

    `asked` digests what the flags asked for and `mapping` is what came of it (JSON). `length` bytes of
    content in `line` lines are behind the cursor, `digest` is theirs. `rows` were read, of which
    `rejected` were rejected, and later `refused` by a destination. `token` is its name in rejects
    files. `actor` says who acted: tracker, site and persona.
    """

    number: int
    token: str
    asked: str
    mapping: str
    source: str
    columns: tuple[str, ...]
    delimiter: str
    length: int = 0
    line: int = 0
    rows: int = 0
    rejected: int = 0
    digest: bytes = b""
    refused: int = 0
    actor: str = ""

    @property
    def origin(self) -> Origin:
        """What a reject of this reading says of where it is from."""
        return Origin(self.token, (), self.columns, self.delimiter)


_COLUMNS = (
    "reading, token, asked, mapping, source, columns, delimiter, length, line, rows, rejected, digest, "
    "refused, actor"
)


_TYPES = (int, str, str, str, str, str, str, int, int, int, int, bytes, int, str)


class Head(NamedTuple):
    """What knows a reading's bytes again: their digest, how it was asked for, who acted, and its rows."""

    number: int
    asked: str
    digest: bytes
    actor: str
    rows: int


class Heads:
    """All heads by how many bytes are behind them, and by the digest of those."""

    def __init__(self) -> None:
        self._found: dict[int, dict[bytes, list[Head]]] = {}
        self._places: dict[int, tuple[int, Head]] = {}

    @property
    def lengths(self) -> Iterable[int]:
        """How many bytes are behind a head, of any."""
        return self._found

    def of(self, length: int, digest: bytes) -> list[Head]:
        """Return those with so many bytes of this digest behind them, the latest first."""
        return self._found[length].get(digest, [])[::-1]

    def put(self, head: Head, length: int) -> None:
        """Add a head, in the place of the one its reading had before."""
        before, old = self._places.pop(head.number, (0, head))
        if before:
            alike = self._found[before]
            alike[old.digest].remove(old)
            if not alike[old.digest]:
                del alike[old.digest]
            if not alike:
                del self._found[before]
        self._found.setdefault(length, {}).setdefault(head.digest, []).append(head)
        self._places[head.number] = length, head


class ReadingTable:
    """The readings of a ledger."""

    def __init__(self, database: sqlite3.Connection, schemas: tuple[str, ...]) -> None:
        self._database = database
        self._schemas = schemas
        self._heads: Heads | None = None
        self._last = max(
            database.execute(f"SELECT coalesce(max(reading), 0) FROM {name}.readings").fetchone()[0]
            for name in schemas
        )
        expect((self._last,), int)

    @property
    def heads(self) -> Heads:
        """How far all readings got. Looked up once: a run may meet thousands of files, and readings."""
        if self._heads is None:
            self._heads = Heads()
            with decoding(self._database, "readings"):
                for name in self._schemas:
                    rows = self._database.execute(
                        f"SELECT reading, asked, digest, actor, rows, length FROM {name}.readings "
                        "WHERE length > 0 ORDER BY reading"
                    )
                    for row in rows:
                        expect(row, int, str, bytes, str, int, int)
                        self._heads.put(Head(*row[:5]), row[5])
        return self._heads

    def by_token(self, token: str) -> Reading | None:
        """Return the reading that a reject names."""
        return self._one("token = ?", token)

    def by_number(self, number: int) -> Reading | None:
        """Return the reading with this number."""
        return self._one("reading = ?", number)

    def _one(self, where: str, *values: object) -> Reading | None:
        with decoding(self._database, "readings"):
            for name in self._schemas:
                row = self._database.execute(
                    f"SELECT {_COLUMNS} FROM {name}.readings WHERE {where} ORDER BY reading DESC", values
                ).fetchone()
                if row:
                    expect(row, *_TYPES)
                    fields = list(row)
                    fields[5] = tuple(json.loads(fields[5]))
                    expect(fields[5], *[str] * len(fields[5]))
                    return Reading._make(fields)
        return None

    def begin(
        self,
        asked: str,
        mapping: str,
        source: str,
        columns: tuple[str, ...],
        delimiter: str,
        actor: str = "",
    ) -> Reading:
        """Return a new reading; it is written with its first batch."""
        self._last += 1
        token = secrets.token_hex(8)
        return Reading(self._last, token, asked, mapping, source, columns, delimiter, actor=actor)

    def write(self, reading: Reading) -> None:
        """Write how far it got; the caller's transaction makes it durable."""
        values = list(reading)
        values[5] = json.dumps(reading.columns)
        marks = ",".join("?" * len(values))
        self._database.execute(
            f"INSERT INTO main.readings ({_COLUMNS}) VALUES ({marks}) ON CONFLICT (reading) DO UPDATE SET "
            "source = excluded.source, length = excluded.length, line = excluded.line, rows = excluded.rows, "
            "rejected = excluded.rejected, digest = excluded.digest",
            values,
        )
        if self._heads is not None and reading.length:
            head = Head(reading.number, reading.asked, reading.digest, reading.actor, reading.rows)
            self._heads.put(head, reading.length)

    def count_refused(self, number: int, rows: int) -> None:
        """Count rows that a destination refused; the caller's transaction makes it durable."""
        self._database.execute(
            "UPDATE main.readings SET refused = refused + ? WHERE reading = ?", (rows, number)
        )
