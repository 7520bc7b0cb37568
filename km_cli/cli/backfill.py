"""`km-cli backfill`: the cron form of import."""

from __future__ import annotations

from typing import Any

import click

from km_cli.cli import options


@click.command("backfill", cls=options.Command)
@options.sources
@options.shape
@options.columns
@options.times
@options.part
@options.delivery
@options.config
@options.ledger
@options.rejects
@options.unattended
@options.told
@options.as_json
@options.output
@options.install
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
    from km_cli.cli.unattended import run_backfill

    return run_backfill(context)
