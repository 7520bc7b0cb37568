"""Programs that km-cli is compared with, each in a process of its own.

Those in Python need other versions of km-cli's libraries, and so get a virtual environment of their own.
"""

from __future__ import annotations

import json
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.wire import KEY, payloads

PACKAGES = ("py-KISSmetrics", "mixpanel-utils")

_PY_KISSMETRICS = """
import json, sys, time
from urllib.parse import parse_qs, urlsplit
from KISSmetrics.client import Client
url, calls = sys.argv[1], [parse_qs(urlsplit(line).query) for line in open(sys.argv[2])]
client = Client("KEY", trk_host=urlsplit(url).netloc, trk_scheme="http")
began, cpu = time.perf_counter(), time.process_time()
for call in calls:
    rest = {name: value[0] for name, value in call.items() if not name.startswith("_")}
    answer = client.record(call["_p"][0], call["_n"][0], rest, timestamp=int(call["_t"][0]))
    assert answer.status == 200, answer.status
taken = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
print(json.dumps({"calls": len(calls), **taken}))
"""
_MIXPANEL_UTILS = """
import json, sys, time
from urllib.parse import parse_qs, urlsplit
from mixpanel_utils import MixpanelUtils
url, calls = sys.argv[1], [parse_qs(urlsplit(line).query) for line in open(sys.argv[2])]
events = []
for call in calls:
    rest = {name: value[0] for name, value in call.items() if not name.startswith("_")}
    rest.update(distinct_id=call["_p"][0], time=int(call["_t"][0]))
    events.append({"event": call["_n"][0], "properties": rest})
utils = MixpanelUtils("secret", token="token")
utils.import_api = url
began, cpu = time.perf_counter(), time.process_time()
utils.import_events(events, 0)
taken = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
print(json.dumps({"calls": len(calls), **taken}))
"""


class Measured(NamedTuple):
    """What a number of calls, or rows, took: seconds by the clock, and of a processor."""

    calls: int
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.calls / self.seconds

    @property
    def cost(self) -> float:
        """CPU seconds a call."""
        return self.cpu / self.calls


def reported(words: Sequence[str | Path]) -> Measured | None:
    """Run a program that prints what it took as JSON; None if it cannot be run here."""
    run = subprocess.run(words, capture_output=True, text=True, check=False)
    return Measured(**json.loads(run.stdout)) if run.returncode == 0 else None


def timed(words: Sequence[str | Path], calls: int, environment: dict[str, str] | None = None) -> Measured:
    """Run a program from its start to its end; import may end with rejected rows (65)."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run = subprocess.run(words, capture_output=True, env=environment, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run.returncode in (0, 65), run.stderr.decode()
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Measured(calls, time.perf_counter() - began, cpu)


class Peers:
    """The programs that are installed here. `python` has the packages, None to have none of them."""

    def __init__(self, folder: Path, count: int, python: Path | None) -> None:
        self._python = python
        self._count = count
        self._paths = folder / "paths"
        self._paths.write_text("\n".join(payloads(count)), encoding="utf-8")
        self._config = folder / "curl.config"

    def py_kissmetrics(self, url: str) -> Measured | None:
        """Send calls by Kissmetrics' own library."""
        return self._by_python(_PY_KISSMETRICS, url)

    def mixpanel_utils(self, url: str) -> Measured | None:
        """Send as many events in batches of thousands, as Mixpanel's own tool does."""
        return self._by_python(_MIXPANEL_UTILS, url)

    def _by_python(self, script: str, url: str) -> Measured | None:
        return self._python and reported([self._python, "-W", "ignore", "-c", script, url, self._paths])

    def wire(self, way: str, url: str, in_flight: int | str, calls: int = 0) -> Measured | None:
        """Send calls in one of the ways of `tests.benchmarks.wire`."""
        words = [sys.executable, "-m", "tests.benchmarks.wire", way, url, str(calls or self._count)]
        measured = reported([*words, str(in_flight)])
        assert measured or way != "requests", "km-cli's own driver failed"
        return measured

    def curl(self, url: str) -> Measured | None:
        """Send the calls by the program curl, from a file of URLs."""
        program = shutil.which("curl")
        if program is None:
            return None
        with self._config.open("w", encoding="utf-8") as file:
            for payload in payloads(self._count):
                file.write(f'url = "{url}{payload.replace("?", f"?_k={KEY}&", 1)}"\noutput = "/dev/null"\n')
        words = [program, "--silent", "--parallel", "--parallel-max", "64", "--config", self._config]
        return timed(words, self._count)

    def wrk(self, url: str) -> Measured | None:
        """Send one call again and again by wrk, which is about as fast as the server can answer."""
        program = shutil.which("wrk")
        if program is None:
            return None
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        words = [program, "-t1", "-c16", "-d1s", url + next(payloads(1))]
        run = subprocess.run(words, capture_output=True, text=True, check=True)
        after, seconds = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - began
        calls = int(re.findall(r"(\d+) requests in", run.stdout)[0])
        cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        return Measured(calls, seconds, cpu)


def install(folder: Path) -> Path | None:
    """Make a virtual environment with the peers' packages, unless the folder has one; return its Python."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        words = [python, "-m", "pip", "install", "--quiet", *PACKAGES]
        if subprocess.run(words, capture_output=True, check=False).returncode:
            return None
    return python
