"""Runs a command under strace: lists its system calls, kills it at one of them, or lets one fail.

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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.support.patience import PATIENCE

LINE = re.compile(r"^(\d+) +(\w+)\(")
HELD = "(DELAYED)"
_FOR_EVER = 10**9
"""Microseconds for which a call is held after its end; the process is killed as soon as it is."""


class Ended(NamedTuple):
    """How a run under strace ended."""

    code: int
    out: str
    err: str
    is_hit: bool
    """Whether the call was reached."""


def survey(words: Sequence[str], variables: Mapping[str, str], calls: Sequence[str], log: Path) -> list[str]:
    """Run undisturbed; return the lines of strace, one for each call, with the paths of its files."""
    words = ("strace", "-f", "-y", "--seccomp-bpf", "-o", str(log), "-e", f"trace={_known(calls)}", *words)
    subprocess.run(words, env=variables, capture_output=True, timeout=PATIENCE, check=False)
    return log.read_text(encoding="utf-8", errors="replace").splitlines()


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


def failing(
    words: Sequence[str], variables: Mapping[str, str], call: str, number: int, error: str, log: Path
) -> Ended:
    """Run with a call that fails, without being made."""
    process = _start(words, variables, call, f"error={error}:when={number}", log)
    out, err = _finish(process)
    return Ended(process.returncode, out, err, "(INJECTED)" in _text(log))


def killed_before(
    words: Sequence[str], variables: Mapping[str, str], call: str, number: int, log: Path
) -> Ended:
    """Run and kill the process when it is about to make a call."""
    process = _start(words, variables, call, f"signal=KILL:when={number}", log)
    out, err = _finish(process)
    return Ended(process.returncode, out, err, process.returncode == -signal.SIGKILL)


def killed_after(
    words: Sequence[str], variables: Mapping[str, str], call: str, number: int, log: Path
) -> Ended:
    """Run and kill the process when a call has been made, before its thread goes on."""
    process = _start(words, variables, call, f"delay_exit={_FOR_EVER}:when={number}", log)
    while process.poll() is None and HELD not in _text(log):
        time.sleep(0.005)
    is_hit = HELD in _text(log)
    if is_hit:
        _kill(process)
    out, err = _finish(process)
    return Ended(process.returncode, out, err, is_hit)


def _finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Return both streams of a run at its end. One that hangs is killed, and raises TimeoutExpired."""
    try:
        return process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        _kill(process)
        raise


def _kill(strace: subprocess.Popen[str]) -> None:
    """Kill the process, then strace, which holds it for the delay; wait until it is gone."""
    traced = Path(f"/proc/{strace.pid}/task/{strace.pid}/children").read_text(encoding="ascii").split()
    for process in map(int, traced):
        os.kill(process, signal.SIGKILL)
    strace.kill()
    while any(map(_is_alive, map(int, traced))):
        time.sleep(0.005)


def _is_alive(process: int) -> bool:
    """Tell whether a process has an open file or a thread left: one that is dead holds no lock."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
        threads = os.listdir(f"/proc/{process}/task")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX" or len(threads) > 1


def _start(
    words: Sequence[str], variables: Mapping[str, str], call: str, how: str, log: Path
) -> subprocess.Popen[str]:
    """Begin a run. It has no `--seccomp-bpf`, with which strace 6.1 injects errors, but no signals."""
    log.write_bytes(b"")
    return subprocess.Popen(
        ("strace", "-f", "-o", log, "-e", f"trace={call}", "-e", f"inject={call}:{how}", *words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=variables,
        text=True,
    )


def _known(calls: Sequence[str]) -> str:
    """Return a set of calls; machines differ in the calls that they have, `?` passes over the others."""
    return ",".join(f"?{call}" for call in calls)


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")
