"""`km-cli import`: send the events of logs. Its heavy half is `run_import.py`."""

from __future__ import annotations

from typing import Any

import click

from km_cli.cli import options
from km_cli.cli.sections import Command


@click.command("import", cls=Command)
@options.optional_files
@options.query
@options.source
@options.columns
@options.times
@options.selection
@options.plan
@options.delivery
@options.config
@options.ledger
@options.rejects
@options.as_json
@options.asking
@options.output
@click.pass_context
def command(context: click.Context, /, **_flags: Any) -> int:
    """Send the events of FILE that have not been sent yet.

    FILE is a CSV file with a header or a file of JSON lines, also compressed (.gz .bz2 .xz .zst); a Parquet
    file; a quoted pattern; an object as s3://bucket/key; or - for standard input. Columns with the usual
    names are recognised. Rows that cannot be sent go to the rejects file, with the reason: correct them
    there and import that file. You can run the same command again at any time: it continues where the last
    run stopped, and sends nothing twice. In place of FILE, --sql reads the rows of a database.

    \b
    Examples:
      km-cli import events.csv --to local
      KM_API_KEY=... km-cli import january.csv.gz february.csv.gz
      km-cli import log.jsonl --user user.id --account account.id --no-properties
      km-cli import log.jsonl --flatten --allow-id guest
      km-cli import export.csv --encoding cp1252 --delimiter semicolon
      km-cli import events.csv --site test --limit 10
      km-cli import 'logs/**/*.csv.zst' --since 2024-01-01 --only 'Signed Up'
      km-cli import events.csv --plan events.plan.toml
      km-cli import --sql 'SELECT * FROM events' --database app.db --order-by id --id id
    """
    if not context.params["files"] and not context.params["sql"]:
        from km_cli.cli.query_flags import check_has_source

        check_has_source(context)
    if context.params["plan"] is not None:
        from km_cli.cli.run_planned import run_planned_import

        return run_planned_import(context)
    from km_cli.cli.run_import import run_import

    return run_import(context)
