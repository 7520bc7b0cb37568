"""Aliases in the tables of a job: each is about two people, so it is known under both of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F  # noqa: N812 - the name that Spark's own pages give it

from km_cli.spark.tables import ALIAS_CALL, JOINED

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def with_joined(plan: DataFrame) -> DataFrame:
    """Return rows of a plan with two rows JOINED in the place of each alias: one for each person."""
    leads, is_led = F.lit("leads"), F.lit("is led")
    sides = F.when(F.expr(ALIAS_CALL), F.array(leads, is_led)).otherwise(F.array(F.lit("")))
    rows = plan.withColumn("_side", F.explode(sides))
    other = F.col("_side") == is_led
    made = {
        "leader": F.when(other, F.col("person")),
        "spelling": F.when(other, F.col("total")).otherwise(F.col("spelling")),
        "kind": F.when(F.col("_side") != "", F.lit(JOINED)).otherwise(F.col("kind")),
        "person": F.when(other, F.col("deed")).otherwise(F.col("person")),
    }
    return rows.withColumns(made).drop("_side")
