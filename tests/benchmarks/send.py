"""How fast calls are acknowledged: `python -m tests.benchmarks.send [LATENCY_MS [CONCURRENCY]]`.

The real command, from file to acknowledged, against the tests' tracker in a process of its own; beside it a
plain loop of one `requests.Session` over the same calls. Only the ratio of one run counts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests

from tests.benchmarks.plan import SAMPLE
from tests.support.command import Command

_SERVER = """
import sys, time
from tests.support.tracker import Tracker
with Tracker(latency=float(sys.argv[1])) as tracker:
    print(tracker.url, flush=True)
    sys.stdin.read()
"""
_LOOPED = 400


def loop(url: str) -> float:
    """Send calls one after the other as a plain script would; return calls a second."""
    began = time.perf_counter()
    with requests.Session() as session:
        for number in range(_LOOPED):
            query = {
                "_k": "key",
                "_p": f"user {number}",
                "_n": "Signed Up",
                "_t": number,
                "_d": 1,
                "plan": "pro",
            }
            session.get(f"{url}/e", params=query, timeout=30)
    return _LOOPED / (time.perf_counter() - began)


def imported(url: str, concurrency: int) -> float:
    """Import the sample; return acknowledged calls a second, start-up not counted."""
    with tempfile.TemporaryDirectory() as home:
        run = Command(Path(home), to=url)
        result = run("import", SAMPLE, "--json", "--concurrency", str(concurrency)).ended(65)
    summary = json.loads(result.out)
    return summary["calls"]["acknowledged"] / summary["seconds"]


def main() -> None:
    """Measure three times, alternating; print each and the median ratio."""
    latency = float(sys.argv[1]) / 1000 if len(sys.argv) > 1 else 0.0
    concurrency = int(sys.argv[2]) if len(sys.argv) > 2 else 16
    words = [sys.executable, "-c", _SERVER, str(latency)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        ratios = []
        for _ in range(3):
            plain, ours = loop(url), imported(url, concurrency)
            ratios.append(ours / plain)
            print(f"a loop of requests {plain:7,.0f}/s   km-cli {ours:7,.0f}/s   {ratios[-1]:5.2f} x")
        ideal = f", {concurrency / latency:,.0f}/s would be ideal" if latency else ""
        print(f"median {sorted(ratios)[1]:.2f} x at {concurrency} in flight, {latency * 1000:.0f} ms{ideal}")
        server.kill()


if __name__ == "__main__":
    main()
