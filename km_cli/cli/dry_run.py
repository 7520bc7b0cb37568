"""`km-cli dry-run`: what an import would send."""

from __future__ import annotations

from typing import Any

import click

from km_cli.cli import options


@click.command("dry-run", cls=options.Command)
@options.files
@options.columns
@options.times
@options.part
@options.delivery
@options.config
@options.ledger
@options.show
@options.as_json
@click.pass_context
def command(context: click.Context, /, **_flags: Any) -> int:
    """Show what import would send. Sends and writes nothing, needs no key.

    It takes the same way as an import, up to the ledger, under the ledger that import would use: what was
    sent before is known, and calls that Kissmetrics would merge are moved apart.

    \b
    Examples:
      km-cli dry-run events.csv
      km-cli dry-run events.csv --account company --timezone Europe/Berlin
      km-cli dry-run events.csv --time-format '%d/%m/%Y %H:%M' --timezone UTC
      km-cli dry-run log.jsonl --flatten --show 10
      km-cli dry-run events.csv --json
    """
    from km_cli.cli.running import run_dry

    return run_dry(context)
