"""Members who moved: rows that were sent before for another account than they have now.

One person's calls do not say it: the user's call is known, and that of the account is new. So the calls of a
row come together here, once they are planned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from km_cli.model import Finding
from km_cli.run.row_findings import moved_message
from km_cli.spark.arrow import InArrow, Rows
from km_cli.spark.tables import WALKED
from km_cli.spark.walked import Walked, finding_columns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def moved_members(mapped: DataFrame, walked: DataFrame, personas: Iterable[str]) -> DataFrame:
    """Return the findings about members who moved: WALKED. `personas` take their identities from members."""
    from pyspark.sql import functions as f

    moving = frozenset(personas)

    def run(rows: Rows) -> Rows:
        return found_moves(rows, moving)

    members = mapped.where("kind = 'member'").withColumnRenamed("owed", "done")
    decided = walked.drop("row").withColumnRenamed("decided", "row")
    calls = decided.where("kind = 'call' AND event <> ''").groupBy("reading", "row")
    rejects = decided.where("kind = 'reject'").groupBy("reading", "row")
    rows = (
        members.select("reading", "row", "part", "source", "line", "who", "done")
        .join(calls.agg(f.collect_set("persona").alias("sent")), ["reading", "row"])
        .join(rejects.agg(f.flatten(f.collect_list("owed")).alias("owed")), ["reading", "row"], "left")
    )
    return rows.mapInArrow(InArrow(run, WALKED), WALKED.ddl)


def found_moves(rows: Iterable[Mapping[str, Any]], personas: frozenset[str]) -> Iterator[Walked]:
    """Yield the findings about rows.

    Each has the personas that do its event as `done`, those of its planned calls as `sent`, and as `owed` the
    parts that it owes.
    """
    for row in rows:
        message = moved_message(set(row["done"]), set(row["sent"]), set(row["owed"] or ()), personas)
        if message:
            yield finding_columns(Finding("members", message, row["source"], row["line"], row["who"]), row)
