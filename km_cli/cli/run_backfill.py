"""The heavy half of `backfill`: an import that runs unattended.

Without a terminal it prints only problems, because cron mails all output. The journal, the monitor and the
metrics get a report of every run.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

import click

from km_cli.cli.conclusion import (
    complain_of_files,
    conclude,
    problems,
    unreported_rejects,
    warn_of_exposed_keys,
    warn_of_other_sites,
)
from km_cli.cli.confirming import ask_ahead, asking
from km_cli.cli.context import environment_of, prints_summary
from km_cli.cli.monitoring.reporter import BackfillObserver, BackfillResult, Reporter, backfill_json
from km_cli.cli.own_files import check_monitoring_files, own_files
from km_cli.cli.settings import make_settings
from km_cli.cli.sources import make_backfill_sources, sizes_of_backfill
from km_cli.cli.terminal import report
from km_cli.cli.terminal.observer import ProgressObserver
from km_cli.cli.terminal.question import Question
from km_cli.cli.terminal.show import is_complaint_lost
from km_cli.config.backfill import BackfillSource, settings_for
from km_cli.config.settings import Settings
from km_cli.errors import Exit, KmError, TimeIsUp, UsageError
from km_cli.ledger import Ledger
from km_cli.run import interrupts, pauses
from km_cli.run.backfill import Backfill, BackfillSummary, Own
from km_cli.run.importing import Run, opened_to_send, send
from km_cli.run.interrupts import start_thread
from km_cli.run.observer import Observer
from km_cli.run.pipeline import Pipeline
from km_cli.run.rehearsal import Work, rehearse_strictly
from km_cli.run.stopping import Stop
from km_cli.run.tally import Tally


class Limits(NamedTuple):
    """The flags that bound a run: --wait and --max-time in seconds, and --strict."""

    wait: float = 0.0
    max_time: float | None = None
    strict: bool = False


def run_backfill(context: click.Context) -> int:
    """Send what is new since the last run; with --print, print a schedule instead."""
    flags, environment = context.params, environment_of(context)
    if flags["form"]:
        from km_cli.cli.schedule.install import print_install

        return print_install(context)
    reporter = Reporter.from_flags(flags, environment.clock)
    with _reporting_errors(reporter):
        settings = make_settings(context)
        sources = make_backfill_sources(context, settings)
        settings = settings_for(sources, settings)
        # Mounted secrets are often readable by all. cron must not mail about them every night.
        if (environment.shows_progress or flags["verbose"]) and not flags["quiet"]:
            warn_of_exposed_keys(settings)
        return _ask_and_send(context, settings, sources, reporter)


def _ask_and_send(
    context: click.Context, settings: Settings, sources: Sequence[BackfillSource], reporter: Reporter
) -> int:
    """Ask if somebody is there to answer, then send; return the exit code."""
    flags, environment = context.params, environment_of(context)
    limits = Limits(flags["wait"], flags["max_time"], flags["strict"])
    keys, own = settings.keys(), own_files(context, settings, reporter.paths)
    check_monitoring_files(settings, reporter.paths)
    sizes = sizes_of_backfill(sources, settings, own) if environment.shows_progress else None
    with asking(context, settings) as question:
        if question is not None:
            question = None if _is_answered(context, question, sources, own, sizes) else question
            limits = limits._replace(strict=False)  # rehearsed already
        quiet = flags["quiet"] or flags["as_json"]
        observer = BackfillObserver(
            settings,
            environment,
            reporter,
            quiet=quiet,
            question=question,
            sizes=sizes,
            names_outages=not flags["quiet"],
        )
        looking = ProgressObserver(settings, environment, quiet=quiet, sends=False, sizes=sizes)
        with opened_to_send(settings, keys, limits.wait) as (ledger, rejects):
            run = Run(settings, keys, ledger, rejects, Tally(), Stop(), observer, environment)
            run.begin("backfill")
            done = backfill(run, sources, limits, reporter, own, looking)
            ending = _report(context, done, reporter)
            if not is_complaint_lost():
                ledger.mark_reported()
    reporter.end(ending, done.error)  # The ledger is free by now: a monitor may take long to answer.
    return ending.code


def _is_answered(
    context: click.Context,
    question: Question,
    sources: Sequence[BackfillSource],
    own: Own,
    sizes: Mapping[str, int] | None,
) -> bool:
    """Ask about all that is new, unless the destination has a pause; return whether the answer was yes."""
    settings, clock = question.settings, environment_of(context).clock

    def make_work(observer: Observer) -> Work:
        def work(pipeline: Pipeline, ledger: Ledger) -> None:
            if ended := pauses.paused(ledger.pauses.by_tracker(settings.target.route), clock.now()):
                raise ended
            Backfill(settings, pipeline, ledger, clock, Stop(), BackfillSummary(), observer, own).run(sources)

        return work

    return ask_ahead(context, question, make_work, sizes)


def report_usage_error(ctx: click.Context, words: list[str], error: KmError | click.UsageError) -> None:
    """Report a command line that is wrong, as far as its monitoring options can still be read.

    The words are parsed a second time, leniently. If a monitoring option is itself wrong, standard error may
    be the only place that has the error.
    """
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
        reporter = Reporter.from_flags(context.params, environment_of(ctx).clock)
        known = error if isinstance(error, KmError) else UsageError(error.format_message(), "see --help")
        reporter.problem(known)
        reporter.end(BackfillResult(Exit.USAGE, Tally(), BackfillSummary(), None), known)


@contextmanager
def _reporting_errors(reporter: Reporter) -> Iterator[None]:
    """Report a run that an error ends before `_report` could."""
    try:
        yield
    except BaseException as error:
        code = error.exit if isinstance(error, KmError) else _exit_of(error)
        if isinstance(error, Exception):
            reporter.problem(error if isinstance(error, KmError) else _unforeseen(error, code))
        reporter.end(BackfillResult(code, Tally(), BackfillSummary(), reporter.pending), error)
        raise


def _exit_of(error: BaseException) -> Exit:
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return Exit.INTERRUPTED
    return Exit.IO if isinstance(error, OSError) else Exit.BUG


def _unforeseen(error: Exception, code: Exit) -> KmError:
    """Return an error that the journal may hold: the text of an unforeseen one could quote the log."""
    name = type(error).__name__
    reason = f"{name}: {error.strerror}" if isinstance(error, OSError) else name
    known = KmError(f"the run failed: {reason}", "see standard error for details")
    known.exit = code
    return known


class Backfilled(NamedTuple):
    """A backfill that has ended, completely or early."""

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
    looking: ProgressObserver,
) -> Backfilled:
    """Read what is new in the sources and send it.

    If the destination asked an earlier run to wait, and the wait is not over, this run ends before it reads a
    file: cron will start another one. With --strict, all files are rehearsed before the first call;
    `looking` observes that.
    """
    settings, ledger, clock, stop, observer = run.settings, run.ledger, run.clock, run.stop, run.observer
    route, summary = settings.target.route, BackfillSummary()
    reporter.pending = sum(ledger.outbox.count(route).values())

    def work(pipeline: Pipeline) -> None:
        Backfill(settings, pipeline, ledger, clock, stop, summary, observer, own).run(sources)

    with interrupts.catching_signals(stop) as caught, _timed(stop, limits.max_time), observer:
        reporter.start(sources)
        for error in unreported_rejects(ledger):
            reporter.problem(error)
        ended = pauses.paused(ledger.pauses.by_tracker(route), clock.now())
        if ended is None and limits.strict:
            ended = _rehearse(run, sources, own, looking)
        if ended is None:
            ended = stop.error if stop.requested else send(run, work, is_wary=True, counts_known=False)
    observer.pending = ledger.outbox.count(route)
    return Backfilled(run, summary, ended, caught.signal)


def _rehearse(
    run: Run[BackfillObserver], sources: Sequence[BackfillSource], own: Own, observer: ProgressObserver
) -> KmError | None:
    """Rehearse the backfill before anything is sent; return the error that forbids sending, if any."""
    settings, stop, environment = run.settings, run.stop, run.environment

    def work(pipeline: Pipeline, ledger: Ledger) -> None:
        summary, clock = BackfillSummary(), environment.clock
        Backfill(settings, pipeline, ledger, clock, stop, summary, observer, own).run(sources)

    try:
        with observer:
            rehearse_strictly(settings, observer, work, stop, environment)
    except TimeIsUp as error:
        return TimeIsUp(
            f"{error} during the rehearsal of --strict; nothing was sent",
            "allow more time, or leave --strict out",
        )
    except KmError as error:
        return error
    return None


@contextmanager
def _timed(stop: Stop, seconds: float | None) -> Iterator[None]:
    """Ask the run to stop after so many seconds. The run commits the batch in hand before it does."""
    if seconds is None:
        yield
        return

    def end() -> None:
        stop.error = TimeIsUp(
            f"the time is up (--max-time {seconds:g}): some files were not read to their end",
            "nothing is lost: the next run continues there",
        )
        stop.requested = True

    timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), end)
    timer.daemon = True
    start_thread(timer)
    try:
        yield
    finally:
        timer.cancel()


def _report(context: click.Context, done: Backfilled, reporter: Reporter) -> BackfillResult:
    """Print the result, write it to the journal, and return it for the monitor and the metrics."""
    flags, run, settings, observer = context.params, done.run, done.run.settings, done.run.observer
    tally, summary, error = run.tally, done.summary, done.error
    if prints_summary(context):
        kept, files = settings.target.kept(), summary.files
        all_places = flags["verbose"]
        report.print_summary(settings, tally, observer, reporter.seconds, kept, files, all_places=all_places)
    complain_of_files(summary)
    warn_of_other_sites(observer.pending, run.keys)
    code = conclude(run, error, done.signal, summary.worst)
    run.ledger.runs.end(code)
    for problem in problems(tally, error):
        reporter.problem(problem)
    for finding_code, count in tally.findings.items():
        finding = tally.examples[finding_code]
        reporter.journal.write(
            "finding", code=finding_code, count=count, file=finding.source, line=finding.line
        )
    ending = BackfillResult(code, tally, summary, sum(observer.pending.values()))
    if flags["as_json"]:
        report.print_json(tally, reporter.seconds, more=backfill_json(ending, observer))
    return ending
