"""What `dry-run` does and prints, of files and of a backfill's sources alike."""

from __future__ import annotations

import click

from km_cli.cli.configured import environment_of
from km_cli.cli.terminal import report
from km_cli.cli.terminal.observer import ImportObserver
from km_cli.config.settings import Settings
from km_cli.errors import Exit
from km_cli.run.rehearsal import Work, check_strictly, rehearse
from km_cli.run.stopping import Stop


def report_dry(context: click.Context, settings: Settings, work: Work) -> int:
    """Rehearse some work and report; the exit code is 65 if rows would be rejected."""
    flags, environment = context.params, environment_of(context)
    observer = ImportObserver(settings, environment, asks=False, quiet=flags["as_json"], keep=flags["show"])
    with observer:
        tally, observer.pending, forecast, seconds, ended = rehearse(
            settings, observer, work, Stop(), environment.clock
        )
    if flags["as_json"]:
        report.print_json(tally, seconds, forecast=forecast)
        report.print_losses(tally)
    elif ended is None or tally.rows.read:
        report.print_dry_run(settings, tally, observer, forecast)
    if ended is not None:
        raise ended
    if flags["strict"]:
        check_strictly(tally)
    return Exit.REJECTED if tally.rows.rejected else Exit.OK
