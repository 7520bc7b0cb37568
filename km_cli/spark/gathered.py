"""The rows of a receipts folder, each call once: in the form that the latest job gave it.

They are gathered in a temporary database, so that memory stays constant.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, NamedTuple

from km_cli.errors import LedgerError
from km_cli.ledger.slot_bytes import decode_slot
from km_cli.model import NO_SECOND, KnownCall
from km_cli.spark.files import LocalFiles, local_path
from km_cli.spark.receipts import Job, Receipts
from km_cli.spark.tables import CALL, KNOWN, LINE, NAMED, OWNER, SPELLED, VALUE, WRITTEN_PLAN

_TABLE = """
CREATE TABLE calls (
    person BLOB, reading INTEGER, row INTEGER, part INTEGER, rank INTEGER, site TEXT, persona TEXT,
    spelling BLOB, second INTEGER, line INTEGER, known BLOB, columns BLOB, event TEXT, refused INTEGER,
    PRIMARY KEY (reading, row, part, person)) WITHOUT ROWID
"""
_LATER = "{0} = CASE WHEN excluded.rank >= rank THEN excluded.{0} ELSE {0} END"
_PUT = (
    "INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (reading, row, part, person) DO UPDATE SET "
    + ", ".join(_LATER.format(name) for name in ("known", "columns", "line"))
    + ", rank = max(rank, excluded.rank), refused = max(refused, excluded.refused)"
    + ", event = coalesce(event, excluded.event)"
)
_ALIASES = """
CREATE TABLE aliases (
    leader BLOB, spelling BLOB, other BLOB, other_spelling BLOB, site TEXT, persona TEXT, refused INTEGER)
"""
_PUT_ALIAS = "INSERT INTO aliases VALUES (?, ?, ?, ?, ?, ?, ?)"
_BESIDE = (VALUE, SPELLED, NAMED, LINE, OWNER)


class KeptCall(NamedTuple):
    """A call of the receipts. `columns` are those of its row, None if the call has none.

    `event` is its name in clear, "" for a call that records none. `is_refused` if its destination rejected
    the call.
    """

    reading: int
    line: int
    site: str
    persona: str
    spelling: bytes
    event: str
    known: KnownCall
    columns: bytes | None
    is_refused: bool


class KeptAlias(NamedTuple):
    """An alias of the receipts: the two people, each with the spelling of its identity. `site` may be ""."""

    leader: bytes
    spelling: bytes
    other: bytes
    other_spelling: bytes
    site: str
    persona: str
    is_refused: bool


class Gathered:
    """The rows of all jobs of a receipts folder on this machine."""

    def __init__(self, receipts: Receipts) -> None:
        self._receipts = receipts
        self._database = sqlite3.connect("")

    def __enter__(self) -> Gathered:
        self._database.execute(_TABLE)
        self._database.execute(_ALIASES)
        for at, job in enumerate(self._receipts.manifest.jobs):
            refused = self._refused(job)
            for row in self._plan(job, (CALL, KNOWN)):
                is_refused = row["number"] in refused
                if row["known"] is not None:
                    self._database.execute(_PUT, _columns_of(row, at, is_refused))
                elif row["second"] == NO_SECOND:
                    names = ("person", "spelling", "deed", "total", "site", "persona")
                    self._database.execute(_PUT_ALIAS, (*(row[name] for name in names), is_refused))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def calls(self) -> Iterator[KeptCall]:
        """Yield all calls in the order of their rows, those that were refused too."""
        return self._select("1")

    def refused(self) -> Iterator[KeptCall]:
        """Yield the calls that their destination rejected."""
        return self._select("refused")

    def aliases(self) -> Iterator[KeptAlias]:
        """Yield the aliases in the order of their jobs, those that were refused too."""
        for row in self._database.execute("SELECT * FROM aliases ORDER BY rowid"):
            yield KeptAlias(*row)._replace(is_refused=bool(row[-1]))

    def others(self) -> Iterator[Mapping[str, Any]]:
        """Yield the rows that are about something else than a call, and the calls with their names."""
        for job in self._receipts.manifest.jobs:
            yield from self._plan(job, (CALL, *_BESIDE))

    def _select(self, where: str) -> Iterator[KeptCall]:
        query = (
            "SELECT reading, line, site, persona, spelling, event, person, second, known, columns, refused "
            f"FROM calls WHERE {where} ORDER BY reading, row, part, person"
        )
        for row in self._database.execute(query):
            reading, line, site, persona, spelling, event, person, second, known, columns, refused = row
            try:
                (one,) = decode_slot(person, second, known).known
            except ValueError as error:
                raise self._damaged(f"a call of the second {second}: {error}") from None
            yield KeptCall(reading, line, site, persona, spelling, event or "", one, columns, bool(refused))

    def _plan(self, job: Job, kinds: tuple[str, ...]) -> Iterator[Mapping[str, Any]]:
        """Yield the rows of these kinds in a job's plan."""
        wanted = [name for name in WRITTEN_PLAN.names if name != "raw"]
        for row in self._rows(self._receipts.plan_path(job.name), wanted):
            if row["kind"] in kinds:
                yield row

    def _refused(self, job: Job) -> set[int]:
        """Return the numbers of a job's calls that were rejected. One that was acknowledged once, was not."""
        path = self._receipts.receipts_path(job.name)
        refused = {
            row["number"] for row in self._rows(path, ["number", "state"]) if row["state"] == "rejected"
        }
        if not refused:
            return refused
        for row in self._rows(path, ["number", "state"]):
            if row["state"] == "acknowledged":
                refused.discard(row["number"])
        return refused

    def _rows(self, folder: str, columns: list[str]) -> Iterator[Mapping[str, Any]]:
        """Yield the rows of a folder of Parquet files."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        for name in LocalFiles().names(folder):
            if not name.endswith(".parquet") or name.startswith((".", "_")):
                continue
            try:
                with pq.ParquetFile(local_path(f"{folder}/{name}")) as file:
                    for batch in file.iter_batches(columns=columns):
                        yield from batch.to_pylist()
            except (pa.ArrowException, OSError) as error:
                raise self._damaged(f"{folder}/{name}: {str(error).partition(chr(10))[0]}") from None

    def _damaged(self, what: str) -> LedgerError:
        return LedgerError(
            f"the receipts in {self._receipts.path} are damaged: {what}", "restore the folder from a copy"
        )


def _columns_of(row: Mapping[str, Any], job: int, refused: bool) -> tuple[object, ...]:
    rank = 2 * job + (row["kind"] == KNOWN)
    return (
        *(row[name] for name in ("person", "reading", "row", "part")),
        rank,
        *(
            row[name]
            for name in ("site", "persona", "spelling", "second", "line", "known", "columns", "event")
        ),
        refused,
    )
