"""The receipts folder as tables: the plans of its jobs, and the state of each call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from km_cli.model.calls import NO_SECOND
from km_cli.spark.receipts import Receipts
from km_cli.spark.tables import CALL, PLAN, RECEIPTS, WRITTEN_PLAN, Table, empty_frame

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_JOB_OF_FILE = r"/jobs/([^/]+)/(?:plan|receipts)/[^/]*$"


def plan_of(spark: SparkSession, receipts: Receipts, jobs: Sequence[str]) -> DataFrame:
    """Return the plans of these jobs, with a column `job`."""
    from pyspark.sql import functions as f

    read = spark.read.schema(WRITTEN_PLAN.ddl)
    found = read.parquet(*map(receipts.plan_path, jobs)) if jobs else empty_frame(spark, WRITTEN_PLAN)
    job = f.regexp_extract(f.col("_metadata.file_path"), _JOB_OF_FILE, 1) if jobs else f.lit("")
    return found.withColumn("job", job)


def states_of(spark: SparkSession, receipts: Receipts, jobs: Sequence[str]) -> DataFrame:
    """Return job, number, state (acknowledged or rejected) and reason of each call that has a receipt.

    A call that was acknowledged once is acknowledged, whatever another attempt met.
    """
    from pyspark.sql import functions as f

    with_files = [job for job in jobs if receipts.has_receipts(job)]
    if not with_files:
        return empty_frame(spark, Table((("job", "string"), *RECEIPTS.columns)))
    found = spark.read.schema(RECEIPTS.ddl).parquet(*map(receipts.receipts_path, with_files))
    found = found.withColumn("job", f.regexp_extract(f.col("_metadata.file_path"), _JOB_OF_FILE, 1))
    return found.groupBy("job", "number").agg(f.min("state").alias("state"), f.min("reason").alias("reason"))


def received(spark: SparkSession, receipts: Receipts) -> DataFrame:
    """Return all that planning knows of earlier jobs, as the table RECEIVED."""
    from pyspark.sql import functions as f

    jobs = [one.name for one in receipts.manifest.jobs]
    rejected = states_of(spark, receipts, jobs).where("state = 'rejected'").select("job", "number")
    return (
        plan_of(spark, receipts, jobs)
        .join(rejected.withColumn("rejected", f.lit(True)), ["job", "number"], "left")
        .withColumn("rejected", f.coalesce("rejected", f.lit(False)))
        .select(*PLAN.names, "job", "rejected")
    )


def unsent(spark: SparkSession, receipts: Receipts, job: str, *, aliases: bool = False) -> DataFrame:
    """Return the calls of a job that have no receipt: number, site and payload. Aliases are apart."""
    wanted = f"kind = '{CALL}' AND coalesce(second, 1) {'=' if aliases else '<>'} {NO_SECOND}"
    calls = plan_of(spark, receipts, [job]).where(wanted).select("number", "site", "payload")
    if not receipts.has_receipts(job):
        return calls
    return calls.join(states_of(spark, receipts, [job]).select("number"), "number", "left_anti")


def aliases_of_refused(spark: SparkSession, receipts: Receipts, job: str) -> DataFrame:
    """Return the unsent aliases of whose row and persona another call was refused: number and reason."""
    from pyspark.sql import functions as f

    beside = ["reading", "decided", "persona"]
    calls = plan_of(spark, receipts, [job]).where(f"kind = '{CALL}'").select("number", *beside)
    rejected = states_of(spark, receipts, [job]).where("state = 'rejected'").select("number", "reason")
    refused = calls.join(rejected, "number").groupBy(*beside).agg(f.min("reason").alias("reason"))
    aliases = unsent(spark, receipts, job, aliases=True).select("number")
    return calls.join(aliases, "number", "left_semi").join(refused, beside).select("number", "reason")
