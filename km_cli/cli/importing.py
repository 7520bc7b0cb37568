"""What `import` does, and `dry-run` of files: put the pipeline together, run it, and say how it went."""

from __future__ import annotations

import io
from functools import partial

import click

from km_cli.cli.configured import environment_of
from km_cli.cli.dry_running import report_dry
from km_cli.cli.ending import conclude, tell_exposed, tell_of_other_sites
from km_cli.cli.settings import make_settings
from km_cli.cli.terminal import report
from km_cli.cli.terminal.observer import ImportObserver
from km_cli.cli.terminal.show import is_complaint_lost
from km_cli.config.environment import Environment
from km_cli.config.settings import Settings
from km_cli.errors import UsageError
from km_cli.inputs import Source
from km_cli.run import interrupts
from km_cli.run.importing import Run, opened_to_send, send
from km_cli.run.rehearsal import rehearse_strictly
from km_cli.run.stopping import Stop
from km_cli.run.tally import Tally


def run_dry(context: click.Context) -> int:
    """Rehearse an import and report; the exit code is 65 if rows would be rejected."""
    settings = make_settings(context)
    sources = _sources(settings, Stop(), environment_of(context))
    return report_dry(context, settings, lambda pipeline, _: pipeline.run(sources))


def _rehearse_import(settings: Settings, environment: Environment) -> None:
    if "-" in settings.files:
        raise UsageError(
            "--strict reads everything before it sends anything: standard input can be read only once",
            "write it to a file first, or leave --strict out",
        )
    sources = _sources(settings, Stop(), environment)
    rehearse_strictly(settings, lambda pipeline, _: pipeline.run(sources), Stop(), environment.clock)


def run_import(context: click.Context) -> int:
    """Import and report; the exit code says how it ended."""
    settings, flags, environment = make_settings(context), context.params, environment_of(context)
    keys = settings.keys()
    tell_exposed(settings)
    if flags["strict"]:
        _rehearse_import(settings, environment)
    tally, stop = Tally(), Stop()
    sources = _sources(settings, stop, environment)
    started = environment.clock.monotonic()
    with opened_to_send(settings, keys) as (ledger, rejects), interrupts.watched(stop) as caught:
        asks = settings.target.asks_first and not flags["yes"]
        observer = ImportObserver(settings, environment, asks=asks, quiet=flags["quiet"] or flags["as_json"])
        run = Run(settings, keys, ledger, rejects, tally, stop, observer, environment)
        with observer:
            error = send(run, lambda pipeline: pipeline.run(sources))
        observer.pending = ledger.outbox.count(settings.target.tracker)
        _report(context, run, environment.clock.monotonic() - started)
        code = conclude(run, error, caught.signal)
        if not is_complaint_lost():
            ledger.mark_reported()
    return code


def _report(context: click.Context, run: Run[ImportObserver], seconds: float) -> None:
    settings, tally, flags = run.settings, run.tally, context.params
    if flags["as_json"]:
        report.print_json(tally, seconds, kept=settings.target.kept())
    if not flags["as_json"] and (
        flags["verbose"] or (environment_of(context).shows_summaries and not flags["quiet"])
    ):
        report.print_summary(settings, tally, run.observer, seconds, settings.target.kept())
    else:
        report.print_losses(tally)
    tell_of_other_sites(run.observer.pending, run.keys)


def _sources(settings: Settings, stop: Stop, environment: Environment) -> list[Source]:
    stdin: io.BufferedReader | None = None
    if "-" in settings.files:
        patient: io.RawIOBase = interrupts.PatientInput(environment.stdin.fileno(), stop)
        stdin = io.BufferedReader(patient)
    opens = partial(interrupts.open_patiently, stop=stop)
    sources = [Source(name, stdin, settings.format_options, opens) for name in settings.files]
    for source in sources:
        source.check()
    return sources
