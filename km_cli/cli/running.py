"""What `import` and `dry-run` do: put the pipeline together, run it, and say how it went."""

from __future__ import annotations

import gc
import io
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import SystemRandom
from typing import NamedTuple

import click

from km_cli.cli import interrupts, report
from km_cli.cli.settings import make_settings
from km_cli.cli.show import complain, counted
from km_cli.cli.watch import Watcher
from km_cli.config import Settings
from km_cli.delivery import Policy, Pool
from km_cli.destinations import open_destination
from km_cli.dispatch import Rehearsal, Sending, Stop, Stopped
from km_cli.errors import Exit, KmError, TooManyFindings, UsageError
from km_cli.inputs import RejectsFile, Source
from km_cli.ledger import Ledger
from km_cli.pipeline import Forecast, Pipeline
from km_cli.rules import is_harmless
from km_cli.tally import Tally

_GC = (100_000, 50, 50)
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


class _Rehearsed(NamedTuple):
    """How a dry run ended, and what Kissmetrics would hold after the import, by site and persona."""

    tally: Tally
    watch: Watcher
    forecast: Forecast
    seconds: float
    ended: KmError | None


def _rehearse(settings: Settings, watch: Watcher) -> _Rehearsed:
    """Take the whole way up to the ledger, under a temporary overlay: nothing is sent, nothing is written."""
    sources = _sources(settings, Stop())
    clock, tally = SystemClock(), Tally()
    started = clock.monotonic()
    ended: KmError | None = None
    forecast: Forecast = {}
    ledger = Ledger.overlay(settings.ledger)
    try:
        keys = {site.name: "" for site in settings.people.sites}
        destination = open_destination(settings.target, keys, settings.timeout)
        dispatch = Rehearsal(ledger, settings.target.tracker, destination, tally, Stop())
        pipeline = Pipeline(settings, ledger, dispatch, tally, watch, clock)
        with watch:
            pipeline.run(sources)
        watch.pending = ledger.outbox.count(settings.target.tracker)
        forecast = pipeline.forecast()
    except KmError as error:
        ended = error
    finally:
        ledger.close()
    return _Rehearsed(tally, watch, forecast, clock.monotonic() - started, ended)


def run_dry(context: click.Context) -> int:
    """Rehearse an import and report; the exit code is 65 if rows would be rejected."""
    settings, flags = make_settings(context), context.params
    gc.set_threshold(*_GC)
    watch = Watcher(settings, asks=False, quiet=flags["as_json"], keep=flags["show"])
    tally, _, forecast, seconds, ended = _rehearse(settings, watch)
    if flags["as_json"]:
        report.print_json(tally, seconds, forecast=forecast)
        report.print_losses(tally)
    elif ended is None or tally.rows.read:
        report.print_dry_run(settings, tally, watch, forecast)
    if ended is not None:
        raise ended
    if flags["strict"]:
        _check_strictly(tally)
    return Exit.REJECTED if tally.rows.rejected else Exit.OK


def _check_strictly(tally: Tally) -> None:
    """Raise TooManyFindings if anything would be lost, merged, changed or rejected (--strict)."""
    found = {code: count for code, count in tally.findings.items() if not is_harmless(code)}
    if tally.rows.rejected:
        found["rejected rows"] = tally.rows.rejected
    if found:
        said = ", ".join(f"{code} {count:,}" for code, count in found.items())
        raise TooManyFindings(
            f"--strict: Kissmetrics would lose, merge or change something ({said}); nothing was sent",
            "km-cli dry-run shows what and where, km-cli rules CODE explains it; without --strict it is sent",
        )


def _rehearse_strictly(settings: Settings) -> None:
    """Go through the files once before anything is sent. Raises TooManyFindings."""
    if "-" in settings.files:
        raise UsageError(
            "--strict reads everything before it sends anything: standard input can be read only once",
            "write it to a file first, or leave --strict out",
        )
    rehearsed = _rehearse(settings, Watcher(settings, asks=False, quiet=True))
    if rehearsed.ended is not None:
        raise rehearsed.ended
    _check_strictly(rehearsed.tally)


def run_import(context: click.Context) -> int:
    """Import and report; the exit code says how it ended."""
    settings, flags = make_settings(context), context.params
    keys = settings.keys()
    for site in settings.people.sites:
        if settings.target.needs_key and site.is_exposed:
            complain(
                f"the key file {site.key_file} can be read by everyone on this machine",
                f"unless that is meant: chmod go-r {site.key_file}",
            )
    gc.set_threshold(*_GC)
    if flags["strict"]:
        _rehearse_strictly(settings)
    clock, tally, stop = SystemClock(), Tally(), Stop()
    sources = _sources(settings, stop)
    started = clock.monotonic()
    rejects = RejectsFile(settings.rejects)
    ledger = Ledger.open(settings.ledger)
    try:
        for name, key in keys.items():
            ledger.check_site(settings.target.tracker, name, key)
        with interrupts.watched(stop) as caught:
            asks = settings.target.tracker == "kissmetrics" and not flags["yes"]
            watch = Watcher(settings, asks=asks, quiet=flags["quiet"] or flags["as_json"])
            with watch:
                error = _send(settings, keys, sources, ledger, rejects, tally, stop, watch, clock)
            watch.pending = ledger.outbox.count(settings.target.tracker)
    finally:
        ledger.close()
        rejects.close()
    seconds = clock.monotonic() - started
    kept = report.kept_by(settings.target)
    if flags["as_json"]:
        report.print_json(tally, seconds, kept=kept)
    if not flags["as_json"] and (flags["verbose"] or (sys.stdout.isatty() and not flags["quiet"])):
        report.print_summary(settings, tally, watch, seconds, kept)
    else:
        report.print_losses(tally)
    _tell_of_other_sites(watch.pending, keys)
    return _conclude(tally, rejects, error, caught.signal)


def _send(
    settings: Settings,
    keys: dict[str, str],
    sources: list[Source],
    ledger: Ledger,
    rejects: RejectsFile,
    tally: Tally,
    stop: Stop,
    watch: Watcher,
    clock: SystemClock,
) -> KmError | None:
    """Run to the end, or to what ends it; return that as an error. What is known is durable then."""
    destination = open_destination(settings.target, keys, settings.timeout)
    if destination.workers > 1 and settings.concurrency > 1:
        _stay_on_one_core()
    pool = Pool(
        destination,
        concurrency=settings.concurrency,
        window=max(_LEAST_WINDOW, 4 * settings.concurrency),
        policy=Policy(attempts=settings.attempts),
        clock=clock,
        random=SystemRandom(),
        rate=settings.rate,
    )
    sending = Sending(ledger, settings.target.tracker, destination, pool, rejects, tally, stop, watch.tick)
    ended: KmError | None = None
    try:
        sending.resume(tuple(keys))
        Pipeline(settings, ledger, sending, tally, watch, clock).run(sources)
        sending.finish()
    except Stopped as stopped:
        ended = stopped.error
    except KmError as error:
        ended = _told(sending.finish) or error  # what was planned before it is still sent
    finally:
        lost = _told(sending.end)
    return ended or lost


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


def _sources(settings: Settings, stop: Stop) -> list[Source]:
    stdin: io.BufferedReader | None = None
    if "-" in settings.files:
        patient: io.RawIOBase = interrupts.PatientInput(sys.stdin.fileno(), stop)
        stdin = io.BufferedReader(patient)
    sources = [Source(name, stdin, settings.shape) for name in settings.files]
    for source in sources:
        source.check()
    return sources


def _tell_of_other_sites(pending: dict[str, int], keys: dict[str, str]) -> None:
    for site, calls in pending.items():
        if site not in keys:
            complain(
                f"{counted(calls, 'call')} of the site {site!r} still pending",
                "run the command that planned them again, with the same --strategy or --config",
            )


def _conclude(tally: Tally, rejects: RejectsFile, error: KmError | None, signal: int) -> int:
    """Say what is left to do, the most urgent last, and return the exit code."""
    if rejects.count:
        complain(
            f"{counted(rejects.count, 'row')} rejected ({report.reasons(tally)}), in {rejects.path}",
            "correct them there, in `raw`, and import that file",
        )
    if tally.calls.pending:
        complain(
            f"{counted(tally.calls.pending, 'call')} planned and not acknowledged yet",
            "run the same command again: it sends them first",
        )
    if error is not None:
        complain(str(error), error.hint)
    if signal:
        complain("interrupted; what was acknowledged is remembered", "run the same command again to go on")
        return 128 + signal
    if error is not None:
        return error.exit
    if tally.calls.pending:
        return Exit.TEMPORARY
    return Exit.REJECTED if rejects.count else Exit.OK
