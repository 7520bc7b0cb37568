"""What tests share: a tracker on loopback, and the real command with a home of its own."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

import km_cli.run.registered  # noqa: F401 - rejects are an input format, too
from tests.support.bench import Bench
from tests.support.command import TRANSPORT, Command
from tests.support.drawing import IS_CI, examples
from tests.support.killing import Killer
from tests.support.spark import needs_spark, started
from tests.support.tracker import Tracker

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# How long an example takes, or takes to draw, says nothing: these machines are shared. In `.ci/run` a commit
# always gets the same examples, so that a failure there is a failure of the change. All other runs draw new
# ones.
settings.register_profile(
    "km-cli",
    deadline=None,
    max_examples=examples(100),
    derandomize=IS_CI,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("km-cli")

SAMPLES = Path(__file__).parent.parent / "samples"

# Thousands of processes are started: compiled anew by each, the modules cost a third of all the time.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A shell starts background jobs with SIGINT ignored, and the processes of tests would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


SLOW = frozenset(
    f"test_{name}.py"
    for name in (
        *(
            "aliases",
            "reject_limit",
            "backfill",
            "benchmarks",
            "compression",
            "config_files",
            "exports",
            "foresight",
            "full_disk",
            "init_exports",
            "install",
            "interrupts",
            "meaning",
            "rows",
        ),
        *("kill", "ledger_damage", "ledger_gone", "many_instances", "members", "migrations", "outcomes"),
        *(
            "pages",
            "planning",
            "reasons",
            "receipt",
            "rotation",
            "samples",
            "serve_command",
            "any_people",
            "terminal",
        ),
    )
)
"""Files that take long as a whole: their tests start or kill processes, run every command of the pages, or
import each log in many pieces. `.ci/run` runs them too."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of slow files, so that the README's test command takes minutes; and those with Spark."""
    for item in items:
        if item.path.name in SLOW:
            item.add_marker(pytest.mark.slow)
        if "spark" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.spark)
        if item.get_closest_marker("spark"):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that is skipped for want of a program, where all of them have to be there (.ci/run)."""
    report = yield
    if report.skipped and IS_CI and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason.startswith("needs "):
            report.outcome, report.longrepr = "failed", f"KM_CLI_REQUIRE=all, and this test {reason}"
    return report


@pytest.fixture
def tracker() -> Iterator[Tracker]:
    """A tracker that records and, if told to, misbehaves."""
    with Tracker() as running:
        yield running


@pytest.fixture(scope="module")
def shared_tracker() -> Iterator[Tracker]:
    """A tracker for all examples of a hypothesis test; it has to `forget()` between them."""
    with Tracker() as running:
        yield running


@pytest.fixture(scope="session")
def killer() -> Iterator[Killer]:
    """The process that runs commands which kill themselves at a chosen place."""
    with Killer() as running:
        yield running


@pytest.fixture
def bench(tmp_path: Path, tracker: Tracker) -> Bench:
    """The command in this process, with a ledger of its own, sending to the tracker."""
    return Bench(tmp_path, tracker)


@pytest.fixture
def km(tmp_path: Path) -> Command:
    """The command, sending nowhere unless told so."""
    return Command(tmp_path)


@pytest.fixture
def importer(tmp_path: Path, tracker: Tracker) -> Command:
    """The command, sending to the tracker."""
    return Command(tmp_path, to=tracker.url)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Spark on two executors, one session for the whole test run: to start takes as long as many tests."""
    needs_spark()
    with started(tmp_path_factory.mktemp("spark")) as session:
        yield session


@pytest.fixture(params=["requests", "curl"])
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test over both libraries that send calls."""
    if request.param == "curl" and find_spec("pycurl") is None:
        pytest.skip("needs pycurl")
    monkeypatch.setattr("tests.support.delivering.TRANSPORT", request.param)
    monkeypatch.setitem(TRANSPORT, "KM_CLI_TRANSPORT", request.param)
    return str(request.param)
