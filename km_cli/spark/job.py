"""A job as a whole: lease, the calls that earlier jobs left, the plan, the sending, the receipts.

The order makes a job safe to kill at any point and to run again. A plan is complete before it is in force, it
is in force before a call of it leaves, and it stays so until each of its calls has a receipt. So the next
start sends what is left of it, byte for byte, and then plans its own rows with all that is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from km_cli.config.settings import Settings
from km_cli.errors import KmError, Undelivered
from km_cli.protocols import Clock
from km_cli.run.clock import SystemClock
from km_cli.run.stopping import Stop, Stopped
from km_cli.run.tally import Tally
from km_cli.spark.delivery import tracker_of
from km_cli.spark.files import driver_files
from km_cli.spark.interrupting import stopping_tasks
from km_cli.spark.known import received
from km_cli.spark.outcomes import Counted, count_calls, count_rows
from km_cli.spark.receipts import Receipts
from km_cli.spark.sender import Delivered, Sender, stop_if_asked

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Source = Any

RUN_AGAIN = "run the same command again: it sends them first"


class Place(NamedTuple):
    """The receipts folder of a job, and the secret under which its digests are made.

    `takes_lease` takes the lease from a job that has died.
    """

    path: str
    secret: bytes
    takes_lease: bool = False


class JobResult(NamedTuple):
    """The end of a job. `job` is the name of its folder, "" if it planned nothing; `error` ended it early."""

    job: str
    tally: Tally
    seconds: float
    error: KmError | None

    def check(self) -> None:
        """Raise the error that the job ended with, or Undelivered if calls are pending."""
        if self.error is not None:
            raise self.error
        if self.tally.calls.pending:
            raise Undelivered(
                f"{self.tally.calls.pending:,} calls planned and not acknowledged yet", RUN_AGAIN
            )


def import_events(
    spark: SparkSession,
    dataframe: DataFrame,
    settings: Settings,
    *,
    receipts: str,
    secret: bytes,
    order_by: str | Sequence[str],
    name: str = "dataframe",
) -> JobResult:
    """Send the events of a DataFrame that have not been sent yet.

    Its columns are those of a log. `order_by` names the columns that give its rows an order: seconds are
    chosen in it. `name` is that of the log in messages and receipts; a log that grows keeps its name.
    `receipts` is the folder of the receipts, `secret` has 32 bytes or more. For a stream, call it in
    `foreachBatch`. Raises KmError, and Undelivered if calls are pending: then the same call sends them.
    """
    order = (order_by,) if isinstance(order_by, str) else tuple(order_by)
    source = FrameSource(dataframe, order, name)
    result = run_job(spark, [source], settings, Place(receipts, secret))
    result.check()
    return result


def run_job(
    spark: SparkSession,
    sources: Sequence[Source],
    settings: Settings,
    place: Place,
    stop: Stop | None = None,
    clock: Clock | None = None,
) -> JobResult:
    """Import the sources. An error that ends the sending is in the result; all others are raised."""
    clock, stop = clock or SystemClock(), stop or Stop()
    began = clock.monotonic()
    keys = settings.keys()
    tracker_of(settings.target.place)
    receipts = Receipts.open(
        place.path,
        driver_files(place.path, spark),
        secret=place.secret,
        to=settings.target.tracker,
        keys=keys,
    )
    with receipts.lease(is_broken=place.takes_lease, now=clock.now()):
        job = _Job(spark, receipts, settings, place.secret, stop, clock)
        error = job.run(sources)
    return JobResult(job.name, job.tally, clock.monotonic() - began, error)


class _Job:
    """A job that holds the lease."""

    def __init__(
        self,
        spark: SparkSession,
        receipts: Receipts,
        settings: Settings,
        secret: bytes,
        stop: Stop,
        clock: Clock,
    ) -> None:
        self._spark = spark
        self._receipts = receipts
        self._settings = settings
        self._secret = secret
        self._stop = stop
        self._clock = clock
        self._sender = Sender(spark, receipts, settings, stop)
        self.name = ""
        self.tally = Tally()

    def run(self, sources: Sequence[Source]) -> KmError | None:
        """Send what earlier jobs left, then plan and send; return the error that ended the sending."""
        self._receipts.clean()
        try:
            for earlier in self._receipts.unfinished():
                self._resume(earlier.name)
            if sources:
                self._plan(sources)
                self._send()
        except Stopped as stopped:
            return stopped.error
        return None

    def _resume(self, name: str) -> None:
        """Send the calls of an earlier job. Raises Stopped if the sending has to end."""
        stop_if_asked(self._stop)
        before = count_calls(self._spark, self._receipts, name)
        delivered, error = self._sender.send(name)
        self._count(delivered, before)
        self.tally.calls.resumed += before.pending
        if error is not None:
            raise Stopped(error)

    def _plan(self, sources: Sequence[Source]) -> None:
        """Plan the rows, write the plan, and put it into force. Raises Stopped."""
        stop_if_asked(self._stop)
        name = self._receipts.begin()
        known = received(self._spark, self._receipts)
        with stopping_tasks(self._spark, self._stop):
            planned = planned_events(
                self._spark, sources, self._settings, self._receipts, known, self._secret, self._clock
            )
            planned.plan.write.parquet(self._receipts.plan_path(name))
            planned.rejects.write.parquet(self._receipts.rejects_path(name))
            whole = written(self._spark, self._receipts, name, planned, known)
        stop_if_asked(self._stop)
        self.tally = merged(self.tally, whole.tally)
        self._receipts.planned(name, {"readings": whole.readings, "held": whole.held})
        self.name = name

    def _send(self) -> None:
        delivered, error = self._sender.send(self.name)
        self._count(delivered, Counted())
        self.tally.rows = count_rows(self._spark, self._receipts, self.name, self.tally.rows)
        if error is not None:
            raise Stopped(error)

    def _count(self, delivered: Delivered, before: Counted) -> None:
        """Count the calls of a job that was sent, but for those that had their receipt `before`."""
        calls, now = self.tally.calls, delivered.calls
        calls.acknowledged += now.acknowledged - before.acknowledged
        calls.rejected += now.rejected - before.rejected
        calls.pending += now.pending
        calls.retried += delivered.retried
        if refused := delivered.refused_rows:
            self.tally.reasons["refused"] += refused
