"""Runs the command in a process that is killed (SIGKILL) at a chosen place: no time decides where.

A place is a step or a line. A step is a call that changes a file, or a commit of the ledger: the process dies
right before it. Lines are those of the modules that a test names, counted as they run.

The process is forked from one that has loaded the command (`forked.py`), so that Python does not start for
each of hundreds of kills. It can also wait until strace is attached to it (`Killer.start`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import NamedTuple, Self

from tests.support.command import Command, Result
from tests.support.patience import PATIENCE

STEPS: tuple[str, ...] = ()
"""No module is watched, so that steps are counted."""


class Place(NamedTuple):
    """Where a process dies: before the step or line of this number; at 0 it runs to its end.

    `watched` are the ends of the paths of the modules whose lines are counted.
    """

    number: int
    watched: tuple[str, ...] = STEPS


class Fork:
    """A forked process."""

    def __init__(self, pid: int, killer: Killer) -> None:
        self.pid = pid
        self._killer = killer

    def go(self) -> None:
        """Let it run, if it waits."""
        os.kill(self.pid, signal.SIGUSR1)

    def wait(self) -> Result:
        """Return how it ended. Then none of its threads is alive, and it has no open file."""
        return self._killer.ended()


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
        passed = self._file("passed")
        passed.unlink(missing_ok=True)
        asked = {"number": place.number, "watched": place.watched, "passed": str(passed)}
        ended = self._fork(command, words, cwd, asked).wait()
        if passed.exists():
            self.passed = int(passed.read_text("ascii"))
        return ended

    def count(self, command: Command, watched: tuple[str, ...], *words: str | Path, code: int = 0) -> int:
        """Run the command to its end; return how many places it passed."""
        self.run(command, Place(0, watched), *words).ended(code)
        return self.passed

    def start(self, command: Command, *words: str | Path) -> Fork:
        """Start the command in a process that waits before it does anything, until `Fork.go`.

        It counts nothing. There is one such process at a time.
        """
        return self._fork(command, words, None, {})

    def ended(self) -> Result:
        """Wait for the process that was forked last, and return how it ended."""
        code = int(self._answer())
        return Result(code, *(self._file(name).read_text("utf-8") for name in ("out", "err")))

    def _fork(
        self, command: Command, words: tuple[str | Path, ...], cwd: Path | None, more: dict[str, object]
    ) -> Fork:
        asked = {
            **more,
            "words": command.words(words),
            "environment": command.surroundings(),
            "folder": str(cwd or Path.cwd()),
            "files": [str(self._file("out")), str(self._file("err"))],
        }
        if self._process is None:
            self._process = _start(command)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return Fork(int(self._answer()), self)

    def _answer(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        assert answer, "the process that forks runs has ended"
        return answer

    def _file(self, name: str) -> Path:
        return Path(self._folder.name, name)


def _start(command: Command) -> subprocess.Popen[str]:
    """Start the process that forks. It keeps no compiled modules, which would be writes of a run."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.forked"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**command.surroundings(), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=Path(__file__).parent.parent.parent,
    )
