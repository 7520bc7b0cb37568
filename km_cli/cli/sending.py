"""A run that sends: from the outbox that earlier runs left to the last receipt."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import SystemRandom
from typing import Generic, NamedTuple, TypeVar

from km_cli.cli.terminal import report
from km_cli.cli.terminal.observer import ImportObserver
from km_cli.cli.terminal.show import complain, counted
from km_cli.config import Settings
from km_cli.delivery import Policy, Pool
from km_cli.destinations import open_destination
from km_cli.errors import (
    Exit,
    KmError,
    LedgerError,
    LedgerFailed,
    Unavailable,
    Undelivered,
    UnreportedRejects,
)
from km_cli.inputs import RejectsFile
from km_cli.ledger import Ledger
from km_cli.protocols import Clock
from km_cli.run import pauses as outages
from km_cli.run.pipeline import Pipeline
from km_cli.run.sending import Sending, Stop, Stopped
from km_cli.run.tally import Tally

GC = (100_000, 50, 50)
"""Millions of small tuples come and go, in no cycle: to look for cycles as often as usual costs 15 %."""

_MEND = "correct them there, in `raw`, and import that file"
_DECIDE = (
    "decide on the conflicts: import that file with --overlap separate if they are other events, with "
    "--overlap repeats if they are the same ones, changed since"
)
_MEND_REFUSED = (
    "those that it refused: import that file as it is when the destination is well; if a row itself is at "
    "fault, correct it there, in `raw`"
)

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


W = TypeVar("W", bound=ImportObserver)


class Run(NamedTuple, Generic[W]):
    """What a run works with. `keys` are by site."""

    settings: Settings
    keys: dict[str, str]
    ledger: Ledger
    rejects: RejectsFile
    tally: Tally
    stop: Stop
    observer: W
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


def tell_exposed(settings: Settings) -> None:
    """Complain of key files that everyone can read."""
    for site in settings.people.sites:
        if settings.target.needs_key and site.is_exposed:
            complain(
                f"the key file {site.key_file} can be read by everyone on this machine",
                f"unless that is meant: chmod go-r {site.key_file}",
            )


def send(
    run: Run[W], work: Callable[[Pipeline], None], *, is_wary: bool = False, counts_known: bool = True
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
        outage=is_wary and outages.is_recent(pause, run.clock.now()),
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
        ended = _told(sending.finish) or error  # what was planned before it is still sent
    finally:
        lost = _told(sending.end)
    ended = ended or lost
    pause = outages.after(pause, ended, pool.pause, run.tally, run.clock.now())
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


def _told(step: Callable[[], None]) -> KmError | None:
    """Take a step of ending the run; return what stands in its way instead of raising it."""
    try:
        step()
    except Stopped as stopped:
        return stopped.error
    except KmError as error:
        return error
    return None


def tell_of_other_sites(pending: dict[str, int], keys: dict[str, str]) -> None:
    """Complain of calls that stay pending, since this run has no key of their site; both are by site."""
    for site, calls in pending.items():
        if site not in keys:
            complain(
                f"{counted(calls, 'call')} of the site {site!r} still pending",
                "run the command that planned them again, with the same --strategy or --config",
            )


def unreported(ledger: Ledger) -> list[UnreportedRejects]:
    """Return what is to be told of rejects by runs that were cut off before they could."""
    return [
        UnreportedRejects(f"{counted(rows, 'row')} rejected by a run that was cut off, in {path}", _MEND)
        for path, rows in ledger.unreported.earlier.items()
    ]


def _what_to_do(tally: Tally, error: KmError | None) -> str:
    """Return what to do with the rejects file."""
    if isinstance(error, Unavailable) and "refused" in tally.rejects:
        return _MEND_REFUSED
    if set(tally.rejects) == {"conflict"}:
        return _DECIDE
    return f"{_MEND}; {_DECIDE}" if "conflict" in tally.rejects else _MEND


def undelivered(tally: Tally, error: KmError | None = None) -> Undelivered | None:
    """Return that calls are pending, if some are, and why the last attempt failed unless `error` says so."""
    if not tally.calls.pending:
        return None
    said = f"{counted(tally.calls.pending, 'call')} planned and not acknowledged yet"
    if _is_news(tally, error):
        said += f"; the last attempt failed: {tally.last_failure}"
    return Undelivered(said, "run the same command again: it sends them first")


def problems(tally: Tally, error: KmError | None) -> list[KmError]:
    """Return what a run ended with, for those who are not there: why, and why calls are pending."""
    pending = undelivered(tally, error) if error is None or _is_news(tally, error) else None
    return [problem for problem in (pending, error) if problem is not None]


def _is_news(tally: Tally, error: KmError | None) -> bool:
    return bool(tally.last_failure) and (error is None or tally.last_failure not in str(error))


def conclude(run: Run[W], error: KmError | None, signal: int, worst: int = Exit.OK) -> int:
    """Say what is left to do, the most urgent last, and return the exit code.

    `worst` is that of what was wrong with single files, and was told.
    """
    tally, rejects, earlier = run.tally, run.rejects, unreported(run.ledger)
    for problem in earlier:
        complain(str(problem), problem.hint)
    if rejects.count:
        complain(
            f"{counted(rejects.count, 'row')} rejected ({report.reasons(tally)}), in {rejects.path}",
            _what_to_do(tally, error),
        )
    if (pending := undelivered(tally, error)) is not None:
        complain(str(pending), pending.hint)
    if error is not None:
        complain(str(error), error.hint)
    if signal:
        complain("interrupted; what was acknowledged is remembered", "run the same command again to go on")
        return 128 + signal
    if error is not None:
        return error.exit
    if worst:
        return worst
    if tally.calls.pending:
        return Exit.TEMPORARY
    return Exit.REJECTED if rejects.count or earlier else Exit.OK
