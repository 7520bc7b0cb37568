"""A run that sends: it drains the outbox that earlier runs left, then does its own work."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from km_cli.config.environment import Environment
from km_cli.config.settings import Settings, Transport
from km_cli.delivery import Concurrency, Courier, Driver, OneThread, Policy, Pool
from km_cli.destinations.series import Series
from km_cli.errors import Exit, KmError, LedgerError, LedgerFailed, TransportError
from km_cli.ledger import Ledger, Pause
from km_cli.ledger.runs import Counts
from km_cli.protocols import Clock, Destination, ManyAtOnce, Transfers
from km_cli.rejects import RejectsFile, make_rejects_file
from km_cli.run import pauses
from km_cli.run.bulk_files import BulkFiles
from km_cli.run.observer import Observer
from km_cli.run.pipeline import Pipeline
from km_cli.run.plan_guard import NOTED, Guard
from km_cli.run.process import look_for_cycles_seldom, stay_on_one_core
from km_cli.run.sending import Sending
from km_cli.run.stopping import Stop, Stopped
from km_cli.run.tally import Tally
from km_cli.run.writing import Writing

if TYPE_CHECKING:
    from km_cli.run.uploads import Uploads

_LEAST_WINDOW = 2000
_OTHER_FILES = 64
"""More than a run has open beside its connections: the ledger, inputs, rejects, libraries."""

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

    def begin(self, command: str, guard: Guard | None = None) -> None:
        """Begin the run in the ledger, which notes its counts with every transaction.

        With a `guard` it notes how far the run got in its import plan, too.
        """
        rows, calls = self.tally.rows, self.tally.calls

        def counts() -> Counts:
            written = self.rejects.by_file
            found: Counts = {"rows": rows.counted, "calls": asdict(calls)}
            if guard is not None:
                found = {**found, NOTED: guard.noted()}
            return {**found, "rejects": written} if written else found

        self.ledger.runs.begin(command, self.clock, counts)


@contextmanager
def opened_to_send(
    settings: Settings, keys: dict[str, str], wait: float = 0.0
) -> Iterator[tuple[Ledger, RejectsFile]]:
    """Open the ledger, check that it belongs to the keys, and prepare the rejects file.

    An error that escapes is the end of the run in the ledger, if the run has begun. Raises LedgerBusy if
    another run holds the ledger for longer than `wait` seconds, LedgerError, UsageError.
    """
    rejects = make_rejects_file(settings.rejects)
    ledger = Ledger.open(settings.ledger, wait)
    try:
        for name, key in _keys_to_check(settings, keys):
            ledger.check_site(settings.target.tracker, name, key)
        yield ledger, rejects
    except BaseException as error:
        ledger.runs.end(exit_of(error))
        raise
    finally:
        ledger.close()
        rejects.close()


def _keys_to_check(settings: Settings, keys: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the sites with their keys. Bulk files need no key, so that none is known of their sites."""
    if settings.target.bulk() is None:
        yield from keys.items()


def exit_of(error: BaseException) -> int:
    """Return the exit code that an error leads to. Ours, and those of the command line, say it themselves."""
    code = getattr(error, "exit", None)
    if isinstance(code, Exit):
        return code
    if isinstance(error, KeyboardInterrupt):
        return Exit.INTERRUPTED
    return Exit.IO if isinstance(error, OSError) else Exit.BUG


def send(
    run: Run[Seen],
    work: Callable[[Pipeline], None],
    *,
    is_wary: bool = False,
    counts_known: bool = True,
    guard: Guard | None = None,
) -> KmError | None:
    """Drain the outbox, do the work, wait for the last receipt; return the error that ended the run early.

    If the calls go to bulk files, only the work is done, and the files are finished.
    At its end all receipts are durable, and so is the pause for which backfills leave the tracker alone. A
    run that `is_wary` sends one call at a time after an outage, until one is acknowledged. `counts_known` is
    as for Pipeline. A `guard` holds the run to an import plan.
    """
    if (series := run.settings.target.bulk()) is not None:
        return _write(run, series, work, counts_known=counts_known)
    tracker = run.settings.target.tracker
    pause = run.ledger.pauses.by_tracker(tracker)
    destination = run.settings.target.open(run.keys, run.settings.timeout, run.clock)
    pool = _make_driver(run, destination, is_wary=is_wary and pauses.is_recent(pause, run.clock.now()))
    sending = Sending(
        run.ledger,
        tracker,
        destination,
        pool,
        run.rejects,
        run.tally,
        run.stop,
        run.observer.tick,
        run.clock,
        guard,
    )
    ended = _drain_and_work(run, sending, work, counts_known=counts_known)
    return _note_pause(run, pauses.after(pause, ended, pool.pause, run.tally, run.clock.now()), ended)


def _write(
    run: Run[Seen], series: Series, work: Callable[[Pipeline], None], *, counts_known: bool
) -> KmError | None:
    """Do the work, and write its calls to files; return the error that ended it early, if any."""
    look_for_cycles_seldom(run.environment)
    settings, ledger, tally = run.settings, run.ledger, run.tally
    series.check_sites(run.keys)
    series = series.beside(ledger.path)
    files = BulkFiles(ledger, series, settings.part_size, tally, _uploads_of(run, series))
    writing = Writing(ledger, settings.target.tracker, files, run.rejects, tally, run.stop, run.observer.tick)
    pipeline = Pipeline(settings, ledger, writing, tally, run.observer, run.clock, counts_known=counts_known)
    ended: KmError | None = None
    try:
        files.resume()
        work(pipeline)
    except Stopped as stopped:
        ended = stopped.error
    except KmError as error:
        ended = error
    finally:
        lost = _error_of(writing.end)
    return ended or lost


def _uploads_of(run: Run[Seen], series: Series) -> Uploads | None:
    """Return the uploads of a series, None if its files stay on this machine."""
    if series.bucket is None:
        return None
    from km_cli.run.uploads import opened_uploads  # asyncio takes long to import

    policy = Policy(attempts=run.settings.attempts)
    return opened_uploads(series, run.ledger, policy, run.environment.random, run.tally, run.stop)


def _make_driver(run: Run[Seen], destination: Destination, *, is_wary: bool) -> Driver:
    """Return the driver of the transport that is asked for, or of the fastest one that works."""
    look_for_cycles_seldom(run.environment)
    most = min(run.settings.concurrency or min(OneThread.most, _files_left()), destination.workers)
    window = max(_LEAST_WINDOW, 4 * most)
    transfers = _open_transfers(run, destination, most)
    if transfers is not None:
        courier = _make_courier(run, destination, most, most, is_wary=is_wary)
        return OneThread(transfers, courier, run.clock, window=window)
    most = min(run.settings.concurrency or min(Pool.most, _files_left()), destination.workers)
    if most > 1:
        stay_on_one_core(run.environment)
    # More threads than that take turns and are slower, unless the way is long: then they help.
    courier = _make_courier(run, destination, most, min(most, Pool.most), is_wary=is_wary)
    return Pool(destination, courier, run.clock, window=window)


def _files_left() -> int:
    """Return how many connections the limit on open files allows beside our other files."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, limit - _OTHER_FILES) if limit != resource.RLIM_INFINITY else sys.maxsize


def _make_courier(
    run: Run[Seen], destination: Destination, most: int, least: int, *, is_wary: bool
) -> Courier:
    """Return a courier that sends up to `most` requests at a time, and as few as help.

    `least` is the fewest if the number was given by --concurrency N; --concurrency auto may go down to one.
    """
    settings = run.settings
    return Courier(
        Policy(attempts=settings.attempts),
        run.environment.random,
        run.clock.monotonic(),
        Concurrency(most, 1 if settings.concurrency is None else least),
        at_once=destination.at_once,
        rate=settings.rate,
        is_wary=is_wary,
    )


def _drain_and_work(
    run: Run[Seen], sending: Sending, work: Callable[[Pipeline], None], *, counts_known: bool
) -> KmError | None:
    """Send what earlier runs left, then do the work; return the error that ended it early, if any."""
    ended: KmError | None = None
    try:
        sending.resume(tuple(run.keys))
        work(
            Pipeline(
                run.settings,
                run.ledger,
                sending,
                run.tally,
                run.observer,
                run.clock,
                counts_known=counts_known,
            )
        )
        sending.finish()
    except Stopped as stopped:
        ended = stopped.error
    except KmError as error:
        ended = _error_of(sending.finish) or error  # the calls that were planned before are still sent
    finally:
        lost = _error_of(sending.end)
    return ended or lost


def _note_pause(run: Run[Seen], pause: Pause | None, ended: KmError | None) -> KmError | None:
    """Make the pause durable; return the error that the run ends with."""
    try:
        run.ledger.pause(run.settings.target.tracker, pause)
    except LedgerFailed:
        return ended  # the next run finds out by itself
    except LedgerError as error:
        return ended or error
    return ended


def _open_transfers(run: Run[Seen], destination: Destination, concurrency: int) -> Transfers | None:
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


def _error_of(step: Callable[[], None]) -> KmError | None:
    """Take a step of ending the run; return its error instead of raising it."""
    try:
        step()
    except Stopped as stopped:
        return stopped.error
    except KmError as error:
        return error
    return None
