"""`python -m tests.benchmarks` is alive. How fast anything is, no test asserts."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.conftest import SAMPLES

ROWS = (
    "dry run: a bare csv.reader",
    "import into local: dry run",
    "import by curl, no latency: py-KISSmetrics",
    "import by curl, no latency: `curl --parallel`",
    "import by requests, no latency: py-KISSmetrics",
    "import by curl, 30 ms, 256 in flight: the ideal",
    "30 ms, 64 in flight, requests: 64 tuned sessions",
)


def test_the_benchmarks_fill_their_table() -> None:
    """Peers may be absent; each other cell has a number."""
    words = [sys.executable, "-m", "tests.benchmarks", "--tiny"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=SAMPLES.parent, check=True)
    head, _, *rows = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert "the wire alone | 200 rows" in head
    for name in ROWS:
        assert any(row.startswith(f"| {name}") for row in rows), name
    for row in rows:
        assert re.search(r"\d|not installed", row.split(" | ", 1)[1]), row
    assert re.search(r"20\d\d-\d\d-\d\d, \d+ cores .*, Python 3", done.stdout)


def test_the_load_of_the_server_is_measured() -> None:
    """The benchmark itself checks that every call is in the store."""
    if find_spec("pycurl") is None:
        pytest.skip("needs pycurl")
    words = [sys.executable, "-m", "tests.benchmarks.serve", "200", "1"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=SAMPLES.parent, check=True)
    assert re.search(r"kept \d+\.\d\d, with the stream open \d+\.\d\d; \d+ MiB", done.stdout)
