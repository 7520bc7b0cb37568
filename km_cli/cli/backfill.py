"""`km-cli backfill`: the import for cron. Its heavy half is `run_backfill.py`."""

from __future__ import annotations

from typing import Any

import click

from km_cli.cli import options
from km_cli.cli.sections import Command, option, section
from km_cli.errors import KmError

_sources = click.argument("names", nargs=-1, metavar="[NAME]...")
_unattended = section(
    "Running",
    option(
        "--wait",
        type=click.FloatRange(0),
        default=0.0,
        metavar="SECONDS",
        help="Wait up to this long while another run uses the ledger. Default: exit 75 at once.",
    ),
    option(
        "--max-time",
        type=click.FloatRange(0, min_open=True),
        metavar="SECONDS",
        help="Stop after this long, between two batches. The next run continues there.",
    ),
)
_monitoring = section(
    "Output",
    option(
        "--log",
        metavar="FILE",
        shell_complete=options.paths,
        help="Append a JSON line for each step of the run. logrotate may move FILE away.",
    ),
    option(
        "--ping",
        metavar="URL",
        default="",
        help="Ping a monitor: URL/start at the start; at the end URL, or URL/EXIT-CODE if it is not 0.",
    ),
    option(
        "--metrics",
        metavar="FILE",
        shell_complete=options.paths,
        help="Write Prometheus metrics for node-exporter; the name ends in .prom.",
    ),
)
_schedule = section(
    "Schedule",
    option(
        "--print",
        "form",
        type=click.Choice(["crontab", "systemd"]),
        help="Print the crontab or systemd units that run this command every night. Nothing is sent.",
    ),
)


class _Command(Command):
    """Reports wrong usage, and an unreadable km.toml, to the journal, the monitor and the metrics as well.

    Under cron, standard error may go unread. A run that could not start must not look like a run that had
    nothing to do.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except (KmError, click.UsageError) as error:
            if not ctx.resilient_parsing:
                from km_cli.cli.run_backfill import report_usage_error

                report_usage_error(ctx, words, error)
            raise


@click.command("backfill", cls=_Command)
@_sources
@options.format_options
@options.columns
@options.times
@options.selection
@options.delivery
@options.config
@options.ledger
@options.rejects
@_unattended
@_monitoring
@options.as_json
@options.asking
@options.output
@_schedule
@click.pass_context
def command(context: click.Context, /, **_flags: Any) -> int:
    """Send what is new since the last run. Made for cron.

    km.toml lists the files to read, as [[backfill]]; NAME selects sources by their name. Files may grow,
    rotate, arrive late, overlap or be exported again: each call is sent once. A last line that is still being
    written waits for the next run. Without a terminal, backfill prints problems only.

    \b
    Examples:
      km-cli backfill
      km-cli backfill exports --since 2024-01-01
      km-cli backfill --log /var/log/km-cli.log --ping https://hc-ping.com/UUID
      km-cli backfill --print crontab
      km-cli backfill --print systemd --max-time 3600 --wait 60
    """
    from km_cli.cli.run_backfill import run_backfill

    return run_backfill(context)
