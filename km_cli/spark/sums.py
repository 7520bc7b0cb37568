"""The sums of a plan, and the first places of its findings and rejects, in one small table.

They are asked for together: each question costs the time of its stages, however few rows answer it. So all
that is summed is brought into one form, in which `what` says what a row is about.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F  # noqa: N812 - the name that Spark's own pages give it

from km_cli.run.tally import MOST_REMEMBERED
from km_cli.spark.tables import ALIAS_CALL

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql import Row as SparkRow

CALLS, REFUSED, SENT, REJECTED = "calls", "refused", "sent", "rejected"
FINDING, REJECT, PLACE = "finding", "reject", "place"
"""What a row of the sums is about.

CALLS: calls of this job by reading, site and persona, with what they add to Kissmetrics, and how many of them
are aliases. REFUSED: what earlier calls had added that the destination rejected. SENT and REJECTED: rows with
this outcome. FINDING: the findings of one code about one subject. REJECT: all rejects of a code. PLACE: the
place of a finding or a reject.

`times` are those of the row, `total` those of its code, and `placed` are those of the code that have a line.
"""

_MOST_PLACES = 2_000
"""How many places of one code come to this process; the tally keeps no more ranges of lines than half."""

_KEYS = ("what", "reading", "site", "persona", "code", "who")
_SUMMED = ("placed", "people", "events", "properties", "aliases")
_FIRST = "struct(reading, row, part, text, source, line) AS first"
_GAINS = (
    "gain_people AS people",
    "CASE WHEN gain_event = X'00000000' THEN 0 ELSE 1 END AS events",
    "length(gain_names) DIV 4 AS properties",
)
_ALIASES = f"CASE WHEN {ALIAS_CALL} THEN 1 ELSE 0 END AS aliases"
_PLACED = "CASE WHEN line > 0 THEN 1 ELSE 0 END AS placed"


def sums_of(
    calls: DataFrame, findings: DataFrame, rejects: DataFrame, received: DataFrame | None
) -> dict[str, list[SparkRow]]:
    """Return the sums by what they are about, in the order of their first rows.

    `calls` are rows of PLAN, `received` are those of RECEIVED, None for none. Of FINDING come the first
    subjects of each code alone, and of PLACE the first places of each code.
    """
    summed = [
        calls.selectExpr(f"'{CALLS}' AS what", "reading", "site", "persona", *_GAINS, _ALIASES),
        findings.selectExpr(f"'{FINDING}' AS what", "code", "who", _FIRST, _PLACED),
        rejects.selectExpr(f"'{REJECT}' AS what", "code", _FIRST, _PLACED),
        _outcomes(calls, rejects),
    ]
    if received is not None:
        refused = received.where("kind = 'call' AND rejected")
        summed.append(refused.selectExpr(f"'{REFUSED}' AS what", "site", "persona", *_GAINS))
    sums = (
        _together(summed)
        .groupBy(*_KEYS)
        .agg(
            F.expr("count(*) AS times"),
            F.expr("min(first) AS first"),
            *[F.expr(f"sum({name}) AS {name}") for name in _SUMMED],
        )
    )
    found: dict[str, list[SparkRow]] = defaultdict(list)
    for row in _together([_foremost(sums), _places(findings, rejects)]).collect():
        found[row["what"]].append(row)
    for rows in found.values():
        rows.sort(key=lambda row: row["first"] or ())
    return found


def _outcomes(calls: DataFrame, rejects: DataFrame) -> DataFrame:
    """Return a row for each row of the log with a call or a reject: one that has a reject is rejected."""
    both = calls.selectExpr("reading", "decided", "0 AS is_rejected").unionByName(
        rejects.selectExpr("reading", "decided", "1 AS is_rejected")
    )
    by_row = both.groupBy("reading", "decided").agg(F.max("is_rejected").alias("is_rejected"))
    return by_row.selectExpr(f"CASE is_rejected WHEN 1 THEN '{REJECTED}' ELSE '{SENT}' END AS what")


def _foremost(sums: DataFrame) -> DataFrame:
    """Return the sums with the totals of their codes; of FINDING no more subjects than a tally remembers."""
    of_code = Window.partitionBy("what", "code")
    totals = {name: F.sum(of).over(of_code) for name, of in (("total", "times"), ("placed", "placed"))}
    turn = F.row_number().over(of_code.orderBy("first"))
    is_wanted = (F.col("what") != FINDING) | (F.col("turn") <= MOST_REMEMBERED)
    return sums.withColumns({**totals, "turn": turn}).where(is_wanted).drop("turn")


def _places(findings: DataFrame, rejects: DataFrame) -> DataFrame:
    """Return the first places of the findings and rejects of each code."""
    of_code = Window.partitionBy("code", "who").orderBy("first")
    placed = _together(
        [
            table.where("line > 0").selectExpr(f"'{PLACE}' AS what", "code", f"'{who}' AS who", _FIRST)
            for table, who in ((findings, FINDING), (rejects, REJECT))
        ]
    )
    turn = F.row_number().over(of_code)
    return placed.withColumn("turn", turn).where(F.col("turn") <= _MOST_PLACES).drop("turn")


def _together(frames: Sequence[DataFrame]) -> DataFrame:
    """Return the rows of all frames; columns that a frame lacks are null."""
    return reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), frames)
