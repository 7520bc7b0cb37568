"""What many people cost a dry run: `python -m tests.benchmarks.people ROWS USERS [ROWS USERS ...] [--wide]`.

Each pair is a log in which users, and an account for every five of them, come in random order. It is piped
into a dry run of its own, with an empty ledger. Prints CPU microseconds a row and the largest memory, and how
much a row costs beside a row of the first log. With `--wide` a row has ten notes of 300 characters: 3 kB.
"""

from __future__ import annotations

import os
import random
import string
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_COLUMNS = "timestamp,user,account,event"
_START = 1_600_000_000


class Spent(NamedTuple):
    """CPU microseconds a row, and the most memory that the process had, in MB."""

    row: float
    memory: float


def lines(rows: int, users: int, *, wide: bool) -> Iterator[str]:
    """Yield a log, always the same for the same arguments."""
    draw = random.Random(7)
    texts = ["".join(draw.choices(string.ascii_lowercase + " ", k=300)) for _ in range(50)]
    names = [f"note{number}" for number in range(10)] if wide else ["plan", "amount", "page"]
    yield f"{_COLUMNS},{','.join(names)}\n"
    for row in range(rows):
        user = draw.randrange(users)
        if wide:
            values = [f"{row}{draw.choice(texts)}" for _ in names]
        else:
            values = ["free" if user % 3 else "pro", str(draw.randrange(1000)), f"/p/{draw.randrange(300)}"]
        who = f"user{user}@example.com,team {user // 5},Event {draw.randrange(20)}"
        yield f"{_START + row},{who},{','.join(values)}\n"


def measure(rows: int, users: int, *, wide: bool) -> Spent:
    """Pipe a log into a dry run; return what that took."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "km_cli", "dry-run", "-", "--format", "csv", "--json"]
        words += ["--ledger", str(Path(folder, "ledger.db"))]
        process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
        )
        assert process.stdin is not None
        with process.stdin as pipe:
            pipe.writelines(lines(rows, users, wide=wide))
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, process.returncode
    return Spent(1e6 * (usage.ru_utime + usage.ru_stime) / rows, usage.ru_maxrss / 1024)


def main() -> None:
    """Measure each log, and print a table."""
    wide = "--wide" in sys.argv
    numbers = [int(word) for word in sys.argv[1:] if word != "--wide"]
    first = 0.0
    print("| rows | users | CPU microseconds a row | beside the first | memory, MB |\n|---|---|---|---|---|")
    for rows, users in zip(numbers[::2], numbers[1::2], strict=True):
        spent = measure(rows, users, wide=wide)
        first = first or spent.row
        row = f"| {rows:,} | {users:,} | {spent.row:.0f} | {spent.row / first:.2f} | {spent.memory:.0f} |"
        print(row, flush=True)


if __name__ == "__main__":
    main()
