"""`km-cli ledger`: check the ledger, and copy it. The heavy half is `run_ledger.py`."""

from __future__ import annotations

from typing import Any

import click

from km_cli.cli import options
from km_cli.cli.sections import Command, Group, option, section

_output = section(
    "Output", option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else.")
)


@click.group("ledger", cls=Group, short_help="Check the ledger, or copy it.")
def command() -> None:
    """Check the ledger, or copy it."""


@command.command("check", cls=Command)
@options.place
@options.config
@_output
@click.pass_context
def check(context: click.Context, /, **_flags: Any) -> int:
    """Read the whole ledger, and check everything that km-cli relies on.

    It decodes each value, and compares the tables with each other. Nothing is written, and a run may be at
    work meanwhile. The exit code is 73 if anything is wrong.

    \b
    Examples:
      km-cli ledger check
      km-cli ledger check --to local --json
    """
    from km_cli.cli.run_ledger import run_check

    return run_check(context)


@command.command("backup", cls=Command)
@click.argument("copy", metavar="PATH", shell_complete=options.paths)
@options.place
@options.config
@_output
@click.pass_context
def backup(context: click.Context, /, **_flags: Any) -> int:
    """Copy the ledger to PATH, a new file. A run may be at work meanwhile.

    Keep the copy for the case that the disk fails. A ledger that is restored does not know the calls that
    were sent after it was copied: km-cli would send them again. Kissmetrics counts those once, unless their
    second was chosen anew.

    \b
    Examples:
      km-cli ledger backup /backup/ledger-2026-11-29.db
    """
    from km_cli.cli.run_ledger import run_backup

    return run_backup(context)
