"""Runs the command in a process that kills itself (SIGKILL) at a chosen place: no time decides where.

A place is a step or a line. A step is a call that changes a file, or a commit of the ledger: the process dies
right before it. A line is one of the modules that a test names, counted as they run.

`python -m tests.support.killing` has loaded the command, and forks a process for each run that it is asked
for by a line on its standard input. So Python does not start for each of hundreds of kills.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType, TracebackType
from typing import Any, NamedTuple, Self

from tests.support.command import Command, Result
from tests.support.patience import PATIENCE

_CALLS = ("write", "fsync", "rename", "replace", "ftruncate", "unlink")
_LOADED = (
    *(f"km_cli.cli.{name}" for name in ("import_", "run_import", "run_forget", "run_prune", "ledger_")),
    *("km_cli.cli.variables", "km_cli.cli.terminal.problem", "km_cli.destinations.http", "platformdirs"),
)
"""Modules that runs need. The process loads them before the first run."""

_VISITS = 4
"""A line counts so many times at most: often enough for the steps of a migration, and not for every row."""


STEPS: tuple[str, ...] = ()
"""No module is watched, so that steps are counted."""


class Place(NamedTuple):
    """Where a process dies: before the step or line of this number; at 0 it runs to its end.

    `watched` are the ends of the paths of the modules whose lines are counted.
    """

    number: int
    watched: tuple[str, ...] = STEPS


class Killer:
    """The process that forks runs. `passed` is how many places the last run passed that came to its end."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="km-cli-killer-")
        self._process: subprocess.Popen[str] | None = None
        self.passed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.communicate(timeout=PATIENCE)
        self._folder.cleanup()

    def run(self, command: Command, place: Place, *words: str | Path, cwd: Path | None = None) -> Result:
        """Run the command, as `Command.alone` does, and kill it at that place."""
        out, err, passed = (Path(self._folder.name, name) for name in ("out", "err", "passed"))
        passed.unlink(missing_ok=True)
        asked = {
            "number": place.number,
            "watched": place.watched,
            "words": command.words(words),
            "environment": command.surroundings(),
            "folder": str(cwd or Path.cwd()),
            "files": [str(out), str(err), str(passed)],
        }
        code = self._ask(json.dumps(asked), command)
        if passed.exists():
            self.passed = int(passed.read_text("ascii"))
        return Result(code, out.read_text("utf-8"), err.read_text("utf-8"))

    def count(self, command: Command, watched: tuple[str, ...], *words: str | Path, code: int = 0) -> int:
        """Run the command to its end; return how many places it passed."""
        self.run(command, Place(0, watched), *words).ended(code)
        return self.passed

    def _ask(self, line: str, command: Command) -> int:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.killing"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=command.surroundings(),
                cwd=Path(__file__).parent.parent.parent,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the process that forks runs has ended"
        return int(answer)


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


def _run(asked: dict[str, Any]) -> None:
    """Run the command in this process, which the test has forked for it."""
    out, err, passed = asked["files"]
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.argv = ["km-cli", *asked["words"]]
    signal.alarm(int(PATIENCE))  # A run that hangs ends by this signal.
    places = _Places(asked["number"], asked["watched"])
    from km_cli.__main__ import main

    places.watch()
    try:
        main()
    finally:
        sys.settrace(None)
        Path(passed).write_text(str(places.count), "ascii")


def _serve() -> None:
    for name in _LOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _run(json.loads(line))
            return
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    _serve()
