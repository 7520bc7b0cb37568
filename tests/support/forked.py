"""The process of `killing.py` that has loaded the command, and forks a process for each run.

It is asked for a run by a line of JSON on its standard input. It answers with the number of the process, and,
when that has ended, with its exit code.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import Any

from tests.support.patience import PATIENCE

_CALLS = ("write", "fsync", "rename", "replace", "ftruncate", "unlink")
_LOADED = (
    "km_cli.__main__",
    *(f"km_cli.cli.{name}" for name in ("import_", "run_import", "run_forget", "run_prune", "ledger_")),
    *(
        f"km_cli.cli.{name}"
        for name in ("backfill", "run_backfill", "variables", "outcome", "terminal.problem")
    ),
    *(f"km_cli.destinations.{name}" for name in ("http", "curl", "local", "bulk", "store")),
    *("km_cli.run.clock", "platformdirs", "pycurl", "zoneinfo"),
)
"""Modules that runs need. The process loads them before the first run."""

_VISITS = 4
"""A line counts so many times at most: often enough for the steps of a migration, and not for every row."""

_GO = signal.SIGUSR1
_PR_SET_PTRACER = 0x59616D61


class _Places:
    """Counts the places, and kills the process before the one that is chosen."""

    def __init__(self, last: int, watched: Sequence[str]) -> None:
        self.count = 0
        self._last = last
        self._watched = tuple(watched)
        self._visits = Counter[tuple[str, int]]()

    def pass_one(self) -> None:
        """Count a place; die if it is the chosen one."""
        self.count += 1
        if self.count == self._last:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self) -> None:
        """Count lines of the watched modules, or steps."""
        if self._watched:
            sys.settrace(self._trace)
            return
        for name in _CALLS:
            setattr(os, name, self._before(getattr(os, name)))
        self._count_commits()

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.endswith(self._watched):
            return None
        line = (frame.f_code.co_filename, frame.f_lineno)
        if event == "line" and self._visits[line] < _VISITS:
            self._visits[line] += 1
            self.pass_one()
        return self._trace

    def _before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with a step before each call."""

        @wraps(function)
        def stepping(*arguments: Any, **more: Any) -> Any:
            self.pass_one()
            return function(*arguments, **more)

        return stepping

    def _count_commits(self) -> None:
        from km_cli.ledger.damage import Database

        execute = Database.execute

        def executing(database: Database, sql: str, *values: Any) -> Any:
            if sql == "COMMIT":
                self.pass_one()
            return execute(database, sql, *values)

        Database.execute = executing  # type: ignore[method-assign]


def _run(asked: dict[str, Any], ready: int) -> None:
    """Run the command in this process, which was forked for it. Close `ready` when all is prepared."""
    for number, path in enumerate((os.devnull, *asked["files"])):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.argv = ["km-cli", *asked["words"]]
    signal.alarm(int(PATIENCE))  # A run that hangs ends by this signal.
    from km_cli.__main__ import main

    is_traced = "number" not in asked
    if is_traced:
        _allow_tracing()
    os.close(ready)
    if is_traced:
        signal.sigwait({_GO})
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {_GO})
        main()
        return
    places = _Places(asked["number"], asked["watched"])
    places.watch()
    try:
        main()
    finally:
        sys.settrace(None)
        Path(asked["passed"]).write_text(str(places.count), "ascii")


def _allow_tracing() -> None:
    """Let a process trace this one that is not its parent: some systems (Yama) forbid that by default."""
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)


def _serve() -> None:
    for name in _LOADED:
        with suppress(ModuleNotFoundError):  # Some libraries are not everywhere.
            importlib.import_module(name)
    signal.pthread_sigmask(signal.SIG_BLOCK, {_GO})  # It may come before the process waits for it.
    for line in sys.stdin:
        prepared, ready = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(prepared)
            _run(json.loads(line), ready)
            return
        os.close(ready)
        os.read(prepared, 1)
        os.close(prepared)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    _serve()
