"""The outcome of a job's calls and rows, as the receipts tell it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from km_cli.model.calls import part_on_wire
from km_cli.run.tally import Rows
from km_cli.spark.known import plan_of, states_of
from km_cli.spark.receipts import Receipts
from km_cli.spark.tables import CALL, REJECTS

if TYPE_CHECKING:
    from pyarrow import RecordBatch
    from pyspark.sql import DataFrame, SparkSession

_REFUSED = "the destination refused it: "


class Counted(NamedTuple):
    """Calls by their state."""

    acknowledged: int = 0
    rejected: int = 0
    pending: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self)


def count_calls(spark: SparkSession, receipts: Receipts, job: str) -> Counted:
    """Count the calls of a job by their state."""
    found = _with_states(spark, receipts, job).groupBy("state").count().collect()
    by_state = {row["state"]: row["count"] for row in found}
    return Counted(*(by_state.get(name, 0) for name in Counted._fields))


def count_rows(spark: SparkSession, receipts: Receipts, job: str, rows: Rows) -> Rows:
    """Return the rows of a job by their outcome, as they are once its calls have been sent.

    `rows` are those of its plan, in which each row with a call and without a reject counts as sent. A row
    is counted once: rejected if a part of it is, else pending if a call of it is.
    """
    from pyspark.sql import functions as f

    rejected = spark.read.schema(REJECTS.ddl).parquet(receipts.rejects_path(job))
    by_row = (
        _with_states(spark, receipts, job)
        .groupBy("reading", "decided")
        .agg(
            f.max(f.col("state") == "rejected").alias("refused"),
            f.max(f.col("state") == "pending").alias("waits"),
        )
        .where("refused or waits")
        .join(rejected.select("reading", "decided").distinct(), ["reading", "decided"], "left_anti")
        .groupBy("refused")
        .count()
    )
    changed = {row["refused"]: row["count"] for row in by_row.collect()}
    refused, pending = changed.get(True, 0), changed.get(False, 0)
    return Rows(
        sent=rows.sent - refused - pending,
        skipped=rows.skipped,
        rejected=rows.rejected + refused,
        held=rows.held,
        pending=pending,
        pruned=rows.pruned,
    )


def write_refused(spark: SparkSession, receipts: Receipts, job: str) -> int:
    """Write the rows that the destination refused as a table of rejects; return how many more there are.

    A row that was refused in part owes the refused parts alone. The table is made anew from the receipts
    each time, so that it is complete however often the job was started.
    """
    path = receipts.refused_path(job)
    before = _count(spark, path) if receipts.files.names(path) else 0
    from pyspark.sql import functions as f

    refused = _with_states(spark, receipts, job).where("state = 'rejected'")
    rows = refused.groupBy("reading", "row", "source", "line", "raw").agg(
        f.min("part").alias("part"), f.min("decided").alias("decided"), _calls_of_row()
    )
    table = rows.mapInArrow(_as_rejects, REJECTS.ddl)
    table.write.mode("overwrite").parquet(path)
    return _count(spark, path) - before


def _count(spark: SparkSession, path: str) -> int:
    return spark.read.schema(REJECTS.ddl).parquet(path).count()


def _calls_of_row() -> Any:
    """Return the refused calls of a row, in the order of its sequence."""
    from pyspark.sql import functions as f

    return f.array_sort(f.collect_list(f.struct("part", "persona", "payload", "reason"))).alias("calls")


def _as_rejects(batches: Iterable[RecordBatch]) -> Iterator[RecordBatch]:
    """Turn refused rows into rejects. Runs within a task."""
    import pyarrow as pa

    for batch in batches:
        rejects = []
        for row in batch.to_pylist():
            calls = row.pop("calls")
            owed = list(dict.fromkeys(part_on_wire(call["persona"], call["payload"]) for call in calls))
            reason = _REFUSED + str(calls[0]["reason"])
            rejects.append({**row, "code": "refused", "text": reason, "owed": owed})
        yield pa.RecordBatch.from_pylist(rejects, REJECTS.arrow())


def _with_states(spark: SparkSession, receipts: Receipts, job: str) -> DataFrame:
    """Return the calls of a job with their `state` (`pending` without a receipt) and the reason."""
    from pyspark.sql import functions as f

    calls = plan_of(spark, receipts, [job]).where(f"kind = '{CALL}'")
    states = states_of(spark, receipts, [job]).select("number", "state", "reason")
    return calls.join(states, "number", "left").withColumn("state", f.coalesce("state", f.lit("pending")))
