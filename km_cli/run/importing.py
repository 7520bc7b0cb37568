"""A run that sends: from the outbox that earlier runs left to the last receipt."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import SystemRandom
from typing import Generic, NamedTuple, TypeVar

from km_cli.config import Settings
from km_cli.delivery import Policy, Pool
from km_cli.destinations import open_destination
from km_cli.errors import KmError, LedgerError, LedgerFailed
from km_cli.ledger import Ledger
from km_cli.protocols import Clock
from km_cli.rejects import RejectsFile
from km_cli.run import pauses
from km_cli.run.observer import Observer
from km_cli.run.pipeline import Pipeline
from km_cli.run.sending import Sending
from km_cli.run.stopping import Stop, Stopped
from km_cli.run.tally import Tally

GC = (100_000, 50, 50)
"""Thresholds for `gc.set_threshold`: millions of small tuples come and go, and none is part of a cycle.

Looking for cycles as often as usual costs 15 % of a run."""

_LEAST_WINDOW = 2000
_PROCESSOR = 36
"""Where /proc/self/stat tells the core last run on (proc(5), field 39), counted behind the name."""


Seen = TypeVar("Seen", bound=Observer)


class Run(NamedTuple, Generic[Seen]):
    """What a run works with. `keys` are by site."""

    settings: Settings
    keys: dict[str, str]
    ledger: Ledger
    rejects: RejectsFile
    tally: Tally
    stop: Stop
    observer: Seen
    clock: Clock


@contextmanager
def opened_to_send(
    settings: Settings, keys: dict[str, str], wait: float = 0.0
) -> Iterator[tuple[Ledger, RejectsFile]]:
    """Open the ledger, which goes with the keys, and the rejects file, for a run.

    Raises LedgerBusy if another run holds it for longer than `wait` seconds, LedgerError, UsageError.
    """
    rejects = RejectsFile(settings.rejects)
    ledger = Ledger.open(settings.ledger, wait)
    try:
        for name, key in keys.items():
            ledger.check_site(settings.target.tracker, name, key)
        yield ledger, rejects
    finally:
        ledger.close()
        rejects.close()


def send(
    run: Run[Seen], work: Callable[[Pipeline], None], *, is_wary: bool = False, counts_known: bool = True
) -> KmError | None:
    """Drain the outbox, work, and wait for the last receipt; return what ended it early, if anything.

    What is known is durable then, and for how long the tracker is to be left alone by backfills. One that
    `is_wary` sends one by one after an outage until a call is taken. `counts_known` as Pipeline has it.
    """
    settings, tracker = run.settings, run.settings.target.tracker
    pause = run.ledger.pauses.of(tracker)
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
        outage=is_wary and pauses.is_recent(pause, run.clock.now()),
    )
    sending = Sending(
        run.ledger, tracker, destination, pool, run.rejects, run.tally, run.stop, run.observer.tick
    )
    ended: KmError | None = None
    try:
        sending.resume(tuple(run.keys))
        work(
            Pipeline(
                settings, run.ledger, sending, run.tally, run.observer, run.clock, counts_known=counts_known
            )
        )
        sending.finish()
    except Stopped as stopped:
        ended = stopped.error
    except KmError as error:
        ended = _error_of(sending.finish) or error  # what was planned before it is still sent
    finally:
        lost = _error_of(sending.end)
    ended = ended or lost
    pause = pauses.after(pause, ended, pool.pause, run.tally, run.clock.now())
    try:
        run.ledger.pause(tracker, pause)
    except LedgerFailed:
        return ended  # the next run finds out by itself
    except LedgerError as error:
        return ended or error
    return ended


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


def _error_of(step: Callable[[], None]) -> KmError | None:
    """Take a step of ending the run; return what stands in its way instead of raising it."""
    try:
        step()
    except Stopped as stopped:
        return stopped.error
    except KmError as error:
        return error
    return None
