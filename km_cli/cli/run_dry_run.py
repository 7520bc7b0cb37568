"""The heavy half of `dry-run`: rehearse an import or a backfill, and print what it would send."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import click

from km_cli.cli.conclusion import complain_of_files
from km_cli.cli.context import environment_of
from km_cli.cli.forms.asked import asked_form
from km_cli.cli.forms.writing import writing
from km_cli.cli.own_files import own_files
from km_cli.cli.plan_file import PlanningObserver
from km_cli.cli.plan_out import PlanOut
from km_cli.cli.settings import make_settings
from km_cli.cli.sources import make_backfill_sources, make_file_sources, sizes_of_backfill
from km_cli.cli.terminal import report
from km_cli.cli.terminal.findings import print_losses
from km_cli.cli.terminal.observer import ProgressObserver
from km_cli.cli.terminal.show import say
from km_cli.config.backfill import settings_for
from km_cli.config.settings import Settings
from km_cli.errors import Exit, UsageError
from km_cli.ledger import Ledger
from km_cli.run.backfill import Backfill, BackfillSummary
from km_cli.run.observer import Observer
from km_cli.run.pipeline import Pipeline
from km_cli.run.rehearsal import Rehearsed, Work, check_strictly, rehearse
from km_cli.run.stopping import Stop


def run_dry_import(context: click.Context) -> int:
    """Rehearse an import and print a report; the exit code is 65 if rows would be rejected."""
    settings = make_settings(context)
    sources = make_file_sources(settings, Stop(), environment_of(context))
    out = PlanOut(context, settings) if _asks_for_plan(context) else None
    return _rehearse(context, settings, lambda _: lambda pipeline, _: pipeline.run(sources), out=out)


def run_dry_backfill(context: click.Context) -> int:
    """Rehearse a backfill and print a report; the exit code is also that of the worst problem with a file."""
    if _asks_for_plan(context):
        raise UsageError(
            "--out needs FILE: an import plan is for km-cli import; a backfill reads what is there by then",
            "name the files: km-cli dry-run FILE… --out PATH",
        )
    settings, summary = make_settings(context), BackfillSummary()
    sources = make_backfill_sources(context, settings)
    settings = settings_for(sources, settings)
    own, clock = own_files(context, settings), environment_of(context).clock

    def make_work(observer: Observer) -> Work:
        def work(pipeline: Pipeline, ledger: Ledger) -> None:
            Backfill(settings, pipeline, ledger, clock, Stop(), summary, observer, own).run(sources)

        return work

    shows = environment_of(context).shows_progress
    sizes = sizes_of_backfill(sources, settings, own) if shows else None
    try:
        code = _rehearse(context, settings, make_work, sizes)
    finally:
        complain_of_files(summary)
    return summary.worst or code


def _asks_for_plan(context: click.Context) -> bool:
    """Tell whether --out is the file of an import plan; with --as it is that of the calls."""
    return context.params["out"] is not None and context.params["form"] is None


def _rehearse(
    context: click.Context,
    settings: Settings,
    make_work: Callable[[Observer], Work],
    sizes: Mapping[str, int] | None = None,
    out: PlanOut | None = None,
) -> int:
    """Do the work that is made for an observer, and print its report. `sizes` are the bytes of the files.

    `out` writes the import plan, if one is asked for and the rehearsal came to its end.
    """
    flags, environment = context.params, environment_of(context)
    asked = asked_form(context, settings)
    prints = (out is not None and out.is_printed) or (asked is not None and asked.path is None)
    quiet = flags["quiet"] or flags["as_json"] or prints
    make_observer = PlanningObserver if out else ProgressObserver
    observer = make_observer(settings, environment, quiet=quiet, keep=flags["show"], sends=False, sizes=sizes)
    work = make_work(observer)
    with observer, writing(asked.form, asked.path) if asked else nullcontext() as writer:
        observer.take = writer.write if writer else None
        found = rehearse(
            settings,
            observer,
            out.planning.work(work) if out else work,
            Stop(),
            environment,
            out.planning.taker if out else None,
        )
        if writer and found.ended is None:
            writer.end()
    tally, observer.pending, forecast, seconds, error = found
    written = None
    if out is not None and isinstance(observer, PlanningObserver) and error is None:
        written = out.write(found, observer.columns)
    wrote = written.text if written else f"Only {asked.path} was written." if asked else ""
    if flags["as_json"]:
        more: dict[str, Any] = {"plan": written._asdict()} if written else {}
        if asked and writer and writer.is_whole:
            more["written"] = {"path": asked.place, "form": flags["form"], "calls": writer.calls}
        report.print_json(tally, seconds, forecast=forecast, more=more)
        print_losses(tally)
    else:
        _print_report(context, settings, found, observer, wrote, quiet=quiet)
    if error is not None:
        raise error
    if asked and writer and not flags["quiet"]:
        for note in writer.notes(asked.place):
            say(note, to_stderr=True)
    if flags["strict"]:
        check_strictly(tally)
    return Exit.REJECTED if tally.rows.rejected else Exit.OK


def _print_report(
    context: click.Context,
    settings: Settings,
    found: Rehearsed,
    observer: ProgressObserver,
    wrote: str,
    *,
    quiet: bool,
) -> None:
    """Print what would be sent; if `quiet`, problems only. `wrote` says which file was written, if any."""
    tally = found.tally
    if quiet:
        print_losses(tally)
        report.print_rejects_to_come(tally)
    elif found.ended is None or tally.rows.read:
        all_places = context.params["verbose"]
        report.print_dry_run(settings, tally, observer, found.forecast, all_places=all_places, wrote=wrote)
