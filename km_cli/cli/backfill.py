"""`km-cli backfill`: the cron form of import."""

from __future__ import annotations

from typing import Any

import click

from km_cli.cli import options
from km_cli.errors import KmError

_sources = click.argument("names", nargs=-1, metavar="[NAME]...")
_unattended = options.section(
    "Running",
    options.option(
        "--wait",
        type=click.FloatRange(0),
        default=0.0,
        metavar="SECONDS",
        help="Wait so long for a run that holds the ledger. Default: end with 75.",
    ),
    options.option(
        "--max-time",
        type=click.FloatRange(0, min_open=True),
        metavar="SECONDS",
        help="End after so long, at a batch; the next run goes on there.",
    ),
)
_told = options.section(
    "Output",
    options.option(
        "--log",
        metavar="FILE",
        shell_complete=options.paths,
        help="Append what happened as JSON lines; logrotate may move it away.",
    ),
    options.option(
        "--ping", metavar="URL", default="", help="Tell a monitor: URL/start, then URL or URL/EXIT-CODE."
    ),
    options.option(
        "--metrics",
        metavar="FILE",
        shell_complete=options.paths,
        help="Write Prometheus metrics (FILE.prom) for node-exporter.",
    ),
)
_install = options.section(
    "Install",
    options.option(
        "--print",
        "form",
        type=click.Choice(["crontab", "systemd"]),
        help="Print what has it run every night, with the other options given, and do nothing else.",
    ),
)


class _Command(options.Command):
    """Tells of wrong usage, and of a km.toml that can't be read, whoever it is asked to tell."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except (KmError, click.UsageError) as error:
            if not ctx.resilient_parsing:
                from km_cli.cli.backfilling import tell_of_usage

                tell_of_usage(ctx, words, error)
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
@_told
@options.as_json
@options.asking
@options.output
@_install
@click.pass_context
def command(context: click.Context, /, **_flags: Any) -> int:
    """Send what is new since last time: the form for cron.

    What to read is said in km.toml, as [[backfill]]; NAME takes only the sources of that name. Files may
    grow, rotate, come late, overlap or be exported anew: each call is sent once. A last line that is still
    being written is held back until it is whole. Off a terminal it is silent when all is well.

    \b
    Examples:
      km-cli backfill
      km-cli backfill exports --since 2024-01-01
      km-cli backfill --log /var/log/km-cli.log --ping https://hc-ping.com/UUID
      km-cli backfill --print crontab
      km-cli backfill --print systemd --max-time 3600 --wait 60
    """
    from km_cli.cli.backfilling import run_backfill

    return run_backfill(context)
