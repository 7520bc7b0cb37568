"""`km-cli init`: write the km.toml that fits a log. Its heavy half is `run_init.py`."""

from __future__ import annotations

from typing import Any

import click

from km_cli.cli import options
from km_cli.cli.sections import Command


@click.command("init", cls=Command)
@options.files
@options.output_file
@click.pass_context
def command(context: click.Context, /, **_flags: Any) -> int:
    """Look at a log and write the km.toml that fits it.

    FILE is a file or a quoted pattern; several are files of one log. Then km.toml has them as a source of
    km-cli backfill.

    init prints the column that it found for each role, and the reason. If the log does not show which column
    has a role, km.toml has a question as a comment. Nothing is sent, and an existing km.toml is never
    overwritten.

    \b
    Examples:
      km-cli init events.csv
      km-cli init log.jsonl.gz --output config/km.toml
      km-cli init 'logs/*.csv.gz'
      km-cli init export.csv --encoding cp1252 --output -
    """
    from km_cli.cli.run_init import run_init

    return run_init(context)
