"""Spark against one machine, two executors against one: `python -m tests.benchmarks.spark [ROWS] [CALLS]`.

Planning is measured in rows a second of CPU, without sending. The CPU is that of all processes, Java's as
well. Calls go to a server with 30 ms of latency, with so few in flight for each executor that waiting bounds
it, and not the processor of this machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.onemachine import FixedClock, one_machine, settings_of
from tests.support.spark import cpu_below, started
from tests.support.spark_plans import SECRET, opened, settings_to, write_plan

NOW = 1_800_000_000.0
LATENCY = "30"
IN_FLIGHT = 8
"""For each executor: some 260 calls a second at 30 ms, which one core can send with ease."""

_FEW = {
    "spark.sql.shuffle.partitions": "4",
    "spark.driver.extraJavaOptions": "",
    "spark.executor.extraJavaOptions": "",
}
"""Unlike in tests, Java compiles as well as it can."""


def write_log(path: Path, rows: int) -> Path:
    """Write a log of so many rows, with a user for each three of them and 1,000 accounts."""
    lines = [
        f"{1_709_283_600 + n},u{n * 7919 % (rows // 3 + 1)},a{n % 1000},Clicked,pro" for n in range(rows)
    ]
    path.write_text("\n".join(["timestamp,user,account,event,plan", *lines, ""]))
    return path


def cpu_of(step: Callable[[], object]) -> float:
    """Return the seconds of CPU that a step takes in this process and in all below it."""
    before = cpu_below(os.getpid())
    step()
    return cpu_below(os.getpid()) - before


def timed(step: Callable[[], object]) -> float:
    """Return the seconds that a step takes."""
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def plan(rows: int, folder: Path) -> None:
    """Plan a log on one machine and on two executors; print the rows a second of CPU of both."""
    from km_cli.spark.planning import FileSource, plan_events

    logs = [write_log(folder / f"{name}.csv", rows // 2) for name in ("a", "b")]
    settings = settings_of(["--to", "http://127.0.0.1:1", *logs])
    with one_machine(folder, NOW) as machine:
        alone = cpu_of(lambda: machine.plan(settings, logs))
    with started(folder / "planning", settings=_FEW) as spark:

        def plan_on_spark() -> None:
            sources = [FileSource(str(log)) for log in logs]
            planned = plan_events(spark, sources, settings, (), None, SECRET, FixedClock(NOW).now())
            planned.plan.write.format("noop").mode("overwrite").save()
            planned.release()

        seconds: list[float] = []
        plan_on_spark()  # starts Python on the executors
        together = cpu_of(lambda: seconds.append(timed(plan_on_spark)))
    print(f"planning {rows:,} rows: {rows / alone:,.0f} a second of CPU on one machine")
    print(f"planning {rows:,} rows: {rows / together:,.0f} a second of CPU on Spark, two executors")
    print(f"planning {rows:,} rows: {seconds[0]:.1f} s on Spark, two executors with one core each")


def send(calls: int, executors: int, folder: Path, url: str) -> float:
    """Return the seconds in which so many executors send a plan."""
    from km_cli.spark.job import run_job
    from km_cli.spark.place import Place

    place = folder / f"receipts-{executors}"
    folder = folder / f"sending-{executors}"
    folder.mkdir()
    settings = settings_to(url, folder, concurrency=IN_FLIGHT * executors)
    cores = {**_FEW, "spark.default.parallelism": str(executors)}  # a task for each, as on a cluster
    with started(folder / "spark", f"local-cluster[{executors},1,1024]", cores) as spark:
        seconds = 0.0
        for size in (executors * IN_FLIGHT, calls):  # the first one starts Python on the executors
            write_plan(opened(place, url), size)
            seconds = timed(lambda: run_job(spark, [], settings, Place(str(place), SECRET)).check())
    return seconds


def main(rows: int = 100_000, calls: int = 8_000) -> None:
    """Measure both, and print the results."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        plan(rows, folder)
        command = [sys.executable, "-m", "tests.benchmarks.late", LATENCY]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            one, two = (send(calls, executors, folder, url) for executors in (1, 2))
            server.communicate()
    print(f"sending {calls:,} calls at {LATENCY} ms: {one:.1f} s with one executor, {two:.1f} s with two")
    print(f"two executors are {one / two:.2f} times as fast as one")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
