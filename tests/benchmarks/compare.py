"""What a comparison costs beside a pass that only maps: `python -m tests.benchmarks.compare [ROWS] [USERS]`.

Both run in a process of their own over the same generated log. Prints the CPU seconds of each, their ratio,
and the largest memory of each.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.logs import generated

_FUNNEL = ("--funnel", "Signed Up", "--funnel", "Invited", "--funnel", "Upgraded")

_ONLY_MAPS = """
import gc, sys, time
from collections import defaultdict
from km_cli.inputs import Source, open_reader
from km_cli.mapping import ColumnOptions, Mapper, TimeOptions, recognise_columns
from km_cli.strategies import STRATEGIES
gc.set_threshold(100_000, 50, 50)  # as the command has it
path = sys.argv[1]
opened = open_reader(Source(path))
opened.source.verify(lambda: None)
personas = STRATEGIES["toggle"].personas("main", "accounts")
columns = recognise_columns(ColumnOptions(), personas, opened.columns, path, tabular=True)
mapper = Mapper(
    columns, opened.columns, tabular=True, personas=personas, time_options=TimeOptions(), allowed=(),
    now=time.time(), normalised=defaultdict(int),
)
for row in opened.reader().items():
    mapper.map(row)
"""


class Spent(NamedTuple):
    """CPU seconds of a process, and the most memory that it had, in MB."""

    cpu: float
    memory: float


def spent(*words: str | Path) -> Spent:
    """Run Python to its end; return what it took."""
    process = subprocess.Popen([sys.executable, *map(str, words)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode in (0, 65), process.returncode
    return Spent(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def main() -> None:
    """Measure, and print a table."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 500_000
    users = int(sys.argv[2]) if len(sys.argv) > 2 else rows // 25
    with tempfile.TemporaryDirectory() as folder:
        log = generated(Path(folder) / "log.csv", rows, users)
        compare = ("-m", "km_cli", "compare", log.path, "--no-strategies", "--json")
        found = {
            "only maps": spent("-c", _ONLY_MAPS, log.path),
            "compare --funnel": spent(*compare, *_FUNNEL),
            "compare, a funnel proposed": spent(*compare),
        }
    least = found["only maps"].cpu
    print(f"| {log.name} | CPU s | of a pass that only maps | memory, MB |\n|---|---|---|---|")
    for name, one in found.items():
        print(f"| {name} | {one.cpu:.1f} | {one.cpu / least:.2f} | {one.memory:.0f} |")


if __name__ == "__main__":
    main()
