"""Runs the cases of a kind of proof, in so many processes, until its time is over."""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from functools import cache
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.proof.base import Failure, Passed, Proof
from tests.proof.registry import proof

_SHARED, _ROOM = Path("/dev/shm"), 1 << 30


class Failed(NamedTuple):
    """A case that failed."""

    name: str
    case: str
    why: str

    def __str__(self) -> str:
        return f"{self.name}: {self.case}\n{self.why}\nagain: {replay(self.name, self.case)}"


class Outcome(NamedTuple):
    """How one kind of proof went."""

    proof: Proof
    seed: int
    cases: int
    failures: tuple[Failed, ...]
    is_whole: bool
    """Whether these were all cases that there are."""
    seconds: float
    amount: float = 0.0
    """How much was tried, in the unit of the proof."""


def replay(name: str, case: str) -> str:
    """Return the command line that runs a case alone."""
    return f"python -m tests.proof --only {name} --case {quote(case)}"


def run_case(kind: Proof, case: str) -> Failed | Passed:
    """Run one case in a folder of its own."""
    with TemporaryDirectory(prefix="proof-", dir=_memory(), ignore_cleanup_errors=True) as folder:
        try:
            found = kind.run(case, Path(folder))
        except Exception:  # noqa: BLE001 - whatever goes wrong is shown with the case
            found = Failure(traceback.format_exc())
    return Failed(kind.name, case, found.why) if isinstance(found, Failure) else found or Passed()


@cache
def _memory() -> Path | None:
    """Return a folder in memory, where syncs cost nothing; None if there is none with much room."""
    if _SHARED.is_dir() and shutil.disk_usage(_SHARED).free > _ROOM:
        return _SHARED
    return None


def run_kind(
    kind: Proof, seed: int, seconds: float, jobs: int = 1, tell: Callable[[str], object] = print
) -> Outcome:
    """Run cases until they or the seconds are over; the cases that have begun are finished.

    `tell` gets each failure as soon as it is found. An interrupt ends it as if the time were over.
    """
    begun, failures, number, amount = time.monotonic(), [], 0, 0.0
    cases = iter(kind.cases(seed))
    in_time = iter(lambda: time.monotonic() - begun < seconds, False)
    try:
        for found in _results(kind, (case for _, case in zip(in_time, cases, strict=False)), jobs):
            number += 1
            if isinstance(found, Failed):
                failures.append(found)
                tell(str(found))
            else:
                amount += found.amount
    except KeyboardInterrupt:
        tell("interrupted")
    is_whole = next(iter(cases), None) is None
    return Outcome(kind, seed, number, tuple(failures), is_whole, time.monotonic() - begun, amount)


def _results(kind: Proof, cases: Iterator[str], jobs: int) -> Iterator[Failed | Passed]:
    if jobs == 1:
        yield from (run_case(kind, case) for case in cases)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        running = {_submitted(pool, kind, case) for case in islice(cases, jobs)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            running |= {_submitted(pool, kind, case) for case in islice(cases, len(done))}
            yield from (one.result() for one in done)


def _submitted(pool: Executor, kind: Proof, case: str) -> Future[Failed | Passed]:
    return pool.submit(_run_by_name, kind.name, case)


def _run_by_name(name: str, case: str) -> Failed | Passed:
    return run_case(proof(name), case)
