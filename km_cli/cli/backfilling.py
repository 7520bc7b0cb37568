"""What `backfill` does: an import with nobody looking. It is silent when all is well, and tells when not."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import click

from km_cli.cli.configured import environment_of
from km_cli.cli.dry_running import report_dry
from km_cli.cli.ending import conclude, problems, tell_exposed, tell_of_other_sites, unreported
from km_cli.cli.monitoring.reporter import MOST_TOLD, BackfillObserver, Ending, Reporter, more
from km_cli.cli.settings import kept_places, make_settings
from km_cli.cli.sources import sources_of
from km_cli.cli.terminal import report
from km_cli.cli.terminal.show import complain, is_complaint_lost
from km_cli.config.backfill import BackfillSource
from km_cli.config.settings import Settings
from km_cli.errors import Exit, KmError, TimeIsUp, UsageError
from km_cli.ledger import Ledger
from km_cli.protocols import Clock
from km_cli.run import interrupts, pauses
from km_cli.run.backfill import Backfill, BackfillSummary, Own
from km_cli.run.importing import Run, opened_to_send, send
from km_cli.run.interrupts import start_thread
from km_cli.run.observer import Observer
from km_cli.run.pipeline import Pipeline
from km_cli.run.rehearsal import rehearse_strictly
from km_cli.run.stopping import Stop
from km_cli.run.tally import Tally


class Limits(NamedTuple):
    """How long (seconds) a run waits for the ledger and may take, and whether it allows no finding."""

    wait: float = 0.0
    max_time: float | None = None
    strict: bool = False


def run_backfill(context: click.Context) -> int:
    """Send what is new since last time, or print what has that done every night."""
    flags, environment = context.params, environment_of(context)
    if flags["form"]:
        from km_cli.cli.schedule.install import print_install

        return print_install(context)
    reporter = Reporter.of(flags, environment.clock)
    with _told(reporter):
        settings = make_settings(context)
        sources = sources_of(context, settings)
        limits = Limits(flags["wait"], flags["max_time"], flags["strict"])
        is_told = environment.shows_progress or flags["verbose"]
        if is_told and not flags["quiet"]:
            tell_exposed(settings)
        asks = settings.target.asks_first and not flags["yes"]
        quiet = flags["quiet"] or flags["as_json"]
        observer = BackfillObserver(settings, environment, reporter, asks=asks, quiet=quiet)
        keys, own = settings.keys(), _own(context, settings, reporter.places)
        _check_told(settings, reporter.places)
        with opened_to_send(settings, keys, limits.wait) as (ledger, rejects):
            run = Run(settings, keys, ledger, rejects, Tally(), Stop(), observer, environment)
            done = backfill(run, sources, limits, reporter, own)
            ending = _report(context, done, reporter)
            if not is_complaint_lost():
                ledger.mark_reported()
        reporter.end(ending, done.error)  # a monitor may take its time: nobody should wait for the ledger
        return ending.code


def tell_of_usage(ctx: click.Context, words: list[str], error: KmError | click.UsageError) -> None:
    """Tell of a run that could not even be understood, as far as what is to be told can be."""
    with suppress(KmError, click.ClickException, OSError):
        context = ctx.command.make_context(
            "backfill",
            words,
            parent=ctx.parent,
            resilient_parsing=True,
            ignore_unknown_options=True,
            allow_extra_args=True,
        )
        if context.params["form"]:
            return
        reporter = Reporter.of(context.params, environment_of(ctx).clock)
        known = error if isinstance(error, KmError) else UsageError(error.format_message(), "see --help")
        reporter.problem(known)
        reporter.end(Ending(Exit.USAGE, Tally(), BackfillSummary(), None), known)


@contextmanager
def _told(reporter: Reporter) -> Iterator[None]:
    """Tell of a run that ends in an error before it has an ending."""
    try:
        yield
    except BaseException as error:
        code = error.exit if isinstance(error, KmError) else _code_of(error)
        if isinstance(error, Exception):
            reporter.problem(error if isinstance(error, KmError) else _unforeseen(error, code))
        reporter.end(Ending(code, Tally(), BackfillSummary(), reporter.pending), error)
        raise


def _code_of(error: BaseException) -> Exit:
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return Exit.INTERRUPTED
    return Exit.IO if isinstance(error, OSError) else Exit.BUG


def _unforeseen(error: Exception, code: Exit) -> KmError:
    """Return what the journal says of an error that is none of ours: its text may hold anything."""
    name = type(error).__name__
    said = f"{name}: {error.strerror}" if isinstance(error, OSError) else name
    known = KmError(f"the run failed: {said}", "standard error has more of it")
    known.exit = code
    return known


class Backfilled(NamedTuple):
    """A backfill that got to its end, early or not."""

    run: Run[BackfillObserver]
    summary: BackfillSummary
    error: KmError | None
    signal: int


def backfill(
    run: Run[BackfillObserver],
    sources: Sequence[BackfillSource],
    limits: Limits,
    reporter: Reporter,
    own: Own,
) -> Backfilled:
    """Take what is new in the sources and send it."""
    settings, ledger, clock, stop, observer = run.settings, run.ledger, run.clock, run.stop, run.observer
    tracker, summary = settings.target.tracker, BackfillSummary()
    reporter.pending = sum(ledger.outbox.count(tracker).values())

    def work(pipeline: Pipeline) -> None:
        Backfill(settings, pipeline, ledger, clock, stop, summary, observer, own).run(sources)

    with interrupts.watched(stop) as caught, _timed(stop, limits.max_time), observer:
        reporter.start(sources)
        for error in unreported(ledger):
            reporter.problem(error)
        ended = pauses.paused(ledger.pauses.by_tracker(tracker), clock.now())
        if ended is None and limits.strict:
            ended = _rehearse(settings, sources, clock, stop, own)
        if ended is None:
            ended = stop.error if stop.requested else send(run, work, is_wary=True, counts_known=False)
    observer.pending = ledger.outbox.count(tracker)
    return Backfilled(run, summary, ended, caught.signal)


def _rehearse(
    settings: Settings, sources: Sequence[BackfillSource], clock: Clock, stop: Stop, own: Own
) -> KmError | None:
    """Go through the files once before anything is sent; return why it had better not be."""

    def work(pipeline: Pipeline, ledger: Ledger) -> None:
        Backfill(settings, pipeline, ledger, clock, stop, BackfillSummary(), Observer(), own).run(sources)

    try:
        rehearse_strictly(settings, work, stop, clock)
    except TimeIsUp as error:
        return TimeIsUp(f"{error} by --strict; nothing was sent", "give it more time, or leave --strict out")
    except KmError as error:
        return error
    return None


def run_dry_backfill(context: click.Context) -> int:
    """Rehearse a backfill and report, as of files that are named."""
    settings, summary = make_settings(context), BackfillSummary()
    sources = sources_of(context, settings)
    own = _own(context, settings)

    def work(pipeline: Pipeline, ledger: Ledger) -> None:
        Backfill(
            settings, pipeline, ledger, environment_of(context).clock, Stop(), summary, Observer(), own
        ).run(sources)

    try:
        code = report_dry(context, settings, work)
    finally:
        _complain_of(summary)
    return summary.worst or code


def _own(context: click.Context, settings: Settings, told: Sequence[Path] = ()) -> Own:
    """Return the files that are no log: what runs write, `told` among it, and what they are told by."""
    before = settings.ledger.parent.glob("rejects-*.jsonl")
    return [
        *kept_places(context, settings),
        (settings.rejects, "where rejects go"),
        *((path, "what an earlier run rejected") for path in before),
        *((path, "what --log or --metrics writes") for path in told),
    ]


def _check_told(settings: Settings, told: Sequence[Path]) -> None:
    """Raise UsageError if two would write into one file."""
    for place in told:
        if os.path.realpath(place) == os.path.realpath(settings.rejects):
            raise UsageError(f"{place} is where rejects go too", "give one of them another place")


@contextmanager
def _timed(stop: Stop, seconds: float | None) -> Iterator[None]:
    """Ask the run to end after so long."""
    if seconds is None:
        yield
        return

    def end() -> None:
        stop.error = TimeIsUp(
            f"the time is up (--max-time {seconds:g}): not all was looked at",
            "nothing is lost: the next run goes on there",
        )
        stop.requested = True

    timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), end)
    timer.daemon = True
    start_thread(timer)
    try:
        yield
    finally:
        timer.cancel()


def _report(context: click.Context, done: Backfilled, reporter: Reporter) -> Ending:
    """Say how it went to whoever is there, and to the journal; return what is left to tell."""
    flags, run, settings, observer = context.params, done.run, done.run.settings, done.run.observer
    tally, summary, error = run.tally, done.summary, done.error
    if not flags["as_json"] and (
        flags["verbose"] or (environment_of(context).shows_summaries and not flags["quiet"])
    ):
        kept, files = settings.target.kept(), summary.files
        report.print_summary(settings, tally, observer, reporter.seconds, kept, files)
    _complain_of(summary)
    tell_of_other_sites(observer.pending, run.keys)
    code = conclude(run, error, done.signal, summary.worst)
    for problem in problems(tally, error):
        reporter.problem(problem)
    for finding_code, count in tally.findings.items():
        finding = tally.examples[finding_code]
        reporter.journal.write(
            "finding", code=finding_code, count=count, file=finding.source, line=finding.line
        )
    ending = Ending(code, tally, summary, sum(observer.pending.values()))
    if flags["as_json"]:
        report.print_json(tally, reporter.seconds, more=more(ending, observer))
    return ending


def _complain_of(summary: BackfillSummary) -> None:
    for problem in summary.problems[:MOST_TOLD]:
        complain(str(problem), problem.hint)
    if summary.trouble > MOST_TOLD:
        complain(f"{summary.trouble - MOST_TOLD:,} more problems", "see --log or --json, or mend these first")
