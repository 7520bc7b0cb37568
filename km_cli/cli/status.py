"""`km-cli status`: sent and pending calls, rejected rows, next step. Its heavy half is `run_status.py`."""

from __future__ import annotations

from typing import Any

import click

from km_cli.cli import options
from km_cli.cli.sections import Command, option, section

_output = section(
    "Output",
    option("-v", "--verbose", is_flag=True, help="List all logs, not only the latest ones."),
    option("--json", "as_json", is_flag=True, help="Print one JSON object, with all logs."),
)


@click.command(
    "status", cls=Command, short_help="Show sent and pending calls, rejected rows, and the next step."
)
@options.place
@options.config
@_output
@click.pass_context
def command(context: click.Context, /, **_flags: Any) -> int:
    """Show sent and pending calls, rejected rows, and the next step.

    It lists the sites with their calls, the latest logs and how far each is read, the latest runs and how
    they ended, and rejects files that are still there. Nothing is sent or written, and a run may be at work
    meanwhile.

    \b
    Examples:
      km-cli status
      km-cli status --to local
      km-cli status --json
    """
    from km_cli.cli.run_status import run_status

    return run_status(context)
