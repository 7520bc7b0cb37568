"""`km-cli import`: send what has not been sent."""

from __future__ import annotations

from typing import Any

import click

from km_cli.cli import options


@click.command("import", cls=options.Command)
@options.files
@options.columns
@options.times
@options.selection
@options.delivery
@options.config
@options.ledger
@options.rejects
@options.as_json
@options.asking
@options.output
@click.pass_context
def command(context: click.Context, /, **_flags: Any) -> int:
    """Send what has not been sent.

    FILE is a CSV file with a header or JSON lines, also packed (.gz .bz2 .xz .zst), a quoted pattern, or -
    for standard input. Columns with usual names are recognised. Rows that can't be sent go to the rejects
    file, with the reason; correct them there and import that file. Running the same command again sends
    nothing twice and goes on where an earlier run stopped.

    \b
    Examples:
      km-cli import events.csv --to local
      KM_API_KEY=... km-cli import january.csv.gz february.csv.gz
      km-cli import log.jsonl --user user.id --account account.id --no-properties
      km-cli import log.jsonl --flatten --allow-id guest
      km-cli import export.csv --encoding cp1252 --delimiter semicolon
      km-cli import events.csv --site test --limit 10
      km-cli import 'logs/**/*.csv.zst' --since 2024-01-01 --only 'Signed Up'
    """
    from km_cli.cli.importing import run_import

    return run_import(context)
