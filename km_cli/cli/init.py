"""`km-cli init`: look at a file, write the km.toml that fits it."""

from __future__ import annotations

from typing import Any

import click

from km_cli.cli import options


@click.command("init", cls=options.Command)
@options.file
@options.written_to
@click.pass_context
def command(context: click.Context, /, **_flags: Any) -> int:
    """Look at a file and write the km.toml that fits it.

    It says what it took for what and why; what it can't know it asks, in comments of km.toml. Nothing is
    sent, and a km.toml that is there is never overwritten.

    \b
    Examples:
      km-cli init events.csv
      km-cli init log.jsonl.gz --output config/km.toml
      km-cli init export.csv --encoding cp1252 --output -
    """
    from km_cli.cli.initialising import run_init

    return run_init(context)
