"""A run that sends: it drains the outbox that earlier runs left, then does its own work."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from km_cli.config.environment import Environment
from km_cli.config.settings import Settings, Transport
from km_cli.delivery import Courier, Driver, OneThread, Policy, Pool
from km_cli.errors import KmError, LedgerError, LedgerFailed, TransportError
from km_cli.ledger import Ledger
from km_cli.protocols import Clock, Destination, ManyAtOnce, Transfers
from km_cli.rejects import RejectsFile
from km_cli.run import pauses
from km_cli.run.observer import Observer
from km_cli.run.pipeline import Pipeline
from km_cli.run.sending import Sending
from km_cli.run.stopping import Stop, Stopped
from km_cli.run.tally import Tally

_GC = (100_000, 50, 50)
"""Thresholds for `gc.set_threshold`. Millions of small tuples come and go, and none is part of a cycle:
looking for cycles as often as usual costs 15 % of a run."""

_LEAST_WINDOW = 2000
_PROCESSOR = 36
"""The place in /proc/self/stat of the core that the process last ran on (proc(5), field 39), counted behind
the name."""


Seen = TypeVar("Seen", bound=Observer)


class Run(NamedTuple, Generic[Seen]):
    """The parts of a run. `keys` are the API keys by site."""

    settings: Settings
    keys: dict[str, str]
    ledger: Ledger
    rejects: RejectsFile
    tally: Tally
    stop: Stop
    observer: Seen
    environment: Environment

    @property
    def clock(self) -> Clock:
        """The clock of the environment."""
        return self.environment.clock


@contextmanager
def opened_to_send(
    settings: Settings, keys: dict[str, str], wait: float = 0.0
) -> Iterator[tuple[Ledger, RejectsFile]]:
    """Open the ledger, check that it belongs to the keys, and prepare the rejects file.

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
    """Drain the outbox, do the work, wait for the last receipt; return the error that ended the run early.

    At its end all receipts are durable, and so is the pause for which backfills leave the tracker alone. A
    run that `is_wary` sends one call at a time after an outage, until one is acknowledged. `counts_known` is
    as for Pipeline.
    """
    settings, tracker = run.settings, run.settings.target.tracker
    pause = run.ledger.pauses.by_tracker(tracker)
    destination = settings.target.open(run.keys, settings.timeout)
    courier = Courier(
        Policy(attempts=settings.attempts),
        run.environment.random,
        run.clock.monotonic(),
        at_once=destination.at_once,
        rate=settings.rate,
        is_wary=is_wary and pauses.is_recent(pause, run.clock.now()),
    )
    pool = _driver(run, destination, courier)
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


def _driver(run: Run[Seen], destination: Destination, courier: Courier) -> Driver:
    """Return the driver of the transport that the settings ask for, or of the fastest one that works."""
    settings = run.settings
    concurrency = min(settings.concurrency, destination.workers)
    window = max(_LEAST_WINDOW, 4 * settings.concurrency)
    transfers = _transfers(run, destination, concurrency)
    if run.environment.owns_process:
        _tune_process(is_threaded=transfers is None and concurrency > 1)
    if transfers is not None:
        return OneThread(transfers, courier, run.clock, concurrency=concurrency, window=window)
    return Pool(destination, courier, run.clock, concurrency=concurrency, window=window)


def _transfers(run: Run[Seen], destination: Destination, concurrency: int) -> Transfers | None:
    """Return the transfers of a destination that has them. Raises TransportError if only they are wanted."""
    transport = run.settings.transport
    if transport is Transport.REQUESTS or not isinstance(destination, ManyAtOnce):
        return None
    try:
        return destination.transfers(concurrency)
    except TransportError as error:
        if transport is Transport.CURL:
            raise
        if not error.is_absent:
            run.observer.warned(f"{error}; calls are sent by requests, which is slower", error.hint)
        return None


def _tune_process(*, is_threaded: bool) -> None:
    """Make the process fit for millions of small values, and for the threads of a pool."""
    gc.set_threshold(*_GC)
    if is_threaded:
        _stay_on_one_core()


def _stay_on_one_core() -> None:
    """Keep the process on one core: threads that pass Python's lock between cores send a third less."""
    if not hasattr(os, "sched_setaffinity"):
        return
    cores = os.sched_getaffinity(0)
    with suppress(OSError, ValueError, IndexError):
        fields = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        core = int(fields[_PROCESSOR])
        if core in cores:
            os.sched_setaffinity(0, {core})


def _error_of(step: Callable[[], None]) -> KmError | None:
    """Take a step of ending the run; return its error instead of raising it."""
    try:
        step()
    except Stopped as stopped:
        return stopped.error
    except KmError as error:
        return error
    return None
