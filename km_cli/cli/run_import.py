"""The heavy half of `import`: put the pipeline together, run it and print its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import click

from km_cli.cli.conclusion import conclude, warn_of_exposed_keys, warn_of_other_sites
from km_cli.cli.confirming import ask_ahead, asking
from km_cli.cli.context import environment_of, prints_summary
from km_cli.cli.settings import make_settings
from km_cli.cli.sources import make_file_sources
from km_cli.cli.terminal import report
from km_cli.cli.terminal.asking import ImportObserver
from km_cli.cli.terminal.extent import sizes_of
from km_cli.cli.terminal.findings import print_losses
from km_cli.cli.terminal.observer import ProgressObserver
from km_cli.cli.terminal.question import Question
from km_cli.cli.terminal.show import is_complaint_lost
from km_cli.config.settings import Settings
from km_cli.errors import UsageError
from km_cli.run import interrupts
from km_cli.run.importing import Run, opened_to_send, send
from km_cli.run.pipeline import Pipeline
from km_cli.run.plan_guard import Guard
from km_cli.run.rehearsal import rehearse_strictly
from km_cli.run.stopping import Stop
from km_cli.run.tally import Tally


def _check_readable_twice(settings: Settings) -> None:
    if "-" in settings.files:
        raise UsageError(
            "--strict reads the log twice, once before it sends; standard input can be read only once",
            "write standard input to a file first, or leave --strict out",
        )


def _rehearse_import(context: click.Context, settings: Settings) -> None:
    """Rehearse for --strict, where no question is asked."""
    flags, environment = context.params, environment_of(context)
    sources = make_file_sources(settings, Stop(), environment)
    quiet = flags["quiet"] or flags["as_json"]
    with ProgressObserver(settings, environment, quiet=quiet, sends=False) as observer:
        rehearse_strictly(settings, observer, lambda pipeline, _: pipeline.run(sources), Stop(), environment)


def run_import(context: click.Context) -> int:
    """Import, print a report and return the exit code.

    Rejects of cut-off runs are marked as reported only after the complaint about them was written: if
    standard error failed, the next run has to complain again.
    """
    settings, is_strict = make_settings(context), context.params["strict"]
    keys = settings.keys()
    warn_of_exposed_keys(settings)
    if is_strict:
        _check_readable_twice(settings)
    with asking(context, settings) as question:
        # Standard input and pipes can be read only once: the run asks about what it has seen of them.
        sizes = sizes_of(settings.files) if question else None
        if question is not None and sizes is not None:
            question = None if _is_answered(context, question, sizes) else question
        elif is_strict:
            _rehearse_import(context, settings)
        return _import(context, settings, keys, question)


def _is_answered(context: click.Context, question: Question, sizes: Mapping[str, int]) -> bool:
    """Ask now, about the whole input; return whether the answer was yes."""
    settings = question.settings
    sources = make_file_sources(settings, Stop(), environment_of(context))
    return ask_ahead(context, question, lambda _: lambda pipeline, _: pipeline.run(sources), sizes)


def _import(
    context: click.Context, settings: Settings, keys: dict[str, str], question: Question | None
) -> int:
    """Send the files. A question that is still open is asked on the way."""
    stop = Stop()
    sources = make_file_sources(settings, stop, environment_of(context))
    return send_and_report(context, settings, keys, stop, lambda pipeline: pipeline.run(sources), question)


def send_and_report(
    context: click.Context,
    settings: Settings,
    keys: dict[str, str],
    stop: Stop,
    work: Callable[[Pipeline], None],
    question: Question | None = None,
    guard: Guard | None = None,
) -> int:
    """Send the pending calls, do the work, print a report and return the exit code.

    A `guard` holds the run to an import plan.
    """
    flags, environment, tally = context.params, environment_of(context), Tally()
    started = environment.clock.monotonic()
    with opened_to_send(settings, keys) as (ledger, rejects), interrupts.catching_signals(stop) as caught:
        if guard is not None:
            guard.check_ledger(ledger)
        quiet = flags["quiet"] or flags["as_json"]
        observer = ImportObserver(
            settings, environment, quiet=quiet, question=question, names_outages=not flags["quiet"]
        )
        run = Run(settings, keys, ledger, rejects, tally, stop, observer, environment)
        run.begin(str(context.info_name), guard)
        with observer:
            error = send(run, work, guard=guard)
        observer.pending = ledger.outbox.count(settings.target.route)
        _report(context, run, environment.clock.monotonic() - started)
        code = conclude(run, error, caught.signal)
        ledger.runs.end(code)
        if not is_complaint_lost():
            ledger.mark_reported()
    return code


def _report(context: click.Context, run: Run[ImportObserver], seconds: float) -> None:
    settings, tally, flags = run.settings, run.tally, context.params
    if flags["as_json"]:
        report.print_json(tally, seconds, kept=settings.target.kept())
    if prints_summary(context):
        kept, all_places = settings.target.kept(), flags["verbose"]
        report.print_summary(settings, tally, run.observer, seconds, kept, all_places=all_places)
    else:
        print_losses(tally)
    warn_of_other_sites(run.observer.pending, run.keys)
