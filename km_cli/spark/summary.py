"""What a job has to know about its inputs before it plans them, in one small table.

Each question to Spark costs the time of its stages, however few rows answer it. So the counts of rows in
MAPPED, and the few rows that tasks tell at their end, are asked for together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pyspark.sql import functions as F  # noqa: N812 - the name that Spark's own pages give it

from km_cli.ledger import Reading
from km_cli.run.first_rows import LOOKED_AHEAD
from km_cli.run.overlaps import Span
from km_cli.spark.continuing import Continued
from km_cli.spark.following import HEAD, READ
from km_cli.spark.tables import PASSED_OVER, SEEN

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_TOLD = (HEAD, READ, SEEN, "lacked", "count")
"""The kinds of rows that a task tells at its end."""

_OF_TOLD = ("kind", "reading", "row", "line", "code", "text", "owed", "number", "blob")


class Summary(NamedTuple):
    """Rows of MAPPED: those that tasks told, and one for all rows of a reading with the same outcome.

    The latter have the count as `number`, the last row as `row`, and the span of their times.
    """

    told: list[Mapping[str, Any]]
    outcomes: list[Mapping[str, Any]]

    @property
    def files(self) -> list[Mapping[str, Any]]:
        """The rows about the bytes of files."""
        return [row for row in self.told if row["kind"] in (HEAD, READ)]

    @property
    def lacked(self) -> list[Mapping[str, Any]]:
        """The events that some personas lack, by task, in the order of their rows."""
        found = [row for row in self.told if row["kind"] == "lacked"]
        return sorted(found, key=lambda row: (row["reading"], row["row"]))

    def normalised(self) -> Counter[str]:
        """Return how many times each unusual form was met."""
        found: Counter[str] = Counter()
        for row in self.told:
            if row["kind"] == "count":
                found[row["code"]] += row["number"]
        return found

    def rows(self) -> Counter[str]:
        """Return the number of rows by what mapping made of them."""
        found: Counter[str] = Counter()
        for row in self.outcomes:
            found[row["code"]] += row["number"]
        return found


def summary_of(mapped: DataFrame) -> Summary:
    """Ask for the summary of MAPPED."""
    no_span = [F.lit(None).cast(kind).alias(name) for name, kind in _SPAN]
    told = mapped.where(F.col("kind").isin(*_TOLD)).select(*_OF_TOLD, *no_span)
    counted = (
        mapped.where("kind = 'row'")
        .groupBy("reading", "code")
        .agg(
            F.max("row").alias("row"),
            F.count("*").alias("number"),
            F.min("second").alias("first"),
            F.max("second").alias("last"),
            F.max("dated").alias("dated"),
        )
        .withColumns({"kind": F.lit("row"), "line": F.lit(None).cast("bigint")})
        .withColumns({name: F.lit(None).cast(kind) for name, kind in _UNUSED})
    )
    found = [row.asDict() for row in told.unionByName(counted).collect()]
    return Summary(
        [row for row in found if row["kind"] != "row"], [row for row in found if row["kind"] == "row"]
    )


_SPAN = (("first", "bigint"), ("last", "bigint"), ("dated", "boolean"))
_UNUSED = (("text", "string"), ("owed", "array<string>"), ("blob", "binary"))


def spanned(found: Mapping[int, Continued], summary: Summary) -> tuple[tuple[Reading, ...], dict[int, Span]]:
    """Return the readings with the times of their rows, and the spans of all rows that have a time."""
    readings: dict[int, Reading] = {}
    spans: dict[int, Span] = {}
    for known, *_ in found.values():
        rows = [
            row for row in summary.outcomes if row["reading"] == known.number and row["code"] != PASSED_OVER
        ]
        if rows and known.number not in readings:
            seen = _span(row for row in rows if row["code"] in ("event", "undone"))
            count = sum(row["number"] for row in rows)
            spans[known.number] = _span(rows) if count >= LOOKED_AHEAD else seen
            known = _extended(known, count, max(row["row"] for row in rows), seen)
        readings.setdefault(known.number, known)
    return tuple(readings.values()), spans


def _extended(known: Reading, rows: int, line: int, seen: Span) -> Reading:
    """Return a reading with more rows, up to this line, whose events have this span."""
    whole = Span(known.first, known.last, known.dated).joined(seen)
    return known._replace(
        first=whole.first,
        last=whole.last,
        dated=whole.dated,
        rows=known.rows + rows,
        line=known.line if known.length else max(known.line, line),
    )


def _span(rows: Iterable[Mapping[str, Any]]) -> Span:
    span = Span()
    for row in rows:
        if row["last"] is not None:
            span = span.joined(Span(row["first"], row["last"], bool(row["dated"])))
    return span
