"""Readings: how far a file was read, known again by the bytes already read and how they were mapped."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from km_cli.ledger.damage import decoding, expect
from km_cli.ledger.sums import check_sum
from km_cli.model import Origin, Overlap


class Reading(NamedTuple):
    """One file under one mapping, as far as it was read.

    `asked` digests what the flags asked for and `mapping` is what came of it (JSON). `length` bytes of
    content in `line` lines are behind the cursor, `digest` is theirs. `rows` were read, of which
    `rejected` were rejected, and later `refused` by a destination. `token` is its name in rejects
    files. `actor` says who acted: tracker, site and persona.

    `begun` is when it was first read, in seconds since 1970. Its events are from the second `first` to `last`
    (0: none yet); `dated` if some of them say no time of day. `start` is the hash of its first 64 KiB.
    `regular` are the columns that every row has. `personas` (JSON) did what came of it: `calls` planned by
    tracker, site and persona. `overlap` and `as_new` are what flags decided: how it overlaps with others, and
    the numbers of the readings that it is never matched with. What is not known of a reading of format 2 is
    0, b"" or "".
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
    begun: int = 0
    first: int = 0
    last: int = 0
    dated: bool = False
    start: bytes = b""
    regular: tuple[str, ...] = ()
    personas: str = ""
    calls: tuple[tuple[str, int], ...] = ()
    overlap: Overlap = Overlap.ASK
    as_new: tuple[int, ...] = ()

    @property
    def is_of_format_2(self) -> bool:
        """Whether a km-cli of that format began it, and not how it was read but only how far is known."""
        return not self.begun

    @property
    def origin(self) -> Origin:
        """What a reject of this reading says of where it is from."""
        return Origin(self.token, (), self.columns, self.delimiter)


_COLUMNS = (
    "reading, token, asked, mapping, source, columns, delimiter, length, line, rows, rejected, digest, "
    "refused, actor, begun, first, last, dated, start, regular, personas, calls, overlap, as_new"
)
_SUMMED = "token, asked, mapping, actor, begun, start, personas"
"""What stays as it is from the first batch on: what decides which rows are known, and how they are mapped."""
_KEPT = (
    "source",
    "length",
    "line",
    "rows",
    "rejected",
    "digest",
    "first",
    "last",
    "dated",
    "overlap",
    "columns",
    "regular",
    "as_new",
)
"""What a later run changes. `calls` is counted by the batch, `refused` when a destination refuses."""


def _to_row(reading: Reading) -> tuple[object, ...]:
    values = reading._asdict()
    values.update(
        columns=json.dumps(reading.columns),
        regular=json.dumps(reading.regular),
        calls=json.dumps(dict(reading.calls)),
        overlap=reading.overlap.value,
        as_new=json.dumps(reading.as_new),
    )
    return (*values.values(), _sum_of(reading))


def _sum_of(reading: Reading) -> int:
    return check_sum(*[getattr(reading, name) for name in _SUMMED.split(", ")])


_TYPES = (
    *(int, str, str, str, str, str, str, int, int, int, int, bytes, int, str),
    *(int, int, int, int, bytes, str, str, str, str, str, int),
)


def _from_row(row: tuple[Any, ...]) -> Reading:
    """Return a reading as it was written. Raises what a damaged one gives."""
    expect(row, *_TYPES)
    read = Reading._make(row[:-1])
    if row[-1] != _sum_of(read):
        raise ValueError("its check sum is wrong")
    calls = json.loads(row[21])
    expect((calls, *calls.values()), dict, *[int] * len(calls))
    return read._replace(
        columns=_listed(row[5], str),
        dated=bool(read.dated),
        regular=_listed(row[19], str),
        calls=tuple(calls.items()),
        overlap=Overlap(row[22]),
        as_new=_listed(row[23], int),
    )


def _listed(text: str, kind: type) -> tuple[Any, ...]:
    values = json.loads(text)
    expect((values, *values), list, *[kind] * len(values))
    return tuple(values)


class Head(NamedTuple):
    """What knows a reading's bytes again: their digest, how it was asked for, and its rows."""

    number: int
    asked: str
    digest: bytes
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


class Meaning(NamedTuple):
    """A way in which logs were read: mapping and personas (JSON), the seconds of their events, the latest."""

    mapping: str
    personas: str
    first: int
    last: int
    reading: int


class ReadingTable:
    """The readings of a ledger."""

    def __init__(self, database: sqlite3.Connection, schemas: tuple[str, ...]) -> None:
        self._database = database
        self._schemas = schemas
        self._heads: Heads | None = None
        self._wider: dict[int, tuple[int, int, bool]] = {}
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
                        f"SELECT reading, asked, digest, rows, length FROM {name}.readings "
                        "WHERE length > 0 ORDER BY reading"
                    )
                    for row in rows:
                        expect(row, int, str, bytes, int, int)
                        self._heads.put(Head(*row[:4]), row[4])
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
                    f"SELECT {_COLUMNS}, sum FROM {name}.readings WHERE {where} ORDER BY reading DESC", values
                ).fetchone()
                if row:
                    return _from_row(row)
        return None

    @property
    def have_calls(self) -> bool:
        """Whether calls of any reading were planned."""
        return any(
            self._database.execute(f"SELECT 1 FROM {name}.readings WHERE calls <> '{{}}' LIMIT 1").fetchone()
            for name in self._schemas
        )

    def beginning(self, start: bytes) -> list[Reading]:
        """Return the readings whose first 64 KiB have this hash, the latest first."""
        return self._all("start = ? AND start <> x''", start)

    def meanings(self) -> list[Meaning]:
        """Return all different ways in which logs of which calls were sent were read, the latest first."""
        found: dict[tuple[str, str], Meaning] = {}
        for name in self._schemas:
            query = (
                f"SELECT mapping, personas, min(first), max(last), max(reading) FROM {name}.readings "
                "WHERE calls <> '{}' AND first > 0 GROUP BY mapping, personas"
            )
            with decoding(self._database, "readings"):
                for row in self._database.execute(query):
                    expect(row, str, str, int, int, int)
                    found.setdefault(row[:2], Meaning(*row))
        return sorted(found.values(), key=lambda one: -one.reading)

    def meaning(self, meaning: Meaning) -> list[Reading]:
        """Return the readings that were read in this way, the latest first."""
        return self._all("mapping = ? AND personas = ?", meaning.mapping, meaning.personas)

    def _all(self, where: str, *values: object) -> list[Reading]:
        found: dict[int, Reading] = {}
        for name in self._schemas:
            query = f"SELECT {_COLUMNS}, sum FROM {name}.readings WHERE {where} ORDER BY reading DESC"
            with decoding(self._database, "readings"):
                for row in self._database.execute(query, values):
                    found.setdefault(row[0], _from_row(row))
        return list(found.values())

    def begin(self, reading: Reading) -> Reading:
        """Return a new reading with a number and a token; it is written with its first batch."""
        self._last += 1
        return reading._replace(number=self._last, token=secrets.token_hex(8))

    def write(self, reading: Reading) -> None:
        """Write how far it got; the caller's transaction makes it durable."""
        marks = ",".join("?" * (len(Reading._fields) + 1))
        changes = ", ".join(f"{name} = excluded.{name}" for name in _KEPT)
        self._database.execute(
            f"INSERT INTO main.readings ({_COLUMNS}, sum) VALUES ({marks}) "
            f"ON CONFLICT (reading) DO UPDATE SET {changes}",
            _to_row(reading),
        )
        if self._wider:
            self._write_wider()
        if self._heads is not None and reading.length:
            head = Head(reading.number, reading.asked, reading.digest, reading.rows)
            self._heads.put(head, reading.length)

    def widen(self, number: int, first: int, last: int, dated: bool) -> None:
        """Note the seconds of a reading's rejects that were corrected; the next `write` makes it durable."""
        self._wider[number] = (first, last, dated)

    def _write_wider(self) -> None:
        self._database.executemany(
            "UPDATE main.readings SET first = CASE first WHEN 0 THEN ?1 ELSE min(first, ?1) END, "
            "last = max(last, ?2), dated = max(dated, ?3) WHERE reading = ?4",
            [(*span, number) for number, span in self._wider.items()],
        )
        self._wider.clear()

    def count_calls(self, number: int, calls: Mapping[str, int]) -> None:
        """Add to the calls that were planned of a reading, by site; the caller's transaction keeps it.

        Those that a destination refuses are taken away again. A site with no calls is not named.
        """
        reading = self.by_number(number)
        if reading is None or not calls:
            return
        known = Counter(dict(reading.calls))
        known.update(calls)
        left = {site: count for site, count in known.items() if count > 0}
        self._database.execute(
            "UPDATE main.readings SET calls = ? WHERE reading = ?", (json.dumps(left), number)
        )

    def count_refused(self, number: int, rows: int) -> None:
        """Count rows that a destination refused; the caller's transaction makes it durable."""
        self._database.execute(
            "UPDATE main.readings SET refused = refused + ? WHERE reading = ?", (rows, number)
        )
