"""Sends the calls of one partition within a task, by the courier of this package.

The receipts become durable in files of their own while the task goes on: a task that is killed costs the
calls of its last seconds, which are sent again byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from random import SystemRandom
from secrets import token_hex
from typing import TYPE_CHECKING, Any, NamedTuple

from km_cli.config.process_variables import process_variables
from km_cli.config.settings import Transport
from km_cli.delivery import Concurrency, Courier, Driver, OneThread, Policy, Pool
from km_cli.errors import KmError, TransportError
from km_cli.model import Outcome, PlannedCall, Receipt
from km_cli.protocols import Clock, Destination, ManyAtOnce
from km_cli.run.clock import SystemClock
from km_cli.spark.delivery import Delivery
from km_cli.spark.files import TaskFiles, task_files
from km_cli.spark.tables import RECEIPTS

if TYPE_CHECKING:
    from pyarrow import RecordBatch

_TICK = 0.2
_GRACE = 10.0
_AT_A_TIME = 500
_LEAST_WINDOW = 2000
_FIRST_FILE = 1.0
"""Seconds until a task's first file of receipts; each further one takes twice as long."""
_LOOK = 1.0
"""Seconds between two looks whether the job is to stop."""
_MOST_RECEIPTS = 100_000


class Sent(NamedTuple):
    """The counts of a task: calls by their outcome, and attempts beyond the first. `stopped`: its error."""

    acknowledged: int = 0
    rejected: int = 0
    pending: int = 0
    retried: int = 0
    stopped: str = ""

    def plus(self, other: Sent) -> Sent:
        """Return the sum of two counts, with the first error of the two."""
        return Sent(
            self.acknowledged + other.acknowledged,
            self.rejected + other.rejected,
            self.pending + other.pending,
            self.retried + other.retried,
            self.stopped or other.stopped,
        )


class StopFile(NamedTuple):
    """The file by which one task, or the driver, ends the sending of all tasks of a job."""

    files: TaskFiles
    path: str

    @classmethod
    def beside(cls, receipts: str, files: TaskFiles) -> StopFile:
        """Return the file beside a folder of receipts."""
        return cls(files, f"{receipts.rstrip('/').rpartition('/')[0]}/stopped.json")

    def is_there(self) -> bool:
        """Tell whether the job is to stop."""
        return self.files.exists(self.path)

    def write(self, message: str, hint: str, code: int) -> None:
        """Ask all tasks to stop, because of this error. `code` is the exit code that the error leads to."""
        content = {"message": message, "hint": hint, "exit": code}
        self.files.write(self.path, json.dumps(content).encode())


def send_partition(batches: Iterable[RecordBatch], delivery: Delivery, name: str) -> Sent:
    """Send the calls of a partition; return the counts. Its files of receipts begin with `name`.

    A destination that does not answer, or refuses all calls, is no failure of the task: Spark would try it
    again at once. The calls stay pending, all other tasks stop as well, and the job fails at its end.
    """
    files = task_files(delivery.receipts)
    stop = StopFile.beside(delivery.receipts, files)
    clock = SystemClock()
    writer = ReceiptsWriter(files, delivery.receipts, name, delivery.receipts_every, clock)
    calls = _calls(batches)
    if stop.is_there():
        return Sent(pending=sum(1 for _ in calls))
    try:
        keys = {site.name: site.key(process_variables()) for site in delivery.sites}
        destination = delivery.target.open(keys, delivery.timeout, clock)
        driver = _make_driver(delivery, destination, clock)
    except KmError as error:
        stop.write(str(error), error.hint, error.exit)
        return Sent(pending=sum(1 for _ in calls), stopped=str(error))
    return _Partition(driver, writer, stop, clock).send(calls)


def _make_driver(delivery: Delivery, destination: Destination, clock: Clock) -> Driver:
    """Return a driver by libcurl if that is installed, or else by threads. Raises TransportError."""
    most = min(delivery.share, destination.workers)
    window = max(_LEAST_WINDOW, 4 * most)
    if delivery.transport is not Transport.REQUESTS and isinstance(destination, ManyAtOnce):
        try:
            transfers = destination.transfers(most)
        except TransportError:
            if delivery.transport is Transport.CURL:
                raise
        else:
            return OneThread(
                transfers, _make_courier(delivery, destination, most, clock), clock, window=window
            )
    most = min(most, Pool.most)
    return Pool(destination, _make_courier(delivery, destination, most, clock), clock, window=window)


def _make_courier(delivery: Delivery, destination: Destination, most: int, clock: Clock) -> Courier:
    return Courier(
        Policy(attempts=delivery.attempts),
        SystemRandom(),
        clock.monotonic(),
        Concurrency(most),
        at_once=destination.at_once,
        rate=delivery.share_of_rate,
    )


def _calls(batches: Iterable[RecordBatch]) -> Iterator[PlannedCall]:
    """Yield the calls of the batches. A receipt names its call by number, so nothing more is needed."""
    for batch in batches:
        columns = (batch.column(name).to_pylist() for name in ("number", "site", "payload"))
        for number, site, payload in zip(*columns, strict=True):
            if payload is not None:
                yield PlannedCall(site, "", payload, b"", 0, 0, b"", b"", number)


class _Partition:
    """The sending of one partition."""

    def __init__(self, driver: Driver, writer: ReceiptsWriter, stop: StopFile, clock: Clock) -> None:
        self._driver = driver
        self._writer = writer
        self._stop = stop
        self._clock = clock
        self._sent = Sent()
        self._looked = clock.monotonic()
        self._is_stopped = False

    def send(self, calls: Iterator[PlannedCall]) -> Sent:
        """Send all calls, or as many as get through. All receipts are durable afterwards."""
        try:
            while not self._has_to_end() and (some := list(islice(calls, _AT_A_TIME))):
                self._driver.submit(some)
                self._wait(self._driver.has_room)
            self._wait(lambda: self._driver.is_idle)
            if self._has_to_end():
                self._driver.finish_in_flight(_GRACE)
        finally:
            self._take(self._driver.close())
            self._writer.write()
        left = sum(1 for _ in calls)
        failure = self._driver.failure
        if failure is not None:
            self._stop.write(str(failure), failure.hint, failure.exit)
        return self._sent._replace(
            pending=self._sent.pending + left,
            retried=self._driver.retried,
            stopped=str(failure) if failure else "",
        )

    def _wait(self, is_over: Callable[[], bool]) -> None:
        while not (is_over() or self._has_to_end()):
            self._take(self._driver.receipts(_TICK))
            self._writer.write_if_due()
        self._take(self._driver.receipts())

    def _has_to_end(self) -> bool:
        """Tell whether the destination takes no more calls, or another task or the driver says stop."""
        now = self._clock.monotonic()
        if now - self._looked >= _LOOK and not self._is_stopped:
            self._looked = now
            self._is_stopped = self._stop.is_there()
        return self._is_stopped or self._driver.failure is not None

    def _take(self, receipts: Sequence[Receipt]) -> None:
        found = [receipt.outcome for receipt in receipts]
        new = Sent(
            found.count(Outcome.ACKNOWLEDGED), found.count(Outcome.REJECTED), found.count(Outcome.PENDING)
        )
        self._sent = self._sent.plus(new)
        self._writer.add(receipts)


class ReceiptsWriter:
    """Writes the receipts of a task to files, each of them whole. A pending call has no receipt."""

    def __init__(self, files: TaskFiles, folder: str, name: str, most_wait: float, clock: Clock) -> None:
        self._files = files
        self._folder = folder.rstrip("/")
        self._name = name
        self._most_wait = most_wait
        self._wait = min(_FIRST_FILE, most_wait)
        self._clock = clock
        self._written = clock.monotonic()
        self._receipts: list[Receipt] = []

    def add(self, receipts: Iterable[Receipt]) -> None:
        """Take receipts for the next file."""
        self._receipts += [receipt for receipt in receipts if receipt.outcome is not Outcome.PENDING]

    def write_if_due(self) -> None:
        """Write a file if the receipts have waited for long enough, or are many."""
        waited = self._clock.monotonic() - self._written
        if len(self._receipts) >= _MOST_RECEIPTS or waited >= self._wait:
            self._wait = min(2 * self._wait, self._most_wait)
            self.write()

    def write(self) -> None:
        """Write the receipts to a new file, if there are any. Raises WriteError."""
        self._written = self._clock.monotonic()
        if not self._receipts:
            return
        content = receipts_file(
            {"number": one.call.number, "state": one.outcome.value, "reason": one.reason or None}
            for one in self._receipts
        )
        self._files.write(f"{self._folder}/{self._name}-{token_hex(8)}.parquet", content)
        self._receipts = []


def receipts_file(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the content of a file with these rows of RECEIPTS."""
    import pyarrow as pa
    from pyarrow import parquet

    sink = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_pylist(list(rows), RECEIPTS.arrow()), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content
