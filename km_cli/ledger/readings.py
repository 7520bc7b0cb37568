"""Readings: how far a file was read. A reading is recognised by the bytes already read and its mapping."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from km_cli.ledger.damage import decoding, expect
from km_cli.ledger.heads import Head, Heads
from km_cli.ledger.sums import check_sum
from km_cli.model import Origin, Overlap, RowPlan


class Reading(NamedTuple):
    """One file under one mapping, as far as it was read.

    `asked` is a digest of the settings, and `mapping` (JSON) is the mapping that they gave. The cursor stands
    behind `length` bytes of content in `line` lines; `digest` is the digest of those bytes. `rows` were read:
    `rejected` of them were rejected, and `refused` later by a destination. `token` is the reading's name in
    rejects files. `actor` is the tracker, site and persona of the actor.

    `begun` is when the file was first read, in seconds since 1970. Its events are from the second `first`
    to `last` (0: none yet); `dated` if some of their times have no time of day. `start` is the hash of its
    first 64 KiB. `regular` are the columns that every row has. `personas` (JSON) are those that its calls
    were planned for, and `calls` the number of these by tracker, site and persona. `overlap` and `as_new`
    keep what flags decided: how it overlaps with other readings, and the numbers of those that it is never
    matched with. Format 2 did not know all this: its readings have 0, b"" or "" instead.
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
        """Whether a km-cli of format 2 began it. Its rows have no fingerprints, and its time is not known."""
        return not self.begun

    @property
    def is_forgotten(self) -> bool:
        """Whether `ledger forget` has left no more of it than its names and mapping."""
        return not (self.length or self.rows or self.start) and self.begun > 0

    @property
    def origin(self) -> Origin:
        """The origin that a reject of this reading has."""
        return Origin(self.token, (), self.columns, self.delimiter)


_COLUMNS = (
    "reading, token, asked, mapping, source, columns, delimiter, length, line, rows, rejected, digest, "
    "refused, actor, begun, first, last, dated, start, regular, personas, calls, overlap, as_new"
)
_SUMMED = "token, asked, mapping, actor, begun, start, personas"
"""The columns in the check sum: those that decide how rows are mapped, and never change."""
_CHANGING = (
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
"""The columns that each batch replaces. `calls` and `refused` are counted by statements of their own."""


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


def reading_from_row(row: tuple[Any, ...]) -> Reading:
    """Return the reading of a row. Raises TypeError, ValueError and the like if it is damaged."""
    expect(row, *_TYPES)
    read = Reading._make(row[:-1])
    if row[-1] != _sum_of(read):
        raise ValueError("its check sum is wrong")
    calls = json.loads(row[21])
    expect((calls, *calls.values()), dict, *[int] * len(calls))
    return read._replace(
        columns=_decode_list(row[5], str),
        dated=bool(read.dated),
        regular=_decode_list(row[19], str),
        calls=tuple(calls.items()),
        overlap=Overlap(row[22]),
        as_new=_decode_list(row[23], int),
    )


def _decode_list(text: str, kind: type) -> tuple[Any, ...]:
    values = json.loads(text)
    expect((values, *values), list, *[kind] * len(values))
    return tuple(values)


def reading_query() -> str:
    """Return the columns that `reading_from_row` wants, for a query."""
    return f"{_COLUMNS}, sum"


class Meaning(NamedTuple):
    """One way in which logs were read: mapping and personas (JSON).

    `first` and `last` are the seconds of their events, `reading` is the latest of them.
    """

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
        """The heads of all readings. They are loaded once, since a run may meet thousands of files."""
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
        """Return the reading with this token, which rejects carry."""
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
                    return reading_from_row(row)
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
        """Return the different ways in which logs with calls were read, the latest first."""
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

    def with_meaning(self, meaning: Meaning) -> list[Reading]:
        """Return the readings that were read in this way, the latest first."""
        return self._all("mapping = ? AND personas = ?", meaning.mapping, meaning.personas)

    def latest(self) -> Iterator[Reading]:
        """Yield all readings, the latest first."""
        query = f"SELECT {_COLUMNS}, sum FROM {self._schemas[-1]}.readings ORDER BY reading DESC"
        with decoding(self._database, "readings"):
            for row in self._database.execute(query):
                yield reading_from_row(row)

    def _all(self, where: str, *values: object) -> list[Reading]:
        found: dict[int, Reading] = {}
        for name in self._schemas:
            query = f"SELECT {_COLUMNS}, sum FROM {name}.readings WHERE {where} ORDER BY reading DESC"
            with decoding(self._database, "readings"):
                for row in self._database.execute(query, values):
                    found.setdefault(row[0], reading_from_row(row))
        return list(found.values())

    def begin(self, reading: Reading) -> Reading:
        """Return a new reading with a number and a token; it is written with its first batch."""
        self._last += 1
        return reading._replace(number=self._last, token=secrets.token_hex(8))

    def write(self, reading: Reading) -> None:
        """Write how far a reading got; the caller's transaction makes it durable."""
        values = ",".join("?" * (len(Reading._fields) + 1))
        changes = ", ".join(f"{name} = excluded.{name}" for name in _CHANGING)
        self._database.execute(
            f"INSERT INTO main.readings ({_COLUMNS}, sum) VALUES ({values}) "
            f"ON CONFLICT (reading) DO UPDATE SET {changes}",
            _to_row(reading),
        )
        if self._wider:
            self._write_wider()
        if self._heads is not None and reading.length:
            head = Head(reading.number, reading.asked, reading.digest, reading.rows)
            self._heads.put(head, reading.length)

    def widen(self, number: int, first: int, last: int, dated: bool) -> None:
        """Widen a reading's span by its corrected rejects; the next `write` makes it durable."""
        self._wider[number] = (first, last, dated)

    def _write_wider(self) -> None:
        self._database.executemany(
            "UPDATE main.readings SET first = CASE first WHEN 0 THEN ?1 ELSE min(first, ?1) END, "
            "last = max(last, ?2), dated = max(dated, ?3) WHERE reading = ?4",
            [(*span, number) for number, span in self._wider.items()],
        )
        self._wider.clear()

    def forget(self, number: int) -> None:
        """Forget how far a reading got, so that its file is read as a new one. Its calls stay counted."""
        reading = self.by_number(number)
        if reading is None:
            return
        stub = reading._replace(
            length=0,
            line=0,
            rows=0,
            rejected=0,
            digest=b"",
            refused=0,
            first=0,
            last=0,
            dated=False,
            start=b"",
        )
        values = ",".join("?" * (len(Reading._fields) + 1))
        self._database.execute(
            f"INSERT OR REPLACE INTO main.readings ({_COLUMNS}, sum) VALUES ({values})", _to_row(stub)
        )
        self._heads = None

    def count_plans(self, tracker: str, plans: Iterable[RowPlan]) -> None:
        """Add the calls that rows were planned as to those of their readings; durable as `count_calls`."""
        counted = Counter([(plan.reading, *planned[:2]) for plan in plans for planned in plan.planned])
        by_reading: defaultdict[int, Counter[str]] = defaultdict(Counter)
        for (number, site, persona), calls in counted.items():
            by_reading[number][f"{tracker} {site} {persona}"] += calls
        for number, by_persona in by_reading.items():
            self.count_calls(number, by_persona)

    def count_calls(self, number: int, calls: Mapping[str, int]) -> None:
        """Add to a reading's numbers of planned calls; the caller's transaction makes it durable.

        Calls that a destination refuses are taken away again. Numbers of 0 are left out.
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
