"""`km-cli verify`: does Kissmetrics hold the calls that were sent? Its heavy half is `run_verify.py`."""

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
_output = section(
    "Output",
    option("-v", "--verbose", is_flag=True, help="List all events, also those that are all there."),
    option("-q", "--quiet", is_flag=True, help="Print problems only."),
    option("--json", "as_json", is_flag=True, help="Print one JSON object, with all events."),
)


@click.command("verify", cls=Command, short_help="Check that Kissmetrics holds the calls that were sent.")
@_snapshots
@_query
@options.place
@options.config
@_output
@click.pass_context
def command(context: click.Context, /, **_flags: Any) -> int:
    """Check that Kissmetrics holds the calls that were sent, by name and total.

    It asks Kissmetrics' Query API for the events and properties of each site's product, and compares them
    with the ledger. Without a snapshot, it finds names that are absent and totals that are too low. Other
    sources may hide a loss then, because their events count too. Take a snapshot before an import, and give
    it with --since afterwards: then only that import counts. Kissmetrics shows a call after one to three
    hours.

    KM_QUERY_USER holds an API key, or an e-mail address with its password in KM_QUERY_PASSWORD. The API
    allows 15 requests a minute, and km-cli keeps to that. Nothing is sent, and nothing but the snapshot is
    written. The exit code is 65 if something is missing or too many, 69 if Kissmetrics could not be asked,
    and 75 if calls may not be shown yet.

    \b
    Examples:
      km-cli verify
      km-cli verify --snapshot before.json
      km-cli verify --since before.json
      km-cli verify --since before.json --snapshot after.json --json
      km-cli verify --to http://127.0.0.1:8808 --api http://127.0.0.1:8808/v3
    """
    from km_cli.cli.run_verify import run_verify

    return run_verify(context)
