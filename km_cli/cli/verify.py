"""`km-cli verify`: does Kissmetrics hold the calls that were sent?

Its heavy halves are `run_verify.py`, by the Query API, and `run_verify_export.py`, by a data export.
"""

from __future__ import annotations

from typing import Any

import click

from km_cli.cli import options
from km_cli.cli.sections import Command, option, section

_snapshots = section(
    "Snapshots",
    option(
        "--snapshot",
        metavar="FILE",
        shell_complete=options.paths,
        help="Write what Kissmetrics shows now to FILE, a new file. Alone, it compares nothing.",
    ),
    option(
        "--since",
        metavar="FILE",
        shell_complete=options.paths,
        help="Compare what was gained since the snapshot in FILE, instead of whole totals.",
    ),
    option(
        "--until",
        metavar="FILE",
        shell_complete=options.paths,
        help="Compare up to the snapshot in FILE, instead of asking Kissmetrics now.",
    ),
)
_query = section(
    "Query API",
    option(
        "--api",
        metavar="URL",
        help="Base URL of the Query API. Default: https://query.kissmetrics.io/v3 for --to kissmetrics.",
    ),
    option(
        "--product",
        "products",
        metavar="SITE=PRODUCT",
        multiple=True,
        help="Id or name of the product of a site (repeatable). Default: sites.SITE.product in km.toml.",
    ),
    option(
        "--show-after",
        metavar="TIME",
        default="3h",
        show_default=True,
        help="How long Kissmetrics takes to show a call. Calls that are missing for less are no finding.",
    ),
)
_export = section(
    "Data export",
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
    option("-v", "--verbose", is_flag=True, help="List more: all events, calls and days."),
    option("-q", "--quiet", is_flag=True, help="Print problems only."),
    option("--json", "as_json", is_flag=True, help="Print one JSON object, with all events."),
)


_OF_API = ("snapshot", "since", "until", "api", "products")
_OF_EXPORT = ("site", "sources", "exported_at", "details")


@click.command("verify", cls=Command, short_help="Check that Kissmetrics holds the calls that were sent.")
@click.argument("exports", nargs=-1, metavar="[EXPORT]...", shell_complete=options.paths)
@_snapshots
@_query
@_export
@options.place
@options.config
@_output
@click.pass_context
def command(context: click.Context, /, **_flags: Any) -> int:
    """Check that Kissmetrics holds the calls that were sent.

    Without EXPORT it asks Kissmetrics' Query API for the events and properties of each site's product, and
    compares names and totals with the ledger. Other sources may hide a loss then, because their events count
    too. Take a snapshot before an import, and give it with --since afterwards: then only that import counts.
    Kissmetrics shows a call after one to three hours. KM_QUERY_USER holds an API key, or an e-mail address
    with its password in KM_QUERY_PASSWORD. km-cli keeps to the limit of 15 requests a minute.

    EXPORT is the folder of a data export, or its files; it may be an address in an object store
    (s3://bucket/export/). Each acknowledged call of the ledger is looked for in it.

    Nothing is sent, and nothing but --snapshot and --details is written. The exit code is 65 if something is
    missing, too many or under another person, 69 if Kissmetrics could not be asked or the export cannot be
    read, and 75 if calls may not be shown yet.

    \b
    Examples:
      km-cli verify
      km-cli verify --snapshot before.json
      km-cli verify --since before.json
      km-cli verify --since before.json --snapshot after.json --json
      km-cli verify --to http://127.0.0.1:8808 --api http://127.0.0.1:8808/v3
      km-cli verify export/
      km-cli verify export/ --source events.csv --details missing.jsonl
      km-cli verify export/revisions/*.json.gz --site main --json
      km-cli verify s3://bucket/export/
    """
    if context.params["exports"]:
        _check_alone(context, _OF_API, "it is for the Query API, which no EXPORT is compared with")
        from km_cli.cli.run_verify_export import run_verify_export

        return run_verify_export(context)
    _check_alone(context, _OF_EXPORT, "it is for a data export, and no EXPORT is given")
    from km_cli.cli.run_verify import run_verify

    return run_verify(context)


def _check_alone(context: click.Context, names: tuple[str, ...], why: str) -> None:
    """Raise UsageError if an option of the other way is given."""
    for param in context.command.params:
        if param.name in names and context.params[param.name]:
            from km_cli.errors import UsageError

            raise UsageError(
                f"{param.opts[0]} does not apply: {why}", "leave it out, or see km-cli verify --help"
            )
