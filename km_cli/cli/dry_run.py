"""`km-cli dry-run`: what an import would send."""

from __future__ import annotations

from typing import Any

import click

from km_cli.cli import options


@click.command("dry-run", cls=options.Command)
@options.some_files
@options.columns
@options.times
@options.selection
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

    Without FILE it is what km-cli backfill would read: the files that km.toml names as [[backfill]].

    \b
    Examples:
      km-cli dry-run events.csv
      km-cli dry-run events.csv --account company --timezone Europe/Berlin
      km-cli dry-run events.csv --time-format '%d/%m/%Y %H:%M' --timezone UTC
      km-cli dry-run log.jsonl --flatten --show 10
      km-cli dry-run events.csv --json
    """
    from km_cli.cli.configured import taken

    if context.params["files"]:
        from km_cli.cli.importing import run_dry

        return run_dry(context)
    if not taken(context).config.backfill:
        raise click.MissingParameter(ctx=context, param=context.command.params[0])
    from km_cli.cli.backfilling import run_dry_backfill

    return run_dry_backfill(context)
