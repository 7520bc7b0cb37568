"""Jobs on Spark from end to end: the calls of one machine, once, whatever is killed and run again."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command import KEY, Command
from tests.support.schemas import check_output
from tests.support.spark import QUICK_JAVA, needs_spark, surroundings
from tests.support.spark_plans import SECRET, opened, settings_to
from tests.support.tracker import OK, Hit, Tracker, held

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROWS = 60


def write_log(path: Path) -> Path:
    """Write a log in which people share accounts, and accounts have several events in one second."""
    lines = ["user,account,event,timestamp,plan"]
    for row in range(ROWS):
        second = row // 3
        lines.append(
            f"u{row % 7},a{row % 3},Clicked,2024-03-01T09:{second // 60:02}:{second % 60:02}Z,p{row % 2}"
        )
    path.write_text("\n".join(lines) + "\n")
    return path


def wire(hits: list[Hit]) -> Counter[tuple[str, str]]:
    """Return path and query of each request, with how often it came."""
    return Counter((hit.path, hit.query) for hit in hits)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write_log(tmp_path / "log.csv")


@pytest.fixture
def expected(importer: Command, log: Path, tracker: Tracker) -> set[tuple[str, str]]:
    """The requests of one machine."""
    importer("import", log).ended(0)
    found = set(wire(tracker.hits))
    tracker.forget()
    return found


class Job:
    """The command on Spark, in a process of its own."""

    def __init__(self, tmp_path: Path, url: str) -> None:
        needs_spark()
        secret = tmp_path / "secret"
        secret.write_bytes(SECRET)
        secret.chmod(0o600)
        self.receipts = tmp_path / "receipts"
        self.events = tmp_path / "events"
        self.events.mkdir()
        self.words = ("--receipts", self.receipts, "--secret-file", secret, "--master", "local[2]")
        logged = {
            "PYSPARK_SUBMIT_ARGS": f"--driver-java-options '{QUICK_JAVA}' "
            f"--conf spark.ui.enabled=false "
            f"--conf spark.eventLog.enabled=true --conf spark.eventLog.dir={self.events} pyspark-shell"
        }
        self.command = Command(
            tmp_path,
            to=url,
            environment={**surroundings(tmp_path / "spark"), **logged, "PYTHONWARNINGS": "default"},
        )


@pytest.mark.spark
def test_a_job_that_is_killed_while_it_sends_is_finished_by_the_next_one(
    tmp_path: Path, log: Path, tracker: Tracker, expected: set[tuple[str, str]]
) -> None:
    """The driver is killed when a third has arrived. Then the command runs again, and once more."""
    job = Job(tmp_path, tracker.url)
    tracker.behave = lambda _, number: OK if number < ROWS // 3 else held()
    process = job.command.start("spark", "import", log, *job.words, "--json")
    while len(tracker.seen) <= ROWS // 3:
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    tracker.behave = None
    tracker.answer_all()

    busy = job.command.alone("spark", "import", log, *job.words, "--json")
    assert busy.code == 75
    assert "--break-lease" in busy.err

    again = job.command.alone("spark", "import", log, *job.words, "--json", "--break-lease").ended(0)
    check_output(("spark", "import", "--json"), again.out)
    calls = json.loads(again.out)["calls"]
    assert (calls["planned"], calls["pending"]) == (0, 0)
    assert set(wire(tracker.hits)) == expected
    extras = sum(wire(tracker.hits).values()) - len(expected)
    assert extras <= len(expected)

    tracker.forget()
    dry = job.command.alone("spark", "dry-run", log, *job.words, "--json").ended(0)
    check_output(("spark", "dry-run", "--json"), dry.out)
    assert json.loads(dry.out)["calls"]["planned"] == 0
    assert job.receipts.stat().st_mode & 0o077 == 0, "it holds rows in clear"
    assert tracker.seen == []
    for path in (*job.events.rglob("*"), *job.receipts.rglob("*")):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


def test_a_batch_of_a_stream_that_is_delivered_again_sends_nothing_twice(
    spark: SparkSession, tmp_path: Path, log: Path, tracker: Tracker
) -> None:
    from km_cli.spark import import_events

    settings = settings_to(tracker.url, tmp_path)
    batches = [spark.read.csv(str(log), header=True).where(f"user {sign} 'u3'") for sign in ("<", ">=")]
    for batch in (0, 0, 1, 1):
        result = import_events(
            spark,
            batches[batch],
            settings,
            receipts=str(tmp_path / "receipts"),
            secret=SECRET,
            order_by=("timestamp", "user"),
            name=f"batch {batch}",
        )
        assert result.error is None
    assert max(wire(tracker.hits).values()) == 1
    assert len(tracker.hits) == 2 * ROWS
    assert {job.state for job in opened(tmp_path / "receipts", tracker.url).manifest.jobs} == {"done"}
