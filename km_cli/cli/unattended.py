"""What `backfill` does: an import with nobody looking. It is silent when all is well, and tells when not."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import click
from click.core import ParameterSource

from km_cli import outages
from km_cli.backfill import Backfill, Met
from km_cli.cli import interrupts, report
from km_cli.cli.configured import taken
from km_cli.cli.running import (
    conclude,
    opened_to_send,
    rehearse_strictly,
    report_dry,
    tell_exposed,
    tell_of_other_sites,
)
from km_cli.cli.sending import GC, Ended, Run, SystemClock, send
from km_cli.cli.settings import make_settings
from km_cli.cli.show import complain
from km_cli.cli.telling import MOST_TOLD, Ending, Teller, Watched, more
from km_cli.cli.watch import Watcher
from km_cli.config import Settings
from km_cli.config.backfill import BackfillSource, backfill_sources
from km_cli.dispatch import Stop
from km_cli.errors import Exit, KmError, LedgerFailed, TimeIsUp, UsageError
from km_cli.ledger import Ledger
from km_cli.pipeline import Pipeline
from km_cli.protocols import Clock
from km_cli.tally import Tally


class Limits(NamedTuple):
    """How long (seconds) a run waits for the ledger and may take, and whether it allows no finding."""

    wait: float = 0.0
    max_time: float | None = None
    strict: bool = False


def run_backfill(context: click.Context, clock: Clock | None = None) -> int:
    """Send what is new since last time, or print what has that done every night."""
    flags, clock = context.params, clock or SystemClock()
    if flags["form"]:
        from km_cli.cli.install import print_install

        return print_install(context)
    teller = Teller.of(flags, clock)
    with _told(teller):
        settings = make_settings(context)
        sources = sources_of(context, settings)
        limits = Limits(flags["wait"], flags["max_time"], flags["strict"])
        is_told = sys.stderr.isatty() or flags["verbose"]
        if is_told and not flags["quiet"]:
            tell_exposed(settings)
        asks = settings.target.tracker == "kissmetrics" and not flags["yes"]
        quiet = flags["quiet"] or flags["as_json"]
        run = backfill(settings, sources, limits, clock, teller, asks=asks, quiet=quiet)
        return _report(context, settings, run, teller)


def tell_of_usage(command: click.Command, words: list[str], error: KmError | click.UsageError) -> None:
    """Tell of a run that could not even be understood, as far as what is to be told can be."""
    with suppress(KmError, click.ClickException, OSError):
        context = command.make_context(
            "backfill", words, resilient_parsing=True, ignore_unknown_options=True, allow_extra_args=True
        )
        if context.params["form"]:
            return
        teller = Teller.of(context.params, SystemClock())
        known = error if isinstance(error, KmError) else UsageError(error.format_message(), "see --help")
        teller.problem(known)
        teller.end(Ending(Exit.USAGE, Tally(), Met(), None), known)


def sources_of(context: click.Context, settings: Settings) -> tuple[BackfillSource, ...]:
    """Return what km.toml says is to be read, the sources that were named or all. Raises UsageError."""
    found, where = taken(context), context.get_parameter_source
    if found.path is None:
        raise UsageError(
            "there is no km.toml in this folder: it says what a backfill reads",
            "go where it is, or say --config PATH; `km-cli init FILE` writes one",
        )
    given = {name: where(name) is not ParameterSource.DEFAULT for name in ("since", "until")}
    return backfill_sources(
        found.config,
        found.folder,
        context.params.get("names", ()),
        settings.part,
        given["since"],
        given["until"],
        settings.clocking.timezone,
    )


@contextmanager
def _told(teller: Teller) -> Iterator[None]:
    """Tell of a run that ends in an error before it has an ending."""
    try:
        yield
    except BaseException as error:
        code = error.exit if isinstance(error, KmError) else _code_of(error)
        if isinstance(error, KmError):
            teller.problem(error)
        teller.end(Ending(code, Tally(), Met(), teller.pending), error)
        raise


def _code_of(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return Exit.INTERRUPTED
    return Exit.IO if isinstance(error, OSError) else Exit.BUG


class Backfilled(NamedTuple):
    """A backfill that got to its end, early or not."""

    run: Run
    watch: Watched
    met: Met
    ended: Ended
    signal: int


def backfill(
    settings: Settings,
    sources: Sequence[BackfillSource],
    limits: Limits,
    clock: Clock,
    teller: Teller,
    *,
    asks: bool,
    quiet: bool,
) -> Backfilled:
    """Take what is new in the sources and send it. Raises KmError if it could not begin."""
    keys, stop = settings.keys(), Stop()
    gc.set_threshold(*GC)
    own = _own(settings, teller)
    if limits.strict:
        _rehearse(settings, sources, clock, own)
    watch = Watched(settings, teller, asks=asks, quiet=quiet)
    with opened_to_send(settings, keys, limits.wait) as (ledger, rejects):
        tracker = settings.target.tracker
        run = Run(settings, keys, ledger, rejects, Tally(), stop, watch, clock)
        met = Met()
        teller.pending = sum(ledger.outbox.count(tracker).values())
        teller.start(sources)
        pause = ledger.pauses.of(tracker)

        def work(pipeline: Pipeline) -> None:
            Backfill(settings, pipeline, ledger, clock, stop, met, watch, own).run(sources)

        with interrupts.watched(stop) as caught, _timed(stop, limits.max_time), watch:
            if error := outages.paused(pause, clock.now()):
                ended = Ended(error, 0.0)
            else:
                ended = send(run, work, outage=outages.is_recent(pause, clock.now()), counts_known=False)
                pause = outages.after(pause, ended.error, ended.pause, run.tally, clock.now())
        with suppress(LedgerFailed):  # the next run finds out by itself
            ledger.pause(tracker, pause)
        watch.pending = ledger.outbox.count(tracker)
    return Backfilled(run, watch, met, ended, caught.signal)


def _rehearse(
    settings: Settings, sources: Sequence[BackfillSource], clock: Clock, own: Sequence[Path]
) -> None:
    """Go through the files once before anything is sent, and tell nobody. Raises TooManyFindings."""

    def work(pipeline: Pipeline, ledger: Ledger) -> None:
        Backfill(settings, pipeline, ledger, clock, Stop(), Met(), own=own).run(sources)

    rehearse_strictly(settings, Watcher(settings, asks=False, quiet=True), work)


def run_dry_backfill(context: click.Context) -> int:
    """Rehearse a backfill and report, as of files that are named."""
    settings, met = make_settings(context), Met()
    sources = sources_of(context, settings)
    own = _own(settings, Teller.silent(SystemClock()))

    def work(pipeline: Pipeline, ledger: Ledger) -> None:
        Backfill(settings, pipeline, ledger, SystemClock(), Stop(), met, own=own).run(sources)

    try:
        code = report_dry(context, settings, work)
    finally:
        _complain_of(met)
    return _worst(met) or code


def _own(settings: Settings, teller: Teller) -> list[Path]:
    """Return the files that runs write, so that none reads them."""
    ledger = settings.ledger
    beside = [ledger.with_name(ledger.name + ending) for ending in ("", "-wal", "-shm", ".lock")]
    return [settings.rejects, *beside, *ledger.parent.glob("rejects-*.jsonl"), *teller.places]


@contextmanager
def _timed(stop: Stop, seconds: float | None) -> Iterator[None]:
    """Ask the run to end after so long."""
    if seconds is None:
        yield
        return

    def end() -> None:
        stop.error = TimeIsUp(
            f"the time is up (--max-time {seconds:g}); not all was looked at",
            "nothing is lost: the next run goes on there",
        )
        stop.requested = True

    timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _report(context: click.Context, settings: Settings, done: Backfilled, teller: Teller) -> int:
    """Say how it went to whoever is there, and to those who are not; return the exit code."""
    flags, run, watch = context.params, done.run, done.watch
    tally, met, error = run.tally, done.met, done.ended.error
    if not flags["as_json"] and (flags["verbose"] or (sys.stdout.isatty() and not flags["quiet"])):
        kept, files = report.kept_by(settings.target), met.files
        report.print_summary(settings, tally, watch, teller.seconds, kept, files)
    _complain_of(met)
    tell_of_other_sites(watch.pending, run.keys)
    code = conclude(tally, run.rejects, error, done.signal, _worst(met))
    if error is not None:
        teller.problem(error)
    for finding_code, count in tally.findings.items():
        finding = tally.examples[finding_code]
        teller.journal.write(
            "finding", code=finding_code, count=count, file=finding.source, line=finding.line
        )
    ending = Ending(code, tally, met, sum(watch.pending.values()))
    if flags["as_json"]:
        report.print_json(tally, teller.seconds, more=more(ending, watch))
    teller.end(ending, error)
    return code


def _complain_of(met: Met) -> None:
    for problem in met.problems[:MOST_TOLD]:
        complain(str(problem), problem.hint)
    if met.trouble > MOST_TOLD:
        complain(f"{met.trouble - MOST_TOLD:,} more problems", "see --log or --json, or mend these first")


def _worst(met: Met) -> int:
    return max((problem.exit for problem in met.problems), default=Exit.OK)
