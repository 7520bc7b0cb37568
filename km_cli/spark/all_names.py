"""The names of a whole log, and those of its calls: each once, at the first place that has it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pyspark.sql import functions as F  # noqa: N812 - the name that Spark's own pages give it

from km_cli.kissmetrics import fold_name
from km_cli.planning.digests import digest
from km_cli.spark.names import EVENT, PROPERTY
from km_cli.spark.tables import NAMED

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql import Row as SparkRow

IN_LOG, IN_CALLS = "log", "calls"
"""In `what`: the names that mapping met, and those of the calls of a plan."""

Marks = dict[tuple[str, str], set[bytes]]
"""The digests of names, by site and kind."""

_COLUMNS = ("what", "code", "site", "persona", "text")
_FIRST = "struct(reading, {row} AS row, {turn} AS turn, part, {at} AS at, source, line) AS first"


def names_of(mapped: DataFrame, calls: DataFrame, personas: Iterable[str]) -> DataFrame:
    """Return the names in `mapped` (of MAPPED) and in `calls` (of PLAN), with their kinds as `code`.

    `first` is the first place of a name. The calls of a row are taken in the order of the `personas`.
    """
    in_log = mapped.selectExpr(
        f"'{IN_LOG}' AS what", *_COLUMNS[1:], _FIRST.format(row="row", turn="0", at="0")
    )
    turn = F.array_position(F.array(*map(F.lit, personas)), F.col("persona")).cast("int")
    in_calls = _in_calls(
        calls.withColumn("turn", turn),
        "CAST(NULL AS string) AS persona",
        _FIRST.format(row="decided", turn="turn", at="{at}"),
    ).withColumn("what", F.lit(IN_CALLS))
    every = in_log.unionByName(in_calls)
    return every.groupBy(*_COLUMNS).agg(F.expr("min(first) AS first"))


def in_turn(names: DataFrame) -> Iterator[SparkRow]:
    """Yield names in the order of their first places. One task sorts them: they all come here anyway."""
    return iter(names.repartition(1).sortWithinPartitions("first").toLocalIterator())


def known_names(received: DataFrame) -> Marks:
    """Return the marks of the names that each site has, by site and kind."""
    marked = received.where(f"kind = '{NAMED}'").selectExpr("site", "persona AS code", "'' AS text", "deed")
    named = _in_calls(received.where("kind = 'call'")).selectExpr("*", "CAST(NULL AS binary) AS deed")
    found: Marks = {}
    for row in marked.unionByName(named.distinct()).repartition(1).toLocalIterator():
        mark = mark_of(row["text"]) if row["deed"] is None else bytes(row["deed"])
        found.setdefault((row["site"], row["code"]), set()).add(mark)
    return found


def mark_of(name: str) -> bytes:
    """Return the digest of a name, as a ledger counts it."""
    return digest(8, fold_name(name))


def _in_calls(calls: DataFrame, *wanted: str) -> DataFrame:
    """Return a row for each name in a call, of its event and of its properties; blank ones are no names."""
    events = calls.where("event <> ''").selectExpr(
        "site", f"'{EVENT}' AS code", "event AS text", *(one.format(at="-1") for one in wanted)
    )
    each = calls.selectExpr("*", "posexplode(names) AS (at, name)")
    properties = each.selectExpr(
        "site", f"'{PROPERTY}' AS code", "name AS text", *(one.format(at="at") for one in wanted)
    )
    return events.unionByName(properties)
