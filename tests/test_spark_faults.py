"""Faults of a cluster while a job plans and sends: nothing is lost, and extras are the same bytes.

The processes are real, and so are the faults: executors and drivers are killed, a folder is a file for a
while, and a task runs twice because it is late.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command import Command
from tests.support.patience import PATIENCE
from tests.support.spark import below, executors, needs_spark
from tests.support.spark_plans import SECRET, arrived, opened, payload, settings_to, write_plan
from tests.support.tracker import OK, Hit, Reaction, Tracker, held
from tests.test_spark_job import ROWS, Job, wire, write_log

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CALLS = 400


def send(spark: SparkSession, tracker: Tracker, folder: Path) -> None:
    """Run a job that sends what is left."""
    from km_cli.spark.job import run_job
    from km_cli.spark.place import Place

    place = Place(str(folder / "receipts"), SECRET)
    run_job(spark, (), settings_to(tracker.url, folder), place).check()


def check_that_all_arrived(spark: SparkSession, tracker: Tracker, folder: Path) -> None:
    """All calls arrived, with their bytes and no others, and another job sends nothing."""
    assert set(arrived(tracker)) == {payload(number) for number in range(CALLS)}
    assert [job.state for job in opened(folder / "receipts", tracker.url).manifest.jobs] == ["done"]
    tracker.forget()
    send(spark, tracker, folder)
    assert tracker.seen == []


def wait_for(state: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    """Wait until it is so. A process that ends meanwhile ends the test."""
    deadline = time.monotonic() + PATIENCE
    while not state():
        assert process is None or process.poll() is None, process and process.communicate()
        assert time.monotonic() < deadline, "the state never came"
        time.sleep(0.05)


def test_an_executor_whose_java_is_killed_is_followed_by_a_new_one(
    spark: SparkSession, tracker: Tracker, tmp_path: Path
) -> None:
    """Half of the calls have arrived. The cluster starts another executor, and Spark runs the task again."""
    write_plan(opened(tmp_path / "receipts", tracker.url), CALLS)
    before = executors(os.getpid())
    killed: list[int] = []

    def behave(_hit: Hit, number: int) -> Reaction:
        if number == CALLS // 2:
            killed.append(before[0])
            os.kill(before[0], signal.SIGKILL)
        return OK

    tracker.behave = behave
    send(spark, tracker, tmp_path)
    assert killed
    assert len(before) == 2
    wait_for(lambda: len(executors(os.getpid())) == 2)
    assert set(executors(os.getpid())) != set(before)
    check_that_all_arrived(spark, tracker, tmp_path)


def test_a_task_that_cannot_write_its_receipts_is_tried_again(
    spark: SparkSession, tracker: Tracker, tmp_path: Path
) -> None:
    """A file stands in the place of the receipts folder, until a task that failed sends its calls again."""
    job = write_plan(opened(tmp_path / "receipts", tracker.url), CALLS)
    folder = tmp_path / "receipts" / "jobs" / job / "receipts"
    seen: set[str] = set()
    repeated: list[str] = []

    def behave(hit: Hit, number: int) -> Reaction:
        if number == 0:
            folder.write_text("this is no folder")
        if hit.query in seen and not repeated:
            folder.unlink()
            repeated.append(hit.query)
        seen.add(hit.query)
        return OK

    tracker.behave = behave
    send(spark, tracker, tmp_path)
    assert repeated
    check_that_all_arrived(spark, tracker, tmp_path)


@pytest.mark.spark
def test_a_late_task_that_spark_runs_twice(tracker: Tracker, tmp_path: Path) -> None:
    """One call is not answered. The other tasks end, and Spark starts the task of this call once more."""
    needs_spark()
    write_plan(opened(tmp_path / "receipts", tracker.url), CALLS)
    first: list[str] = []
    again: list[str] = []

    def behave(hit: Hit, number: int) -> Reaction:
        if number == 0:
            first.append(hit.query)
            return held()
        if hit.query == first[0]:
            again.append(hit.query)
        return OK

    tracker.behave = behave
    words = [sys.executable, "-m", "tests.support.spark_driver", str(tmp_path), tracker.url, "speculation"]
    ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=4 * PATIENCE)
    assert ended.returncode == 0, ended.stderr
    assert again == first
    assert set(arrived(tracker)) == {payload(number) for number in range(CALLS)}
    assert [job.state for job in opened(tmp_path / "receipts", tracker.url).manifest.jobs] == ["done"]


@pytest.mark.spark
def test_a_driver_that_is_killed_while_it_plans_and_one_that_is_interrupted_while_it_sends(
    importer: Command, tracker: Tracker, tmp_path: Path
) -> None:
    """Nothing of the first plan was sent: it is removed. Ctrl-C ends with 130, after the calls in flight."""
    log = write_log(tmp_path / "log.csv")
    importer("import", log).ended(0)
    expected = dict.fromkeys(wire(tracker.hits), 1)
    tracker.forget()
    job = Job(tmp_path, tracker.url)
    jobs = job.receipts / "jobs"

    planning = job.command.start("spark", "import", log, *job.words)
    wait_for(lambda: [*jobs.glob("*/plan")], planning)
    left = {path.name for path in jobs.iterdir()}
    end(planning)
    assert not [*job.receipts.glob("manifest-*")], "it was not killed while it planned"
    assert tracker.seen == []

    stopping = job.command.start("spark", "import", log, *job.words, "--break-lease", start_new_session=True)
    wait_for(lambda: {path.parent.name for path in jobs.glob("*/plan")} - left, stopping)
    os.killpg(stopping.pid, signal.SIGINT)
    _, told = stopping.communicate(timeout=PATIENCE)
    assert stopping.returncode == 130, told
    assert tracker.seen == []

    tracker.behave = lambda _, number: OK if number < ROWS // 3 else held()
    sending = job.command.start("spark", "import", log, *job.words, "--break-lease", start_new_session=True)
    wait_for(lambda: len(tracker.seen) > ROWS // 3, sending)
    os.killpg(sending.pid, signal.SIGINT)  # as a terminal does
    wait_for(lambda: [*jobs.glob("*/stopped.json")], sending)
    tracker.behave = None
    tracker.answer_all()
    _, told = sending.communicate(timeout=PATIENCE)
    assert sending.returncode == 130, told
    assert "run the same command again" in told
    assert not left & {path.name for path in jobs.iterdir()}
    assert len(tracker.hits) > ROWS // 3

    last = job.command.alone("spark", "import", log, *job.words, "--json").ended(0)
    assert json.loads(last.out)["calls"]["planned"] == 0
    assert Counter(wire(tracker.hits)) == expected


def end(process: subprocess.Popen[str]) -> None:
    """Kill a driver with all its processes; workers may have ended by themselves."""
    for pid in (process.pid, *below(process.pid)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.communicate()
