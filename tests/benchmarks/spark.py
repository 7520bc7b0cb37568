"""Spark against one machine, and two executors against one: `python -m tests.benchmarks.spark [ROWS]`.

Planning is measured in rows a second and core, without sending. Sending goes to a tracker with 30 ms of
latency, with so few calls in flight for each executor that waiting, not this machine, bounds it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.benchmarks.tracker import Latent
from tests.support.onemachine import FixedClock, one_machine, settings_of
from tests.support.spark import started

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SECRET = bytes(range(32))
NOW = 1_800_000_000.0
LATENCY = 0.03
IN_FLIGHT = 8
"""For each executor: 8 calls at 30 ms are some 260 calls a second, which a core can send with ease."""


def write_log(path: Path, rows: int) -> Path:
    """Write a log of so many rows, with a user for each three of them and 1,000 accounts."""
    lines = [
        f"{1_709_283_600 + n},u{n * 7919 % (rows // 3 + 1)},a{n % 1000},Clicked,pro" for n in range(rows)
    ]
    path.write_text("\n".join(["timestamp,user,account,event,plan", *lines, ""]))
    return path
