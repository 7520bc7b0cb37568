"""The data source `kissmetrics`: `plan.write.format("kissmetrics")` sends the calls of a plan.

    km_cli.spark.register(spark)
    plan.write.format("kissmetrics").mode("append").options(**delivery.options()).save()

It sends and notes the receipts; `km_cli.spark.job` does all that makes this safe to repeat.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import TYPE_CHECKING

from pyspark import TaskContext
from pyspark.sql.datasource import DataSource, DataSourceArrowWriter, WriterCommitMessage

from km_cli.errors import Undelivered, UsageError
from km_cli.spark.delivery import Delivery, delivery_of
from km_cli.spark.files import task_files
from km_cli.spark.sending import Sent, send_partition
from km_cli.spark.tables import PLAN

if TYPE_CHECKING:
    from pyarrow import RecordBatch
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType

NAME = "kissmetrics"

NEEDED = {"number": "bigint", "site": "string", "payload": "binary"}
"""The columns of a plan without which it cannot be sent, and their types. Its other columns may be there."""


def register(spark: SparkSession) -> None:
    """Make the format known to a session."""
    spark.dataSource.register(KissmetricsSource)


@dataclass
class SentMessage(WriterCommitMessage):
    """The counts of a task."""

    sent: Sent


class KissmetricsSource(DataSource):
    """Takes the calls of a plan. Nothing can be read from it."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the format."""
        return NAME

    def writer(self, schema: StructType, overwrite: bool) -> KissmetricsWriter:
        """Return the writer. Raises UsageError for columns that are no plan, and for wrong options."""
        if overwrite:
            raise UsageError(
                "nothing that Kissmetrics has can be overwritten", 'write the plan with .mode("append")'
            )
        check_columns({field.name: field.dataType.simpleString() for field in schema.fields})
        return KissmetricsWriter(delivery_of(self.options))


def check_columns(columns: Mapping[str, str]) -> None:
    """Raise UsageError if the columns (names and types) are not those of a plan."""
    known = {**dict(PLAN.columns), **NEEDED}
    for name, kind in NEEDED.items():
        if name not in columns:
            raise UsageError(f"the column {name} ({kind}) is missing: this is no plan", _HINT)
    for name, kind in columns.items():
        if name not in known:
            raise UsageError(f"a plan has no column {name}", _HINT)
        if kind != known[name]:
            raise UsageError(f"the column {name} of a plan is of type {known[name]}, not {kind}", _HINT)


_HINT = "write the plan of a job as it stands in the receipts folder, or call km_cli.spark.import_events"


class KissmetricsWriter(DataSourceArrowWriter):
    """Sends each partition within its task."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery

    def write(self, iterator: Iterator[RecordBatch]) -> SentMessage:
        """Send the calls of a partition."""
        context = TaskContext.get()
        place = "part" if context is None else f"part-{context.partitionId():05}-{context.taskAttemptId()}"
        return SentMessage(send_partition(iterator, self._delivery, place))

    def commit(self, messages: Sequence[WriterCommitMessage | None]) -> None:
        """Note the counts beside the receipts. Raises Undelivered if calls are pending: the job fails."""
        sent = Sent()
        for message in messages:
            if isinstance(message, SentMessage):
                sent = sent.plus(message.sent)
        folder = self._delivery.receipts.rstrip("/")
        content = json.dumps(sent._asdict()).encode()
        task_files(folder).write(f"{folder}/_sent-{token_hex(8)}.json", content)
        if sent.pending:
            cause = f": {sent.stopped}" if sent.stopped else ""
            raise Undelivered(
                f"{sent.pending:,} calls are planned and not acknowledged yet{cause}",
                "the receipts of all other calls are durable; send the rest of the plan again",
            )

    def abort(self, messages: Sequence[WriterCommitMessage | None]) -> None:
        """Do nothing: the receipts of all tasks are durable, and count, whatever became of the others."""
