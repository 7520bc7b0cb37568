"""The plan of a job, as the tables that are written, sent and counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pyspark import StorageLevel
from pyspark.sql import functions as F  # noqa: N812 - the name that Spark's own pages give it

from km_cli.ledger import Reading
from km_cli.model import Finding
from km_cli.spark.arrow import InArrow, Rows
from km_cli.spark.merging import merged_rejects
from km_cli.spark.summary import Summary
from km_cli.spark.tables import CALL, FINDINGS, KNOWN, OWNER, PLAN, REJECTS, VALUE, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class Planned:
    """The plan of a job. `readings` are those of its inputs, without the calls that are planned here.

    `summary` counts the rows, `looks` are the findings on the first rows, `unseen` those about names that no
    row has. `kept` is on the disks of the cluster until `release`.
    """

    def __init__(
        self,
        mapped: DataFrame,
        walked: DataFrame,
        decided: DataFrame,
        summary: Summary,
        readings: tuple[Reading, ...],
        looks: Sequence[Finding],
        unseen: Sequence[Finding],
        kept: Sequence[DataFrame],
    ) -> None:
        self._mapped = mapped
        self._walked = walked.unionByName(decided)
        self.summary = summary
        self.readings = readings
        self._looks = looks
        self.unseen = unseen
        self._kept = list(kept)

    @property
    def plan(self) -> DataFrame:
        """The plan: PLAN, with a `number` for each row."""
        kinds = (CALL, KNOWN, VALUE, OWNER)
        plan = self._walked.where(F.col("kind").isin(*kinds)).select(*PLAN.names)
        return plan.withColumn("number", F.monotonically_increasing_id())

    @property
    def rejects(self) -> DataFrame:
        """The rows that are not sent: REJECTS."""
        mapped = self._mapped.withColumn("decided", F.col("row"))
        whole = together_of(
            [frame.where("kind = 'reject'").select(*REJECTS.names) for frame in (mapped, self._walked)]
        )
        return in_order(whole, ("reading", "row"), ("reading", "row", "part"), merged_rejects, REJECTS)

    @property
    def findings(self) -> DataFrame:
        """The findings: FINDINGS. A row that is alike an earlier one is so for all of its people."""
        mapped, walked = (
            frame.where("kind = 'finding'").select(*FINDINGS.names) for frame in (self._mapped, self._walked)
        )
        alike = F.col("code") == "alike-rows"
        once = walked.where(alike).dropDuplicates(["reading", "row"])
        found = mapped.unionByName(walked.where(~alike)).unionByName(once)
        if not self._looks:
            return found
        rows = [(0, one.line, 0, one.source, one.line, one.code, one.message, one.who) for one in self._looks]
        return found.unionByName(self._mapped.sparkSession.createDataFrame(rows, FINDINGS.ddl).coalesce(1))

    @property
    def names(self) -> DataFrame:
        """The names that tasks met: rows of MAPPED."""
        return self._mapped.where("kind = 'name'")

    def keep(self, frame: DataFrame) -> DataFrame:
        """Keep a small table on the disks of the cluster, too, since it is asked for more than once."""
        few = frame.coalesce(frame.sparkSession.sparkContext.defaultParallelism)
        self._kept.append(few.persist(StorageLevel.DISK_ONLY))
        return few

    def release(self) -> None:
        """Let go of what is kept on the disks of the cluster."""
        for frame in self._kept:
            frame.unpersist()


def together_of(frames: Sequence[DataFrame]) -> DataFrame:
    """Return the rows of several frames with the same columns."""
    whole = frames[0]
    for frame in frames[1:]:
        whole = whole.unionByName(frame)
    return whole


def in_order(
    frame: DataFrame, by: Sequence[str], order: Sequence[str], task: Callable[[Rows], Rows], table: Table
) -> DataFrame:
    """Run a task over the rows of each partition; those that are equal in `by` are in one partition."""
    sorted_rows = frame.repartition(*by).sortWithinPartitions(*order)
    return sorted_rows.mapInArrow(InArrow(task, table), table.ddl)
