"""Runs the command in a process that kills itself (SIGKILL) at a chosen step: no time decides where.

A step is a call that changes a file, or a commit of the ledger: the process dies right before it. Run it
as `python -m tests.support.stepping STEP WORD…`. With step 0 it runs to its end, and the last line of its
standard error is the number of steps.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from km_cli.ledger.damage import Database

_CALLS = ("write", "fsync", "rename", "replace", "ftruncate", "unlink")


class Steps:
    """Counts the steps, and kills the process before the one that is chosen."""

    def __init__(self, last: int) -> None:
        self.count = 0
        self._last = last

    def __call__(self) -> None:
        self.count += 1
        if self.count == self._last:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with a step before each call."""

        @wraps(function)
        def stepping(*arguments: Any, **more: Any) -> Any:
            self()
            return function(*arguments, **more)

        return stepping


def _count_commits(steps: Steps) -> None:
    execute = Database.execute

    def executing(self: Database, sql: str, *values: Any) -> Any:
        if sql == "COMMIT":
            steps()
        return execute(self, sql, *values)

    Database.execute = executing  # type: ignore[method-assign]


def main() -> None:
    """Run the command line behind the number of the step."""
    steps = Steps(int(sys.argv[1]))
    for name in _CALLS:
        setattr(os, name, steps.before(getattr(os, name)))
    _count_commits(steps)
    sys.argv[1:] = sys.argv[2:]
    from km_cli.__main__ import main as run

    try:
        run()
    finally:
        if not int(steps._last):
            print(steps.count, file=sys.stderr)


if __name__ == "__main__":
    main()
