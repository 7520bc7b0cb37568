"""Follows a run by strace: lists its system calls, kills it at one of them, or lets one fail.

strace is attached to a process that has loaded the command and has done nothing yet (`support/killing.py`).
So the thousands of calls by which Python starts and loads modules take no time.

strace counts calls by name and by thread: the fifth `write` is the fifth of a thread. A thread that reaches
that count first is killed with its process; an error is injected into each thread that reaches it.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.support.command import Result
from tests.support.killing import Fork
from tests.support.patience import PATIENCE

LINE = re.compile(r"^(\d+) +(\w+)\(")
HELD = "(DELAYED)"
_FOR_EVER = 10**9
"""Microseconds for which a call is held after its end; the process is killed as soon as it is."""


class Ended(NamedTuple):
    """How a run under strace ended."""

    result: Result
    is_hit: bool
    """Whether the call was reached."""


def survey(run: Fork, calls: Sequence[str], log: Path) -> list[str]:
    """Let it run undisturbed; return the lines of strace, one for each call, with the paths of its files."""
    with _attached(run, log, "-y", "-e", f"trace={_known(calls)}"):
        run.wait()
    return _text(log).splitlines()


def counted(lines: Sequence[str]) -> dict[tuple[str, int], list[str]]:
    """Return the lines by the name of the call and its number among those of its thread."""
    numbers: Counter[tuple[str, str]] = Counter()
    found: dict[tuple[str, int], list[str]] = defaultdict(list)
    for line in lines:
        if match := LINE.match(line):
            thread, name = match.groups()
            numbers[thread, name] += 1
            found[name, numbers[thread, name]].append(line)
    return found


def failing(run: Fork, call: str, number: int, error: str, log: Path) -> Ended:
    """Let it run with a call that fails, without being made."""
    with _attached(run, log, *_injecting(call, f"error={error}:when={number}")):
        ended = run.wait()
    return Ended(ended, "(INJECTED)" in _text(log))


def killed_before(run: Fork, call: str, number: int, log: Path) -> Ended:
    """Let it run, and kill it when it is about to make a call."""
    with _attached(run, log, *_injecting(call, f"signal=KILL:when={number}")):
        ended = run.wait()
    return Ended(ended, ended.code == -signal.SIGKILL)


def killed_after(run: Fork, call: str, number: int, log: Path) -> Ended:
    """Let it run, and kill it when a call has been made, before its thread goes on."""
    with _attached(run, log, *_injecting(call, f"delay_exit={_FOR_EVER}:when={number}")) as strace:
        while strace.poll() is None and HELD not in _text(log):
            time.sleep(0.002)
        is_hit = HELD in _text(log)
        if is_hit:
            os.kill(run.pid, signal.SIGKILL)
            strace.kill()  # It holds the process for the delay.
        ended = run.wait()
    return Ended(ended, is_hit)


@contextmanager
def _attached(run: Fork, log: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Attach strace to a process that waits, and let it go.

    A process that has been attached to makes no call that strace does not see.
    """
    log.write_bytes(b"")
    words = ("strace", "-f", "-p", str(run.pid), "-o", str(log), *options)
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        said = strace.stderr.readline()
        if "attached" not in said:
            os.kill(run.pid, signal.SIGKILL)
            run.wait()
            raise RuntimeError(f"strace cannot attach: {said}")
        run.go()
        yield strace
        strace.communicate(timeout=PATIENCE)


def _injecting(call: str, how: str) -> tuple[str, ...]:
    return "-e", f"trace={call}", "-e", f"inject={call}:{how}"


def _known(calls: Sequence[str]) -> str:
    """Return a set of calls; machines differ in the calls that they have, `?` passes over the others."""
    return ",".join(f"?{call}" for call in calls)


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")
