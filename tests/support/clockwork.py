"""Backfills by a clock that is set from outside: `python -m tests.support.clockwork ARGUMENTS`.

For each line on standard input, a JSON object `{"now": SECONDS, "kill": SECONDS or null}`, one run of
`km-cli backfill ARGUMENTS` at that time, in a process of its own that is killed after so long; a line with
its exit code is written when it has ended (negative: the signal). No interpreter is started for a run, so
that a day of minutely runs takes minutes.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.command import Command
from tests.support.patience import PATIENCE

_END = re.compile(r"(-?\d+) (\d+)\n")
"""What is written when a run has ended: exit code and memory."""


class _SetClock:
    """Stands still while a run lasts; what is waited for takes its real time."""

    def __init__(self, now: float) -> None:
        self._now = now

    def now(self) -> float:
        """Seconds since 1970."""
        return self._now

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


def _run(arguments: Sequence[str], now: float) -> int:
    from km_cli.cli import group
    from km_cli.cli.outcome import exit_code_of, process_environment

    environment = process_environment()._replace(clock=_SetClock(now))
    return exit_code_of(group, ["backfill", *arguments], environment)


def _serve(arguments: Sequence[str]) -> None:
    import km_cli.cli.backfill
    import km_cli.cli.run_backfill  # noqa: F401 - so that no run has to

    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            code = 70
            try:
                code = _run(arguments, asked["now"])
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        timer = threading.Timer(asked["kill"], os.kill, (child, signal.SIGKILL)) if asked["kill"] else None
        code, memory = _waited(child, timer)
        print(f"{code} {memory}", file=sys.__stderr__, flush=True)


def _waited(child: int, timer: threading.Timer | None) -> tuple[int, int]:
    """Wait for the child; return its exit code and the most memory it had, in KiB.

    The timer is a thread, so it begins behind the fork and is over before the next.
    """
    if timer is not None:
        _kill_in_time(child, timer)
    _, status, used = os.wait4(child, 0)
    return os.waitstatus_to_exitcode(status), used.ru_maxrss


def _kill_in_time(child: int, timer: threading.Timer) -> None:
    timer.start()
    # It is not reaped before the timer is over: its number must not go to another process.
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    timer.cancel()
    timer.join()


class Clockwork:
    """The process that runs backfills, and the clock.

    `said` is what the last run printed as problems, `memory` the most it took, in KiB; `took` is how many
    seconds the last one took that was not killed.
    """

    def __init__(self, command: Command, *arguments: str | Path, now: float) -> None:
        self._command = command
        self._arguments = arguments
        self._out = command.home / "clockwork.out"
        self.now = now
        self.said = ""
        self.memory = 0
        self.took = 0.0

    def __enter__(self) -> Self:
        words = [str(word) for word in (*self._arguments, "--to", self._command.to)]
        self._file = self._out.open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.clockwork", *words],
            stdin=subprocess.PIPE,
            stdout=self._file,
            stderr=subprocess.PIPE,
            text=True,
            env=self._command.surroundings(),
            cwd=Path(__file__).parent.parent.parent,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        assert self._process.stderr is not None
        self._process.stderr.close()
        self._file.close()

    def run(self, kill: float | None = None) -> int:
        """Run once, now; return the exit code."""
        assert self._process.stdin is not None
        assert self._process.stderr is not None
        self.said = ""
        began = time.monotonic()
        self._process.stdin.write(json.dumps({"now": self.now, "kill": kill}) + "\n")
        self._process.stdin.flush()
        while not (found := _END.fullmatch(line := self._process.stderr.readline())):
            assert line, f"the clockwork stopped: {self.said}"
            self.said += line
        self.memory = int(found[2])
        if int(found[1]) >= 0:
            self.took = time.monotonic() - began
        return int(found[1])

    @property
    def out(self) -> str:
        """What the runs printed on standard output."""
        return self._out.read_text(encoding="utf-8")


def main(arguments: list[str]) -> Any:
    """Run what is asked for until standard input ends."""
    return _serve(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
