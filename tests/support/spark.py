"""Real Spark: one session a test run, on two executors that are processes of their own.

`needs_spark()` skips where Java or pyspark is absent. `started()` starts a session. The executors get the
Python and the modules of the tests. Spark on a cluster in one machine writes into its own folder: here a
folder of links stands for it, so that nothing is written beside pyspark.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CLUSTER = "local-cluster[2,1,1024]"
"""Two executors with one core and 1,024 MB each."""

_NEEDED = ("pyspark", "pandas", "pyarrow")
_ROOT = Path(__file__).parent.parent.parent

QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Java compiles quickly and not well. Tests run each plan once or twice, so that compiling was most of their
work."""

SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "4g",
    "spark.driver.extraJavaOptions": QUICK_JAVA,
    "spark.executor.extraJavaOptions": QUICK_JAVA,
    "spark.sql.maxPlanStringLength": "10000",
    "spark.sql.shuffle.partitions": "4",
    "spark.default.parallelism": "4",
    "spark.log.level": "ERROR",
}
"""Of every session of tests: small, and on loopback. A session of many jobs keeps the plans of each of them,
as text of any length."""


def needs_spark() -> None:
    """Skip the test if Spark cannot run here."""
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        pytest.skip(f"needs {', '.join(missing)}")
    if shutil.which("java") is None:
        pytest.skip("needs java")


def surroundings(folder: Path) -> dict[str, str]:
    """Return the environment that Spark's processes need. What they write is below `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "SPARK_HOME": str(_spark_home(folder / "spark")),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(folder),
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join([str(_ROOT), *_search_path()]),
    }


def _search_path() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def _spark_home(home: Path) -> Path:
    """Return a folder of links to the files of Spark."""
    found = find_spec("pyspark")
    assert found is not None
    assert found.origin is not None
    home.mkdir(exist_ok=True)
    for path in Path(found.origin).parent.iterdir():
        if path.name != "work" and not (home / path.name).exists():
            (home / path.name).symlink_to(path)
    return home


@contextmanager
def started(
    folder: Path, master: str = CLUSTER, settings: Mapping[str, str] | None = None
) -> Iterator[SparkSession]:
    """Start a session, and stop it and its Java at the end. `settings` are added to those of all tests."""
    from pyspark.sql import SparkSession

    before = dict(os.environ)
    os.environ.update(surroundings(folder))
    try:
        builder = SparkSession.builder.master(master).appName("km-cli tests")
        for name, value in {
            **SETTINGS,
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
            **(settings or {}),
        }.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        try:
            yield session
        finally:
            _stop(session)
    finally:
        os.environ.clear()
        os.environ.update(before)


def _stop(session: SparkSession) -> None:
    """Stop a session and its Java process, so that the next one starts afresh."""
    from pyspark import SparkContext

    session.stop()
    gateway = SparkContext._gateway
    if gateway is not None:
        gateway.shutdown()
        process = getattr(gateway, "proc", None)
        if process is not None:
            process.stdin.close()
            process.wait()
        SparkContext._gateway = SparkContext._jvm = None


def senders_of(url: str) -> list[int]:
    """Return the processes of Python below this one that have a connection to `url` (http://HOST:PORT)."""
    port = f"{int(url.rpartition(':')[2]):04X}"
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    inodes = {line.split()[9] for line in lines if line.split()[2].endswith(f":{port}")}
    return [pid for pid in below(os.getpid()) if inodes & _sockets(pid) and _is_python(pid)]


def executors(driver: int) -> list[int]:
    """Return the Java processes of the executors below a driver."""
    return sorted(pid for pid in below(driver) if b"CoarseGrainedExecutorBackend" in _command(pid))


def cpu_below(pid: int) -> float:
    """Return the seconds of CPU of a process, and of those below it: those that have ended as well."""
    ticks = 0
    for one in (pid, *below(pid)):
        with suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _command(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def below(pid: int) -> Iterator[int]:
    """Yield the processes that a process has started, and those that these have started."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text(encoding="ascii").split()):
            yield child
            with suppress(OSError):
                yield from below(child)


def _sockets(pid: int) -> set[str]:
    found = set()
    with suppress(OSError):
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                target = os.readlink(file)
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found


def _is_python(pid: int) -> bool:
    return b"python" in _command(pid)
