"""A run that sends: from the outbox that earlier runs left to the last receipt."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import SystemRandom
from typing import NamedTuple

from km_cli.cli.watch import Watcher
from km_cli.config import Settings
from km_cli.delivery import Policy, Pool
from km_cli.destinations import open_destination
from km_cli.dispatch import Sending, Stop, Stopped
from km_cli.errors import KmError
from km_cli.inputs import RejectsFile
from km_cli.ledger import Ledger
from km_cli.pipeline import Pipeline
from km_cli.protocols import Clock
from km_cli.tally import Tally

GC = (100_000, 50, 50)
"""Millions of small tuples come and go, in no cycle: to look for cycles as often as usual costs 15 %."""

_LEAST_WINDOW = 2000
_PROCESSOR = 36
"""Where /proc/self/stat tells the core last run on (proc(5), field 39), counted behind the name."""


class SystemClock:
    """The real time."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


class Run(NamedTuple):
    """What a run works with. `keys` are by site."""

    settings: Settings
    keys: dict[str, str]
    ledger: Ledger
    rejects: RejectsFile
    tally: Tally
    stop: Stop
    watch: Watcher
    clock: Clock


class Ended(NamedTuple):
    """How a run ended: `error` if early. `pause`: so many seconds the destination wants to be left alone."""

    error: KmError | None
    pause: float


def send(
    run: Run, work: Callable[[Pipeline], None], *, outage: bool = False, counts_known: bool = True
) -> Ended:
    """Drain the outbox, work, and wait for the last receipt; what is known is durable then.

    After an `outage` calls go one by one until one is taken. `counts_known` as Pipeline has it.
    """
    settings = run.settings
    destination = open_destination(settings.target, run.keys, settings.timeout)
    if destination.workers > 1 and settings.concurrency > 1:
        _stay_on_one_core()
    pool = Pool(
        destination,
        concurrency=settings.concurrency,
        window=max(_LEAST_WINDOW, 4 * settings.concurrency),
        policy=Policy(attempts=settings.attempts),
        clock=run.clock,
        random=SystemRandom(),
        rate=settings.rate,
        outage=outage,
    )
    tracker = settings.target.tracker
    sending = Sending(
        run.ledger, tracker, destination, pool, run.rejects, run.tally, run.stop, run.watch.tick
    )
    ended: KmError | None = None
    try:
        sending.resume(tuple(run.keys))
        work(
            Pipeline(
                settings, run.ledger, sending, run.tally, run.watch, run.clock, counts_known=counts_known
            )
        )
        sending.finish()
    except Stopped as stopped:
        ended = stopped.error
    except KmError as error:
        ended = _told(sending.finish) or error  # what was planned before it is still sent
    finally:
        lost = _told(sending.end)
    return Ended(ended or lost, pool.pause)


def _stay_on_one_core() -> None:
    """Keep the process on one core: threads that toss Python's lock between cores send a third less."""
    if not hasattr(os, "sched_setaffinity"):
        return
    cores = os.sched_getaffinity(0)
    with suppress(OSError, ValueError, IndexError):
        fields = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        core = int(fields[_PROCESSOR])
        if core in cores:
            os.sched_setaffinity(0, {core})


def _told(step: Callable[[], None]) -> KmError | None:
    """Take a step of ending the run; return what stands in its way instead of raising it."""
    try:
        step()
    except Stopped as stopped:
        return stopped.error
    except KmError as error:
        return error
    return None
