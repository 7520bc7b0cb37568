"""A run that sends nothing: what `dry-run` shows, and what --strict looks at before anything is sent."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import NamedTuple

import click

from km_cli.cli.sending import GC, SystemClock
from km_cli.cli.terminal import report
from km_cli.cli.terminal.observer import ImportObserver
from km_cli.config import Settings
from km_cli.destinations import open_destination
from km_cli.errors import Exit, KmError, TooManyFindings
from km_cli.ledger import Ledger
from km_cli.rules import is_harmless
from km_cli.run.pipeline import Forecast, Pipeline
from km_cli.run.sending import Rehearsal, Stop, Stopped
from km_cli.run.tally import Tally


class Rehearsed(NamedTuple):
    """How a dry run ended, and what Kissmetrics would hold after the import, by site and persona."""

    tally: Tally
    observer: ImportObserver
    forecast: Forecast
    seconds: float
    ended: KmError | None


def rehearse(
    settings: Settings, observer: ImportObserver, work: Callable[[Pipeline, Ledger], None], stop: Stop
) -> Rehearsed:
    """Take the whole way up to the ledger, under a temporary overlay: nothing is sent, nothing is written."""
    clock, tally = SystemClock(), Tally()
    started = clock.monotonic()
    ended: KmError | None = None
    forecast: Forecast = {}
    ledger = Ledger.overlay(settings.ledger)
    try:
        keys = {site.name: "" for site in settings.people.sites}
        destination = open_destination(settings.target, keys, settings.timeout)
        sink = Rehearsal(ledger, settings.target.tracker, destination, tally, stop)
        pipeline = Pipeline(settings, ledger, sink, tally, observer, clock, seeks_ids=True)
        with observer:
            work(pipeline, ledger)
        observer.pending = ledger.outbox.count(settings.target.tracker)
        forecast = pipeline.forecast()
    except Stopped as stopped:
        ended = stopped.error
    except KmError as error:
        ended = error
    finally:
        ledger.close()
    return Rehearsed(tally, observer, forecast, clock.monotonic() - started, ended)


def report_dry(context: click.Context, settings: Settings, work: Callable[[Pipeline, Ledger], None]) -> int:
    """Rehearse some work and report; the exit code is 65 if rows would be rejected."""
    flags = context.params
    gc.set_threshold(*GC)
    observer = ImportObserver(settings, asks=False, quiet=flags["as_json"], keep=flags["show"])
    tally, _, forecast, seconds, ended = rehearse(settings, observer, work, Stop())
    if flags["as_json"]:
        report.print_json(tally, seconds, forecast=forecast)
        report.print_losses(tally)
    elif ended is None or tally.rows.read:
        report.print_dry_run(settings, tally, observer, forecast)
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
        said = ", ".join(f"{code} {count:,}{_first(tally, code)}" for code, count in found.items())
        raise TooManyFindings(
            f"--strict: Kissmetrics would lose, merge or change something ({said}); nothing was sent",
            "km-cli dry-run shows what, km-cli rules CODE explains it; without --strict it is sent",
        )


def _first(tally: Tally, code: str) -> str:
    """Say where the first finding of a code is, or the first rejected row."""
    if code in tally.examples:
        source, line = tally.examples[code].source, tally.examples[code].line
    else:
        row = next(iter(tally.rejects.values())).row
        source, line = row.source, row.line
    return f", the first in {source}, line {line}" if line else ""


def rehearse_strictly(
    settings: Settings, observer: ImportObserver, work: Callable[[Pipeline, Ledger], None], stop: Stop
) -> None:
    """Go through everything once before anything is sent, or until that is to `stop`.

    Raises TooManyFindings, and what stands in the way of going through it.
    """
    rehearsed = rehearse(settings, observer, work, stop)
    if rehearsed.ended is not None:
        raise rehearsed.ended
    if not stop.requested:
        _check_strictly(rehearsed.tally)
