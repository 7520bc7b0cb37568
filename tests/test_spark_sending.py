"""Sending a plan on Spark: each call arrives, extras are the same bytes, and the receipts know it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zstandard

from km_cli.errors import Exit, LedgerBusy, WriteError
from km_cli.run.stopping import Stop
from km_cli.spark.files import Exists, HadoopFiles
from tests.support.patience import PATIENCE
from tests.support.spark import below
from tests.support.spark_plans import KEY, SECRET, arrived, opened, payload, settings_to, write_plan
from tests.support.tracker import BAD, OK, Hit, Reaction, Tracker, held

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from km_cli.spark.job import JobResult

CALLS = 400


class Folder:
    """A receipts folder with a plan in force, and jobs that send it."""

    def __init__(self, spark: SparkSession, tracker: Tracker, path: Path) -> None:
        self.spark, self.tracker, self.base = spark, tracker, path
        self.path = path / "receipts"
        self.job = write_plan(opened(self.path, tracker.url), CALLS)

    def send(self, stop: Stop | None = None, *, takes_lease: bool = False) -> JobResult:
        """Run a job without sources: it sends the calls that have no receipt."""
        from km_cli.spark.job import run_job
        from km_cli.spark.place import Place

        place = Place(str(self.path), SECRET, takes_lease)
        return run_job(self.spark, (), settings_to(self.tracker.url, self.base), place, stop)

    @property
    def states(self) -> list[str]:
        """The states of the jobs in the manifest."""
        return [job.state for job in opened(self.path, self.tracker.url).manifest.jobs]


@pytest.fixture
def folder(spark: SparkSession, tracker: Tracker, tmp_path: Path) -> Folder:
    return Folder(spark, tracker, tmp_path)


def whole() -> set[bytes]:
    return {payload(number) for number in range(CALLS)}


def test_a_plan_that_a_job_left_is_sent_as_it_stands_and_only_once(folder: Folder) -> None:
    result = folder.send()
    assert result.error is None
    assert result.tally.calls.resumed == result.tally.calls.acknowledged == CALLS
    assert set(arrived(folder.tracker)) == whole()
    assert folder.states == ["done"]
    folder.tracker.forget()
    again = folder.send()
    assert (again.tally.calls.resumed, folder.tracker.hits) == (0, [])


def test_refused_calls_become_a_table_of_rejects_that_says_which_parts_are_owed(folder: Folder) -> None:
    """A call of every tenth row is refused: never five of them without an acknowledgement between."""
    folder.tracker.behave = lambda hit, _: (
        BAD if re.fullmatch(r"person\d*5", hit.params["_p"]) and hit.params["_n"] == "Event1" else OK
    )
    result = folder.send()
    assert result.error is None
    assert result.tally.calls.rejected == result.tally.reasons["refused"] == CALLS // 20
    assert folder.states == ["done"]
    rejects = folder.spark.read.parquet(f"{folder.path}/jobs/{folder.job}/refused").orderBy("line").collect()
    assert [row["line"] for row in rejects] == list(range(7, CALLS // 2 + 2, 10))
    assert rejects[0].asDict() == {
        "reading": 1,
        "row": 5,
        "part": 1,
        "decided": 5,
        "source": "log.csv",
        "line": 7,
        "raw": b"row 5\n",
        "code": "refused",
        "text": "the destination refused it: HTTP 400 Bad Request",
        "owed": ["account"],
    }


def test_an_outage_in_the_middle_ends_the_job_with_69_and_the_next_one_sends_the_rest(folder: Folder) -> None:
    """The tracker takes a quarter, and then refuses all with 403; no task is tried again."""
    folder.tracker.behave = lambda _, number: OK if number < CALLS // 4 else Reaction(403, record=False)
    result = folder.send()
    assert result.error is not None
    assert result.error.exit is Exit.UNAVAILABLE
    assert result.tally.calls.acknowledged == CALLS // 4
    assert result.tally.calls.pending == CALLS - CALLS // 4
    assert folder.states == ["planned"]
    folder.tracker.behave = None
    after = folder.send()
    assert after.error is None
    assert after.tally.calls.acknowledged == CALLS - CALLS // 4
    assert arrived(folder.tracker) == dict.fromkeys(whole(), 1)


def test_a_tracker_that_refuses_connections_is_an_outage(folder: Folder) -> None:
    folder.tracker.stop()
    result = folder.send()
    assert result.error is not None
    assert (result.error.exit, result.tally.calls.pending) == (Exit.UNAVAILABLE, CALLS)
    assert "refuses connections" in str(result.error)


def test_a_job_that_is_asked_to_stop_finishes_the_calls_in_flight(folder: Folder) -> None:
    """The signal comes once calls are on their way; they are answered after the tasks were told to stop."""
    stop = Stop()
    file = folder.path / "jobs" / folder.job / "stopped.json"

    def behave(_hit: Hit, number: int) -> Reaction:
        if number < CALLS // 4:
            return OK
        stop.requested = True
        return held()

    def answer() -> None:
        _wait_for(file.exists)
        folder.tracker.behave = None
        folder.tracker.answer_all()

    folder.tracker.behave = behave
    answering = threading.Thread(target=answer)
    answering.start()
    result = folder.send(stop)
    answering.join()
    assert result.error is None
    assert result.tally.calls.acknowledged == len(folder.tracker.hits)
    assert result.tally.calls.pending == CALLS - len(folder.tracker.hits)
    assert folder.send().error is None
    assert arrived(folder.tracker) == dict.fromkeys(whole(), 1)


def _wait_for(state: Callable[[], object]) -> None:
    over = threading.Event()
    for _ in range(int(PATIENCE * 20)):
        if state():
            return
        over.wait(0.05)
    raise AssertionError("the state never came")


def test_an_executor_that_is_killed_costs_nothing(folder: Folder) -> None:
    """The worker of a task is killed while calls are in flight. Spark runs the task again."""
    killed: list[int] = []

    def behave(_hit: Hit, number: int) -> Reaction:
        if number == CALLS // 2:
            killed.extend(_kill_sender(folder.tracker))
        return OK

    folder.tracker.behave = behave
    result = folder.send()
    assert killed
    assert result.error is None
    assert folder.states == ["done"]
    found = arrived(folder.tracker)
    assert set(found) == whole()


def _kill_sender(_tracker: Tracker) -> list[int]:
    """Kill the process that sends: the child of an executor that has a connection to the tracker."""
    from tests.support.spark import senders_of

    pids = senders_of(_tracker.url)[:1]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return pids


def test_a_table_that_is_no_plan_and_a_key_as_an_option_are_refused(folder: Folder) -> None:
    """Spark repeats the error of the data source; nothing is sent."""
    from pyspark.errors import AnalysisException

    from km_cli.spark import register

    register(folder.spark)
    plan = folder.spark.read.parquet(str(folder.path / "jobs" / folder.job / "plan"))
    options = {"to": folder.tracker.url, "receipts": f"{folder.base}/r", "partitions": "2"}
    for table, more, message in (
        (plan.drop("payload"), {}, r"the column payload \(binary\) is missing: this is no plan"),
        (plan.withColumnRenamed("line", "lines"), {}, "a plan has no column lines"),
        (plan, {"key": "a-key-of-tests"}, "an API key must not be an option"),
    ):
        with pytest.raises(AnalysisException, match=message) as caught:
            table.write.format("kissmetrics").mode("append").options(**options, **more).save()
        assert "a-key-of-tests" not in str(caught.value)
    assert folder.tracker.seen == []


def test_files_that_hadoop_keeps_are_created_once(spark: SparkSession, tmp_path: Path) -> None:
    files, path = HadoopFiles(spark), f"file://{tmp_path}/folder/one.json"
    assert files.read(path) is None
    assert files.names(f"file://{tmp_path}/folder") == []
    files.create(path, b"first")
    with pytest.raises(Exists):
        files.create(path, b"second")
    assert files.read(path) == b"first"
    files.write(path, b"third\x00\xff")
    assert files.read(path) == b"third\x00\xff"
    assert files.exists(path)
    assert [name for name in files.names(f"file://{tmp_path}/folder") if name[0] != "."] == ["one.json"]
    files.remove(f"file://{tmp_path}/folder")
    assert not files.exists(path)
    with pytest.raises(WriteError, match="cannot reach nowhere://r"):
        files.read("nowhere://r")


def test_a_driver_that_is_killed_while_it_sends_is_followed_by_one_that_sends_the_rest(
    folder: Folder, tmp_path: Path
) -> None:
    """A quarter is acknowledged, the rest held, and then the driver is killed. Extras are the same bytes.

    The key stands neither in the event log of the killed Spark nor in the receipts.
    """
    events = tmp_path / "events"
    events.mkdir()
    folder.tracker.behave = lambda _, number: OK if number < CALLS // 4 else held()
    words = [
        sys.executable,
        "-m",
        "tests.support.spark_driver",
        str(tmp_path),
        folder.tracker.url,
        str(events),
    ]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _wait_for(lambda: len(folder.tracker.seen) > CALLS // 4 or process.poll() is not None)
    assert process.poll() is None
    children = list(below(process.pid))
    for pid in (process.pid, *children):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
    folder.tracker.behave = None
    folder.tracker.answer_all()
    with pytest.raises(LedgerBusy, match=f"process {process.pid} on"):
        folder.send()
    assert folder.send(takes_lease=True).error is None
    assert set(arrived(folder.tracker)) == whole()
    assert folder.states == ["done"]
    written = [path for place in (events, folder.path) for path in place.rglob("*") if path.is_file()]
    assert any(path.is_relative_to(events) for path in written)
    assert not [path for path in written if KEY.encode() in _content(path)]


def _content(path: Path) -> bytes:
    """Return the content of a file of Spark, which packs its event log."""
    if path.suffix != ".zstd":
        return path.read_bytes()
    content = b""
    with path.open("rb") as packed, suppress(zstandard.ZstdError):  # the last frame was cut off
        unpacked = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
        while part := unpacked.read(1 << 16):
            content += part
    return content
