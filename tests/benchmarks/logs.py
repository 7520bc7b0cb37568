"""Logs to measure with: one that is generated, and a file that is named."""

from __future__ import annotations

import csv
import random
import time
from pathlib import Path
from typing import NamedTuple

_EVENTS = ("Signed Up", "Logged In", "Invited", "Upgraded", "Exported", "Commented", "Left")


class Log(NamedTuple):
    """A log, its name in the table, and the options that km-cli needs for it."""

    name: str
    path: Path
    options: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows it has."""
        with self.path.open(newline="", encoding="utf-8") as file:
            return sum(1 for _ in csv.reader(file)) - 1

    def yardstick(self) -> float:
        """Return the CPU seconds of a bare `csv.reader` over it."""
        began = time.process_time()
        with self.path.open(newline="", encoding="utf-8") as file:
            for _ in csv.reader(file):
                pass
        return time.process_time() - began


def generated(path: Path, rows: int, users: int) -> Log:
    """Write a log in order of time, always the same. Ten users share an account."""
    draw = random.Random(0)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("timestamp", "user", "account", "event", "plan", "amount", "browser", "page"))
        for number in range(rows):
            user = draw.randrange(users)
            writer.writerow(
                (
                    1_600_000_000 + number,
                    f"user{user}@example.com",
                    f"acc{user % max(1, users // 10)}",
                    draw.choice(_EVENTS),
                    draw.choice(("free", "pro", "team")),
                    draw.randrange(1000),
                    draw.choice(("chrome", "firefox", "safari")),
                    f"/p/{draw.randrange(300)}",
                )
            )
    return Log(f"{rows:,} rows, {users:,} users", path)
