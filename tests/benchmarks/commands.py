"""km-cli's own commands, each in a process and a home of its own."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.logs import Log
from tests.benchmarks.peers import Measured
from tests.support.command import Command

MOST_ROWS = 20_000
"""Rows of a log that are sent over HTTP. The rate is the same for more of them."""


def run(log: Log, *words: str | Path, to: str = "") -> tuple[dict[str, Any], Measured]:
    """Run a command over a log; return its summary, and what it took with its start."""
    with tempfile.TemporaryDirectory() as home:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        name, *more = words
        command = Command(Path(home), to=to or f"local:{home}/local.db", environment={"PYTHONWARNINGS": ""})
        process = command.start(name, log.path, *log.options, "--json", *more)
        out, err = process.communicate()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert process.returncode in (0, 65), err
    summary = json.loads(out)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return summary, Measured(max(1, summary["calls"]["acknowledged"]), summary["seconds"] or 1e-3, cpu)


def dry_run(log: Log) -> float:
    """Return the CPU seconds of a dry run."""
    return run(log, "dry-run")[1].cpu


def into_local(log: Log) -> float:
    """Return the CPU seconds of an import into a store on this machine."""
    return run(log, "import")[1].cpu


def into_files(log: Log, ending: str) -> float:
    """Return the CPU seconds of an import into bulk files."""
    with tempfile.TemporaryDirectory() as folder:
        return run(log, "import", to=f"file:{folder}/bulk.{ending}")[1].cpu


def imported(log: Log, url: str, transport: str, in_flight: str) -> Measured:
    """Import the first rows of a log; only the seconds are without its start."""
    words = ("--transport", transport, "--concurrency", in_flight, "--limit", str(MOST_ROWS))
    return run(log, "import", *words, to=url)[1]


def stages(log: Log) -> float | None:
    """Return how many times a bare `csv.reader` the stages of `tests.benchmarks.plan` take."""
    pairs = dict(zip(log.options[::2], log.options[1::2], strict=False))
    columns = [f"{name.lstrip('-')}={pairs[name]}" for name in _COLUMNS if name in pairs]
    words = [sys.executable, "-m", "tests.benchmarks.plan", str(log.path), *columns]
    out = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    found = re.search(r"\((\d+) x a bare", out)
    return float(found[1]) if found else None


_COLUMNS = ("--user", "--account", "--event", "--timestamp")
