"""`km-cli verify`: does Kissmetrics hold what was sent? The heavy half is `run_verify_export.py`."""

from __future__ import annotations

from typing import Any

import click

from km_cli.cli import options
from km_cli.cli.sections import Command, option, section

_export = section(
    "Export",
    option("--site", metavar="NAME", default="", help="The site of the export. Default: the only one."),
    option(
        "--source",
        "sources",
        metavar="FILE",
        multiple=True,
        shell_complete=options.paths,
        help="A log that was imported: it names people that the export does not have (repeatable).",
    ),
    option(
        "--exported-at",
        metavar="TIME",
        default="",
        help="When the export was made, in UTC. Default: when the newest of its files was written.",
    ),
    option(
        "--details",
        metavar="PATH",
        default="",
        shell_complete=options.paths,
        help="Write every call and record that is not as it should be to this new file, as JSON lines.",
    ),
)
_output = section(
    "Output",
    option("-v", "--verbose", is_flag=True, help="List more calls, and all days and events."),
    option("-q", "--quiet", is_flag=True, help="Print nothing if no call is missing."),
    option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else."),
)


@click.command("verify", cls=Command, short_help="Check that Kissmetrics holds what was sent.")
@click.argument("exports", nargs=-1, required=True, metavar="EXPORT...", shell_complete=options.paths)
@options.place
@_export
@options.config
@_output
@click.pass_context
def command(context: click.Context, /, **_flags: Any) -> int:
    """Check that Kissmetrics holds what was sent, by a data export of it.

    EXPORT is the folder of the export, or its files. Each acknowledged call of the ledger is looked for in
    it. The exit code is 65 if a call is missing, or stands under another person. Nothing is sent or written.

    \b
    Examples:
      km-cli verify export/
      km-cli verify export/ --source events.csv --details missing.jsonl
      km-cli verify export/revisions/*.json.gz --site main --json
    """
    from km_cli.cli.run_verify_export import run_verify_export

    return run_verify_export(context)
