"""`km-cli show`: what was sent, and what the local store keeps. Its heavy half is `run_show.py`."""

from __future__ import annotations

from typing import Any

import click

from km_cli.cli import options
from km_cli.cli.sections import Command, option, section

_run = section(
    "What to show",
    option(
        "--run",
        metavar="LAST|N",
        default="",
        help="Show the calls of one run by site, persona, event and day: of the last run, or of number N.",
    ),
)
_output = section(
    "Output",
    option("--json", "as_json", is_flag=True, help="Print one JSON object; with FILE, one on each line."),
)


@click.command("show", cls=Command, short_help="Show what was sent, or one person's timeline.")
@click.argument("names", nargs=-1, metavar="[ID | FILE...]", shell_complete=options.paths)
@options.place
@_run
@options.config
@_output
@click.pass_context
def command(context: click.Context, /, **_flags: Any) -> int:
    """Show what was sent: people and accounts, events, or one person's timeline.

    Without ID, show how many people of each persona there are, and how often they did each event. With ID,
    show what that person or account did and when, with properties and aliases: only a local store (--to
    local) knows that. With --run and the FILEs of that run, list who did what when in its calls. Nothing is
    sent or written. Output that is longer than the window goes through your pager.

    \b
    Examples:
      km-cli show --to local
      km-cli show ada@example.com --to local
      km-cli show
      km-cli show --run LAST
      km-cli show --run 12 events.csv --json
    """
    from km_cli.cli.run_show import run_show

    return run_show(context)
