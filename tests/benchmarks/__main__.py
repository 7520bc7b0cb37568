"""Every target and every peer side by side, as one table of ratios: `python -m tests.benchmarks`.

Machines differ and are shared, so each number is a ratio of two measurements of the same round. With `--tiny`
everything runs with a few hundred rows, only to see that it still does.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from tests.benchmarks.commands import dry_run, imported, into_files, into_local, stages
from tests.benchmarks.logs import Log, generated
from tests.benchmarks.peers import Measured, Peers, install
from tests.benchmarks.servers import fast_server, late_server
from tests.conftest import SAMPLES

NO_LOG = "the wire alone"
MISSING = "not installed"
PY_KISSMETRICS = "py-KISSmetrics"
LATENCY = 0.03

Cell = tuple[str, str]
"""The row and the column of a number."""


class Table:
    """Numbers of several rounds, shown as their medians."""

    def __init__(self, logs: list[Log]) -> None:
        self._columns = [NO_LOG, *(log.name for log in logs)]
        self._rows: dict[str, None] = {}
        self._found: dict[Cell, list[tuple[float, ...] | None]] = defaultdict(list)
        self._forms: dict[str, str] = {}

    def put(self, row: str, column: str, form: str, *numbers: float | None) -> None:
        """Add the numbers of a round; one that is None says that a program is not installed."""
        self._rows[row], self._forms[row] = None, form
        whole = tuple(number for number in numbers if number is not None)
        self._found[row, column].append(whole if len(whole) == len(numbers) else None)

    def lines(self) -> Iterator[str]:
        """Yield the table in Markdown."""
        yield f"| what | {' | '.join(self._columns)} |"
        yield "|---" * (len(self._columns) + 1) + "|"
        for row in self._rows:
            cells = [self._text(row, column) for column in self._columns]
            yield f"| {row} | {' | '.join(cells)} |"

    def _text(self, row: str, column: str) -> str:
        rounds = self._found.get((row, column))
        if not rounds:
            return ""
        if any(one is None for one in rounds):
            return MISSING
        return self._forms[row].format(*map(median, zip(*filter(None, rounds), strict=True)))


class Benchmark:
    """What is measured in a round."""

    def __init__(self, table: Table, peers: Peers, fast: str, late: str, calls: int) -> None:
        self._table = table
        self._peers = peers
        self._fast = fast
        self._late = late
        self._calls = calls

    def compare(self, row: str, column: str, ours: Measured | None, theirs: Measured | None) -> None:
        """Add how many times as fast ours is: by the clock, and by the CPU it needs."""
        both = ours is not None and theirs is not None
        by_clock = ours.rate / theirs.rate if both and ours and theirs else None
        by_cpu = theirs.cost / ours.cost if both and ours and theirs else None
        self._table.put(row, column, "{:.2f} ({:.2f})", by_clock, by_cpu)

    def share(self, row: str, column: str, ours: Measured | None, in_flight: int) -> None:
        """Add the share of the calls that could be answered with so many in flight."""
        self._table.put(row, column, "{:.0%}", ours and ours.rate * LATENCY / in_flight)

    def of_wire(self) -> dict[str, Measured | None]:
        """Measure the wire without a log; return the peers that imports are compared with."""
        send = self._peers.wire
        for at, url in (("no latency", self._fast), ("30 ms", self._late)):
            for in_flight in (64, 256):
                few = self._calls if url == self._fast else max(self._calls, 100 * in_flight)
                multi, curl = (send(way, url, in_flight, few) for way in ("multi", "curl"))
                self.compare(f"{at}, {in_flight} in flight, curl: bare CurlMulti", NO_LOG, curl, multi)
                if url == self._late:
                    self.share(
                        f"{at}, {in_flight} in flight, bare CurlMulti: the ideal", NO_LOG, multi, in_flight
                    )
                    self.share(f"{at}, {in_flight} in flight, curl: the ideal", NO_LOG, curl, in_flight)
            sessions = send("sessions", url, 64)
            for in_flight in (64, 256):
                row = f"{at}, {in_flight} in flight, requests: 64 tuned sessions"
                self.compare(row, NO_LOG, send("requests", url, in_flight), sessions)
            row = f"{at}, as it adapts, requests: 64 tuned sessions"
            self.compare(row, NO_LOG, send("requests", url, "auto"), sessions)
        return {
            PY_KISSMETRICS: self._peers.py_kissmetrics(self._fast),
            "`curl --parallel`": self._peers.curl(self._fast),
            "wrk": self._peers.wrk(self._fast),
            "mixpanel-utils (batches of 2,000)": self._peers.mixpanel_utils(self._fast),
        }

    def of_log(self, log: Log, started: float, peers: dict[str, Measured | None]) -> None:
        """Measure the commands over a log; `started` are the CPU seconds of one over an empty log."""
        bare, dry = log.yardstick(), dry_run(log) - started
        self._table.put("dry run: a bare csv.reader (CPU)", log.name, "{:.0f}", dry / bare)
        self._table.put("stages of `plan`: a bare csv.reader (CPU)", log.name, "{:.0f}", stages(log))
        local = into_local(log) - started
        self._table.put("import into local: dry run (CPU)", log.name, "{:.1f}", local / dry)
        for ending in ("json", "csv"):
            files = into_files(log, ending) - started
            self._table.put(f"bulk files, {ending}: dry run (CPU)", log.name, "{:.2f}", files / dry)
        for transport in ("curl", "requests"):
            ours = imported(log, self._fast, transport, "auto")
            ours = ours._replace(cpu=ours.cpu - started)
            for name, theirs in peers.items():
                if transport == "curl" or name == PY_KISSMETRICS:
                    self.compare(f"import by {transport}, no latency: {name}", log.name, ours, theirs)
        for in_flight in (64, 256):
            ours = imported(log, self._late, "curl", str(in_flight))
            self.share(f"import by curl, 30 ms, {in_flight} in flight: the ideal", log.name, ours, in_flight)
        ours = imported(log, self._late, "requests", "64")
        self.share("import by requests, 30 ms, 64 in flight: the ideal", log.name, ours, 64)


def arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tiny", action="store_true", help="a few hundred rows, one round, no installation")
    parser.add_argument("--log", type=Path, help="another log")
    parser.add_argument("--options", default="", help="options of km-cli for it, as one word")
    parser.add_argument(
        "--peers", type=Path, help="folder of the peers' virtual environment, made if missing"
    )
    return parser.parse_args()


def measure(asked: argparse.Namespace, folder: Path) -> Iterator[str]:
    """Measure all rounds; yield the table and what it was measured with."""
    calls = 200 if asked.tiny else 20_000
    logs = (
        [generated(folder / "some.csv", 200, 50)]
        if asked.tiny
        else [
            Log("the sample", SAMPLES / "events.csv"),
            generated(folder / "many.csv", 100_000, 30_000),
        ]
    )
    if asked.log:
        logs.append(Log(asked.log.name, asked.log, tuple(shlex.split(asked.options))))
    nothing = generated(folder / "nothing.csv", 0, 1)
    python = None if asked.tiny and not asked.peers else install(asked.peers or folder / "peers")
    peers, table = Peers(folder, calls, python), Table(logs)
    with fast_server(folder) as (fast, server), late_server(LATENCY * 1000) as late:
        for _ in range(1 if asked.tiny else asked.rounds):
            benchmark = Benchmark(table, peers, fast, late, calls)
            found = benchmark.of_wire()
            for log in logs:
                benchmark.of_log(log, dry_run(nothing), found)
    rounds = 1 if asked.tiny else asked.rounds
    yield from table.lines()
    yield ""
    date, python, plural = time.strftime("%Y-%m-%d"), platform.python_version(), "s" * (rounds > 1)
    yield (
        f"{date}, {os.cpu_count()} cores of {machine()}, Python {python}, {server}, median of {rounds} "
        f"round{plural}. `ours: theirs` is how many times as fast ours is by the clock (by CPU)."
    )


def machine() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main() -> None:
    """Measure, and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        for line in measure(arguments(), Path(folder)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
