"""What `import` and `dry-run` do: put the pipeline together, run it, and say how it went."""

from __future__ import annotations

import gc
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import click

from km_cli.cli import interrupts, report
from km_cli.cli.sending import GC, Run, SystemClock, send
from km_cli.cli.settings import make_settings
from km_cli.cli.show import complain, counted
from km_cli.cli.watch import Watcher
from km_cli.config import Settings
from km_cli.destinations import open_destination
from km_cli.dispatch import Rehearsal, Stop
from km_cli.errors import Exit, KmError, TooManyFindings, UsageError
from km_cli.inputs import RejectsFile, Source
from km_cli.ledger import Ledger
from km_cli.pipeline import Forecast, Pipeline
from km_cli.rules import is_harmless
from km_cli.tally import Tally


class Rehearsed(NamedTuple):
    """How a dry run ended, and what Kissmetrics would hold after the import, by site and persona."""

    tally: Tally
    watch: Watcher
    forecast: Forecast
    seconds: float
    ended: KmError | None


def rehearse(settings: Settings, watch: Watcher, work: Callable[[Pipeline, Ledger], None]) -> Rehearsed:
    """Take the whole way up to the ledger, under a temporary overlay: nothing is sent, nothing is written."""
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
            work(pipeline, ledger)
        watch.pending = ledger.outbox.count(settings.target.tracker)
        forecast = pipeline.forecast()
    except KmError as error:
        ended = error
    finally:
        ledger.close()
    return Rehearsed(tally, watch, forecast, clock.monotonic() - started, ended)


def run_dry(context: click.Context) -> int:
    """Rehearse an import and report; the exit code is 65 if rows would be rejected."""
    settings = make_settings(context)
    sources = _sources(settings, Stop())
    return report_dry(context, settings, lambda pipeline, _: pipeline.run(sources))


def report_dry(context: click.Context, settings: Settings, work: Callable[[Pipeline, Ledger], None]) -> int:
    """Rehearse some work and report; the exit code is 65 if rows would be rejected."""
    flags = context.params
    gc.set_threshold(*GC)
    watch = Watcher(settings, asks=False, quiet=flags["as_json"], keep=flags["show"])
    tally, _, forecast, seconds, ended = rehearse(settings, watch, work)
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


def rehearse_strictly(settings: Settings, watch: Watcher, work: Callable[[Pipeline, Ledger], None]) -> None:
    """Go through everything once before anything is sent. Raises TooManyFindings."""
    rehearsed = rehearse(settings, watch, work)
    if rehearsed.ended is not None:
        raise rehearsed.ended
    _check_strictly(rehearsed.tally)


def _rehearse_import(settings: Settings) -> None:
    if "-" in settings.files:
        raise UsageError(
            "--strict reads everything before it sends anything: standard input can be read only once",
            "write it to a file first, or leave --strict out",
        )
    sources = _sources(settings, Stop())
    watch = Watcher(settings, asks=False, quiet=True)
    rehearse_strictly(settings, watch, lambda pipeline, _: pipeline.run(sources))


def run_import(context: click.Context) -> int:
    """Import and report; the exit code says how it ended."""
    settings, flags = make_settings(context), context.params
    keys = settings.keys()
    tell_exposed(settings)
    gc.set_threshold(*GC)
    if flags["strict"]:
        _rehearse_import(settings)
    clock, tally, stop = SystemClock(), Tally(), Stop()
    sources = _sources(settings, stop)
    started = clock.monotonic()
    with opened_to_send(settings, keys) as (ledger, rejects), interrupts.watched(stop) as caught:
        asks = settings.target.tracker == "kissmetrics" and not flags["yes"]
        watch = Watcher(settings, asks=asks, quiet=flags["quiet"] or flags["as_json"])
        run = Run(settings, keys, ledger, rejects, tally, stop, watch, clock)
        with watch:
            error = send(run, lambda pipeline: pipeline.run(sources)).error
        watch.pending = ledger.outbox.count(settings.target.tracker)
    seconds = clock.monotonic() - started
    kept = report.kept_by(settings.target)
    if flags["as_json"]:
        report.print_json(tally, seconds, kept=kept)
    if not flags["as_json"] and (flags["verbose"] or (sys.stdout.isatty() and not flags["quiet"])):
        report.print_summary(settings, tally, watch, seconds, kept)
    else:
        report.print_losses(tally)
    tell_of_other_sites(watch.pending, keys)
    return conclude(tally, rejects, error, caught.signal)


@contextmanager
def opened_to_send(
    settings: Settings, keys: dict[str, str], wait: float = 0.0
) -> Iterator[tuple[Ledger, RejectsFile]]:
    """Open the ledger, which goes with the keys, and the rejects file, for a run.

    Raises LedgerBusy if another run holds it for longer than `wait` seconds, LedgerError, UsageError.
    """
    rejects = RejectsFile(settings.rejects)
    ledger = Ledger.open(settings.ledger, wait)
    try:
        for name, key in keys.items():
            ledger.check_site(settings.target.tracker, name, key)
        yield ledger, rejects
    finally:
        ledger.close()
        rejects.close()


def tell_exposed(settings: Settings) -> None:
    """Complain of key files that everyone can read."""
    for site in settings.people.sites:
        if settings.target.needs_key and site.is_exposed:
            complain(
                f"the key file {site.key_file} can be read by everyone on this machine",
                f"unless that is meant: chmod go-r {site.key_file}",
            )


def _sources(settings: Settings, stop: Stop) -> list[Source]:
    stdin: io.BufferedReader | None = None
    if "-" in settings.files:
        patient: io.RawIOBase = interrupts.PatientInput(sys.stdin.fileno(), stop)
        stdin = io.BufferedReader(patient)
    sources = [Source(name, stdin, settings.shape) for name in settings.files]
    for source in sources:
        source.check()
    return sources


def tell_of_other_sites(pending: dict[str, int], keys: dict[str, str]) -> None:
    for site, calls in pending.items():
        if site not in keys:
            complain(
                f"{counted(calls, 'call')} of the site {site!r} still pending",
                "run the command that planned them again, with the same --strategy or --config",
            )


def conclude(
    tally: Tally, rejects: RejectsFile, error: KmError | None, signal: int, worst: int = Exit.OK
) -> int:
    """Say what is left to do, the most urgent last, and return the exit code.

    `worst` is that of what was wrong with single files, and was told.
    """
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
    if worst:
        return worst
    if tally.calls.pending:
        return Exit.TEMPORARY
    return Exit.REJECTED if rejects.count else Exit.OK
