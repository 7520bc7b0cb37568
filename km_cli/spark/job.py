"""A job as a whole: lease, the calls that earlier jobs left, the plan, the sending, the receipts.

The order makes a job safe to kill at any point and to run again. A plan is complete before it is in force, it
is in force before a call of it leaves, and it stays so until each of its calls has a receipt. So the next
start sends what is left of it, byte for byte, and then plans its own rows with all that is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

from km_cli.config.settings import Settings
from km_cli.errors import KmError, PlanningFailed, TooManyRejects, Undelivered
from km_cli.model import Forecast
from km_cli.protocols import Clock
from km_cli.run.clock import SystemClock
from km_cli.run.rehearsal import check_strictly
from km_cli.run.stopping import Stop, Stopped
from km_cli.run.tally import Tally
from km_cli.spark.delivery import tracker_of
from km_cli.spark.files import driver_files
from km_cli.spark.frames import FrameSource
from km_cli.spark.interrupting import stopping_tasks
from km_cli.spark.outcomes import count_calls, count_rows
from km_cli.spark.place import Place
from km_cli.spark.plan_writing import Planning
from km_cli.spark.planning import Source
from km_cli.spark.receipts import Receipts
from km_cli.spark.sender import Delivered, Sender, first_reason, stop_if_asked

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

RUN_AGAIN = "run the same command again: it sends them first"


class Rehearsed(NamedTuple):
    """What a job would send: `pending` are the calls that earlier jobs left, `read` the rows that are new."""

    tally: Tally
    forecast: Forecast
    pending: int
    seconds: float
    read: int


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
    *,
    is_strict: bool = False,
) -> JobResult:
    """Import the sources. An error that ends the sending is in the result; all others are raised.

    With `is_strict` nothing new is sent if anything would be lost, merged, changed or rejected, and
    TooManyFindings is raised. So it is with TooManyRejects, for more rejected rows than --max-rejects allows.
    """
    clock, stop = clock or SystemClock(), stop or Stop()
    began = clock.monotonic()
    receipts = _opened(spark, settings, place, settings.keys())
    with receipts.lease(is_broken=place.takes_lease, now=clock.now()):
        job = _Job(spark, receipts, settings, place.secret, stop, clock, is_strict=is_strict)
        error = job.run(sources)
    return JobResult(job.name, job.tally, clock.monotonic() - began, error)


def rehearse_job(
    spark: SparkSession,
    sources: Sequence[Source],
    settings: Settings,
    place: Place,
    stop: Stop | None = None,
    clock: Clock | None = None,
) -> Rehearsed:
    """Plan the sources as a job would. Nothing is sent, nothing stays written, and no key is needed."""
    clock, stop = clock or SystemClock(), stop or Stop()
    began = clock.monotonic()
    receipts = _opened(spark, settings, place, {})
    planning = Planning(spark, receipts, settings, place.secret, clock)
    with _planning(spark, stop):
        counted = planning.count(sources)
        pending = sum(count_calls(spark, receipts, job.name).pending for job in receipts.unfinished())
    return Rehearsed(counted.tally, counted.forecast, pending, clock.monotonic() - began, counted.read)


@contextmanager
def _planning(spark: SparkSession, stop: Stop) -> Iterator[None]:
    """End the tasks of planning if the job is asked to stop. Raises Stopped and PlanningFailed.

    Spark reports tasks that were cancelled as a failure.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        with stopping_tasks(spark, stop):
            yield
    except (PySparkException, Py4JError) as error:
        stop_if_asked(stop)
        raise PlanningFailed(
            f"Spark could not plan the rows: {first_reason(error)}",
            "nothing of this job was sent; correct that, and run the same command again",
        ) from error
    stop_if_asked(stop)


def check_rejects(settings: Settings, tally: Tally, read: int) -> None:
    """Raise TooManyRejects if more of the rows `read` are rejected than --max-rejects allows."""
    if settings.max_rejects is None:
        return
    try:
        settings.max_rejects.check(tally.rows.rejected, read, at_end=True)
    except TooManyRejects as error:
        first = [f"{one.row.source}, line {one.row.line}: {one.reason}" for one in tally.rejects.values()]
        message = "\n  ".join([f"{error}; the first of each kind:", *first])
        raise TooManyRejects(message, error.hint, plain=str(error)) from None


def _opened(spark: SparkSession, settings: Settings, place: Place, keys: Mapping[str, str]) -> Receipts:
    tracker_of(settings.target.place)
    files = driver_files(place.path, spark)
    return Receipts.open(place.path, files, secret=place.secret, to=settings.target.tracker, keys=keys)


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
        *,
        is_strict: bool,
    ) -> None:
        self._is_strict = is_strict
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
        delivered, error = self._sender.send(name)
        self._count(delivered)
        self.tally.calls.resumed += delivered.calls.total
        if error is not None:
            raise Stopped(error)

    def _plan(self, sources: Sequence[Source]) -> None:
        """Plan the rows, write the plan, and put it into force. Raises Stopped."""
        stop_if_asked(self._stop)
        name = self._receipts.begin()
        planning = Planning(self._spark, self._receipts, self._settings, self._secret, self._clock)
        with _planning(self._spark, self._stop):
            written = planning.write(name, sources)
        check_rejects(self._settings, written.counted.tally, written.counted.read)
        if self._is_strict:
            check_strictly(written.counted.tally)
        self._receipts.planned(name, written.notes)
        self.tally = _together(written.counted.tally, self.tally)
        self.name = name

    def _send(self) -> None:
        delivered, error = self._sender.send(self.name)
        self._count(delivered)
        if delivered.calls.rejected or delivered.calls.pending:
            self.tally.rows = count_rows(self._spark, self._receipts, self.name, self.tally.rows)
        if error is not None:
            raise Stopped(error)

    def _count(self, delivered: Delivered) -> None:
        """Count the calls of a sending."""
        calls, sent = self.tally.calls, delivered.calls
        calls.acknowledged += sent.acknowledged
        calls.rejected += sent.rejected
        calls.pending += sent.pending
        calls.retried += delivered.retried
        if refused := delivered.refused_rows:
            self.tally.reasons["refused"] += refused


def _together(tally: Tally, resumed: Tally) -> Tally:
    """Return the tally of a plan, with the calls that were sent before it: those that earlier jobs left."""
    for name, number in asdict(resumed.calls).items():
        setattr(tally.calls, name, getattr(tally.calls, name) + number)
    tally.reasons.update(resumed.reasons)
    return tally
