"""`km-cli dry-run`: show what an import would send. Its heavy half is `run_dry_run.py`."""

from __future__ import annotations

from typing import Any

import click

from km_cli.cli import options
from km_cli.cli.sections import Command, option, section

_calls = section(
    "Output",
    option(
        "--as",
        "form",
        type=options.Words(options.forms),
        default=None,
        help="Write every call that import would send: as a table, as JSON lines, as JavaScript (_kmq), as a "
        "shell script for curl, or as the log of request paths that km_send replays (urls).",
    ),
    option(
        "--with-keys",
        is_flag=True,
        help="Write API keys into the file of --as urls, which does not work without them.",
    ),
)
_places = section(
    "Output",
    option("-v", "--verbose", is_flag=True, help="List all lines that have a finding, not only the first."),
)


@click.command("dry-run", cls=Command)
@options.optional_files
@options.query
@options.source
@options.columns
@options.times
@options.selection
@options.delivery
@options.config
@options.ledger
@options.show
@options.as_json
@_calls
@options.plan_out
@_places
@options.quiet
@click.pass_context
def command(context: click.Context, /, **_flags: Any) -> int:
    """Show what import would send. Sends nothing, needs no key, writes only --out.

    A dry run reads the ledger that import would use. So it leaves out calls that were sent before, and moves
    calls that Kissmetrics would merge to different seconds, exactly as import would.

    Without FILE, a dry run reads the files that km.toml names in [[backfill]], as km-cli backfill would.

    \b
    Examples:
      km-cli dry-run events.csv
      km-cli dry-run events.csv --account company --timezone Europe/Berlin
      km-cli dry-run events.csv --time-format '%d/%m/%Y %H:%M' --timezone UTC
      km-cli dry-run log.jsonl --flatten --show 10
      km-cli dry-run events.csv --json
      km-cli dry-run events.csv --as jsonl --out calls.jsonl
      km-cli dry-run events.csv --out events.plan.toml
    """
    from km_cli.cli.context import km_toml_of
    from km_cli.cli.query_flags import check_has_source, has_query

    is_named = context.params["files"] or has_query(context)
    if not km_toml_of(context).config.backfill:
        check_has_source(context)
    from km_cli.cli.run_dry_run import run_dry_backfill, run_dry_import

    return run_dry_import(context) if is_named else run_dry_backfill(context)
