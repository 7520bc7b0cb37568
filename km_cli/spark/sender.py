"""Sends the calls of a job that have no receipt yet, from the driver."""

from __future__ import annotations

from collections.abc import Mapping
from secrets import token_hex
from typing import TYPE_CHECKING, Any, NamedTuple

from km_cli.config.settings import Settings
from km_cli.errors import Exit, KmError, Undelivered
from km_cli.model import Outcome
from km_cli.run.sending import WITHOUT_DATA
from km_cli.run.stopping import Stop, Stopped
from km_cli.spark.delivery import MOST_IN_FLIGHT, Delivery
from km_cli.spark.interrupting import stopping_tasks
from km_cli.spark.known import aliases_of_refused, unsent
from km_cli.spark.outcomes import Counted, count_calls, write_refused
from km_cli.spark.receipts import Receipts
from km_cli.spark.sending import StopFile, receipts_file
from km_cli.spark.source import NAME, register

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_RAISED = "km_cli.errors.Undelivered"
"""The name of the data source's own error, as Spark repeats it: no task failed, but calls are pending."""


class Delivered(NamedTuple):
    """One sending: its calls by state, attempts beyond the first, and the rows that were refused."""

    calls: Counted
    retried: int = 0
    refused_rows: int = 0


class Sender:
    """Sends the plans of jobs, whose lease is held."""

    def __init__(self, spark: SparkSession, receipts: Receipts, settings: Settings, stop: Stop) -> None:
        self._spark = spark
        self._receipts = receipts
        self._settings = settings
        self._stop = stop
        register(spark)

    def send(self, job: str) -> tuple[Delivered, KmError | None]:
        """Send the calls of a job, and note that it is done if each of them has its receipt.

        Aliases go last: each shows once both people have data (I3). Returns the error that ended the sending,
        if any. The calls that got through before count.
        """
        self._receipts.take_stop(job)  # it stopped an earlier start, not this one
        self._receipts.take_counts(job)
        delivered, failure = self._send(job, aliases=False)
        if self._receipts.notes(job).get("aliases"):
            delivered, failure = self._send_aliases(job, delivered, failure)
        refused = write_refused(self._spark, self._receipts, job) if delivered.calls.rejected else 0
        delivered = delivered._replace(refused_rows=refused)
        if not delivered.calls.pending:
            self._receipts.done(job)
            return delivered, None
        return delivered, self._error(job, failure)

    def _send(self, job: str, *, aliases: bool) -> tuple[Delivered, Exception | None]:
        has_some = self._receipts.has_receipts(job)
        before = count_calls(self._spark, self._receipts, job) if has_some else Counted()
        failure = self._write(job, unsent(self._spark, self._receipts, job, aliases=aliases))
        return self._delivered(job, before), failure

    def _send_aliases(
        self, job: str, delivered: Delivered, failure: Exception | None
    ) -> tuple[Delivered, Exception | None]:
        """Send the aliases, once no other call is pending, of earlier jobs too; return the counts of both."""
        calls = delivered.calls
        if calls.pending or self._receipts.has_unfinished_before(job):
            pending = count_calls(self._spark, self._receipts, job).pending
            return delivered._replace(calls=calls._replace(pending=pending)), failure
        dropped = self._reject_aliases(job)
        last, failure = self._send(job, aliases=True)
        both = Counted(
            calls.acknowledged + last.calls.acknowledged,
            calls.rejected + dropped + last.calls.rejected,
            last.calls.pending,
        )
        return Delivered(both, delivered.retried + last.retried), failure

    def _reject_aliases(self, job: str) -> int:
        """Reject the aliases that would be without data; return their number."""
        found = aliases_of_refused(self._spark, self._receipts, job).collect()
        if found:
            content = receipts_file(
                {
                    "number": row["number"],
                    "state": Outcome.REJECTED.value,
                    "reason": f"{WITHOUT_DATA}: {row['reason']}",
                }
                for row in found
            )
            folder = self._receipts.receipts_path(job)
            self._receipts.files.write(f"{folder}/aliases-{token_hex(8)}.parquet", content)
        return len(found)

    def _delivered(self, job: str, before: Counted) -> Delivered:
        """Return what the tasks counted. If one of them failed, the receipts say how far the sending got."""
        sent = self._receipts.take_counts(job)
        if sent is not None:
            calls = Counted(sent["acknowledged"], sent["rejected"], sent["pending"])
        else:
            now = count_calls(self._spark, self._receipts, job)
            calls = now._replace(
                acknowledged=now.acknowledged - before.acknowledged, rejected=now.rejected - before.rejected
            )
        return Delivered(calls, sent["retried"] if sent else 0)

    def _write(self, job: str, calls: DataFrame) -> Exception | None:
        """Send calls; return the error that Spark reports, if any. The receipts say how far it got."""
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException

        delivery = self._delivery(job)
        writer = calls.repartition(delivery.partitions).write.format(NAME).mode("append")
        stop_file = StopFile.beside(delivery.receipts, self._receipts.files)
        try:
            with stopping_tasks(self._spark, self._stop, stop_file):
                writer.options(**delivery.options()).save()
        except (PySparkException, Py4JError) as error:
            return error
        return None

    def _delivery(self, job: str) -> Delivery:
        settings = self._settings
        in_flight = settings.concurrency or MOST_IN_FLIGHT
        return Delivery(
            to=settings.target.place,
            sites=settings.people.sites,
            receipts=self._receipts.receipts_path(job),
            partitions=min(self._spark.sparkContext.defaultParallelism, in_flight),
            in_flight=in_flight,
            rate=settings.rate,
            timeout=settings.timeout,
            attempts=settings.attempts,
            transport=settings.transport,
        )

    def _error(self, job: str, failure: Exception | None) -> KmError | None:
        """Return why calls are pending: a task that stopped all others, or a failure of Spark.

        None if they used their attempts, and all others got through.
        """
        stop = self._receipts.take_stop(job)
        if self._stop.requested:
            return self._stop.error
        if stop is not None:
            return _error_of(stop)
        if failure is not None and _RAISED not in str(failure):
            return Undelivered(
                f"Spark could not finish the sending: {first_reason(failure)}",
                "the receipts of all other calls are durable; run the same command again: it sends the rest",
            )
        return None


def stop_if_asked(stop: Stop) -> None:
    """Raise Stopped if the job is to stop."""
    if stop.requested:
        raise Stopped(stop.error)


def first_reason(error: Exception) -> str:
    """Return the line of Spark's message that says most: the last exception in it, or else the first line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    raised = [line for line in lines if ": " in line and line.split(":")[0].endswith(("Error", "Exception"))]
    found = raised[-1] if raised else lines[0] if lines else type(error).__name__
    return found[:300]


def _error_of(stop: Mapping[str, Any]) -> KmError:
    """Return the error by which a task ended the sending of all."""
    error = KmError(str(stop["message"]), str(stop["hint"]))
    error.exit = Exit(stop["exit"])
    return error
