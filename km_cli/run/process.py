"""Makes the process fit for a run: for millions of small values, and for the threads of a pool.

Only a process that runs one command and nothing else is changed (`Environment.owns_process`).
"""

from __future__ import annotations

import gc
import os
from contextlib import suppress
from pathlib import Path

from km_cli.config.environment import Environment

_GC = (100_000, 50, 50)
"""Thresholds for `gc.set_threshold`. Millions of small tuples come and go, and none is part of a cycle:
looking for cycles as often as usual costs 15 % of a run."""

_PROCESSOR = 36
"""The place in /proc/self/stat of the core that the process last ran on (proc(5), field 39), counted behind
the name."""


def look_for_cycles_seldom(environment: Environment) -> None:
    """Make Python look for cycles of garbage less often."""
    if environment.owns_process:
        gc.set_threshold(*_GC)


def stay_on_one_core(environment: Environment) -> None:
    """Keep the process on one core: threads that pass Python's lock between cores send a third less."""
    if not environment.owns_process or not hasattr(os, "sched_setaffinity"):
        return
    cores = os.sched_getaffinity(0)
    with suppress(OSError, ValueError, IndexError):
        fields = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        core = int(fields[_PROCESSOR])
        if core in cores:
            os.sched_setaffinity(0, {core})
