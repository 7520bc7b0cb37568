"""The heavy half of `retry`: a run that sends the pending calls, and has no input."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import click

from km_cli.cli.conclusion import warn_of_exposed_keys, warn_of_other_sites
from km_cli.cli.context import km_toml_of, prints_summary
from km_cli.cli.run_import import send_and_report
from km_cli.cli.settings import settings_without_input
from km_cli.cli.terminal import report
from km_cli.cli.terminal.show import say
from km_cli.config.people import sites_named
from km_cli.config.settings import Settings
from km_cli.destinations.series import Series
from km_cli.errors import Exit, UsageError
from km_cli.ledger import Ledger
from km_cli.run.pipeline import Pipeline
from km_cli.run.stopping import Stop
from km_cli.run.tally import Tally


def run_retry(context: click.Context) -> int:
    """Send the pending calls, print a report and return the exit code.

    Raises UsageError if there is no ledger, or a key is missing.
    """
    settings = settings_without_input(context)
    if (series := settings.target.bulk()) is not None:
        return _finish_files(context, settings, series)
    pending = _pending(settings)
    km_toml = km_toml_of(context)
    sites = sites_named(km_toml.config, km_toml.folder, sorted(pending), context.params["site"])
    settings = settings.with_sites(tuple(sites.values()))
    if not sites:
        warn_of_other_sites(pending, {})
        nothing = f"nothing is pending in {settings.ledger}"
        return Exit.TEMPORARY if pending else _report_nothing(context, settings, nothing)
    keys = settings.keys()
    warn_of_exposed_keys(settings)
    return send_and_report(context, settings, keys, Stop(), _read_nothing)


def _finish_files(context: click.Context, settings: Settings, series: Series) -> int:
    """Finish the bulk files that earlier runs left, and upload those that wait. They need no key."""
    with _opened(settings) as ledger:
        unfinished = ledger.bulk_parts.unfinished(series.name)
    if not unfinished:
        return _report_nothing(context, settings, f"no file of {settings.target.spelled} is unfinished")
    return send_and_report(context, settings, {}, Stop(), _read_nothing)


def _read_nothing(_pipeline: Pipeline) -> None:
    """The work of a run without input: its pending calls are sent before this."""


def _pending(settings: Settings) -> dict[str, int]:
    """Return how many calls are pending, by site. Raises UsageError if there is no ledger."""
    with _opened(settings) as ledger:
        return ledger.outbox.count(settings.target.route)


@contextmanager
def _opened(settings: Settings) -> Iterator[Ledger]:
    """Open the ledger for reading. Raises UsageError if there is none."""
    if not settings.ledger.exists():
        raise UsageError(
            f"there is nothing to retry: {settings.ledger} does not exist",
            "--to local retries those of the local store; --to and --ledger name another place",
        )
    with closing(Ledger.overlay(settings.ledger)) as ledger:
        yield ledger


def _report_nothing(context: click.Context, settings: Settings, nothing: str) -> int:
    """Report a run that found nothing to do, which `nothing` says. It writes nothing to the ledger."""
    if context.params["as_json"]:
        report.print_json(Tally(), 0.0, kept=settings.target.kept())
    elif prints_summary(context):
        say(nothing)
    return Exit.OK
