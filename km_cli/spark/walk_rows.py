"""The rows that the planner walks over: the table WALK, from the receipts, the parts and the decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F  # noqa: N812 - the name that Spark's own pages give it

from km_cli.spark.aliasing import with_joined
from km_cli.spark.tables import ALIAS_CALL, EVENTS, WALK, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def sides(parts: DataFrame, known: DataFrame, forced: DataFrame | None) -> DataFrame:
    """Return WALK: what was received of each person, and the parts of its rows."""
    present = parts.withColumns({"side": F.lit(1), "job": F.lit(""), "rejected": F.lit(False)})
    if forced is not None:
        present = present.join(forced, ["reading", "row"], "left")
    past = known.withColumns({"side": F.lit(0)})
    return _as(WALK, past).unionByName(_as(WALK, present))


def _as(table: Table, frame: DataFrame) -> DataFrame:
    """Return a frame with the columns of a table; those that it lacks are null."""
    return frame.select(
        *[
            (F.col(name) if name in frame.columns else F.lit(None)).cast(kind).alias(name)
            for name, kind in table.columns
        ]
    )


def walk_rows(parts: DataFrame, known: DataFrame, decided: DataFrame) -> DataFrame:
    """Return WALK, with what `spark.contests` decided: forced rows, and the aliases of this job."""
    forced = decided.where("kind = 'forced'").groupBy("reading", "row")
    walk = sides(parts, known, forced.agg(F.flatten(F.collect_list("owed")).alias("forced")))
    aliases = with_joined(decided.where(ALIAS_CALL))
    own = aliases.withColumns({"side": F.lit(1), "job": F.lit(""), "rejected": F.lit(False)})
    return walk.unionByName(_as(WALK, own))


def with_events(walk: DataFrame, events: DataFrame) -> DataFrame:
    """Add the events of whole rows."""
    names = [name for name, _ in EVENTS.columns[2:]]
    summed = events.groupBy("reading", "row").agg(*[F.sum(name).cast("int").alias(name) for name in names])
    whole = summed.select("reading", "row", F.array(*names).alias("events"), F.lit(1).alias("side"))
    return walk.drop("events").join(whole, ["reading", "row", "side"], "left").select(*WALK.names)
