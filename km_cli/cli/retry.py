"""`km-cli retry`: send the pending calls. Its heavy half is `run_retry.py`."""

from __future__ import annotations

from typing import Any

import click

from km_cli.cli import options
from km_cli.cli.sections import Command


@click.command("retry", cls=Command, short_help="Send the pending calls, without reading any log.")
@options.resending
@options.config
@options.ledger_alone
@options.rejects
@options.as_json
@options.output
@click.pass_context
def command(context: click.Context, /, **_flags: Any) -> int:
    """Send the calls that earlier runs left pending, without reading any log.

    An import or a backfill sends them too, before its own. `retry` is for when the log is elsewhere, or
    should not be read further. It sends to all sites of this destination that have pending calls and whose
    key is there. Of bulk files (--to file: and s3:) it finishes those that a
    run left, and uploads those that wait.

    \b
    Examples:
      km-cli retry
      km-cli retry --site test
      km-cli retry --to http://127.0.0.1:8808
      km-cli retry --to s3://bucket/history.json
    """
    from km_cli.cli.run_retry import run_retry

    return run_retry(context)
