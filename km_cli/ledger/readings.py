"""Readings: how far a file was read, known again by the bytes already read and how they were mapped."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections import defaultdict
from typing import NamedTuple

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


class Head(NamedTuple):
    """What knows a reading's bytes again: their digest, how it was asked for, who acted, and its rows."""

    number: int
    asked: str
    digest: bytes
    actor: str
    rows: int


class ReadingTable:
    """The readings of a ledger."""

    def __init__(self, database: sqlite3.Connection, schemas: tuple[str, ...]) -> None:
        self._database = database
        self._schemas = schemas
        self._last = max(
            database.execute(f"SELECT coalesce(max(reading), 0) FROM {name}.readings").fetchone()[0]
            for name in schemas
        )

    def heads(self) -> dict[int, list[Head]]:
        """Return how far all readings got, the latest first, by length."""
        found: defaultdict[int, list[Head]] = defaultdict(list)
        for name in self._schemas:
            rows = self._database.execute(
                f"SELECT reading, asked, digest, actor, rows, length FROM {name}.readings WHERE length > 0 "
                "ORDER BY reading DESC"
            )
            for *fields, length in rows:
                found[length].append(Head(*fields))
        return found

    def by_token(self, token: str) -> Reading | None:
        """Return the reading that a reject names."""
        return self._one("token = ?", token)

    def by_number(self, number: int) -> Reading | None:
        """Return the reading with this number."""
        return self._one("reading = ?", number)

    def _one(self, where: str, *values: object) -> Reading | None:
        for name in self._schemas:
            row = self._database.execute(
                f"SELECT {_COLUMNS} FROM {name}.readings WHERE {where} ORDER BY reading DESC", values
            ).fetchone()
            if row:
                fields = list(row)
                fields[5] = tuple(json.loads(fields[5]))
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

    def count_refused(self, number: int, rows: int) -> None:
        """Count rows that a destination refused; the caller's transaction makes it durable."""
        self._database.execute(
            "UPDATE main.readings SET refused = refused + ? WHERE reading = ?", (rows, number)
        )
