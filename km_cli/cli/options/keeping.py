"""Options about the files of km-cli: km.toml, ledger and rejects; and about what it prints."""

from __future__ import annotations

import click

from km_cli.cli.options.words import help_of_place, paths
from km_cli.cli.sections import option, section


def _load_config(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    """Read km.toml before the other options are parsed, since it holds their defaults."""
    from km_cli.cli.context import load_km_toml

    load_km_toml(ctx, value)


config = section(
    "Configuration",
    option(
        "--config",
        metavar="PATH",
        shell_complete=paths,
        default=None,
        is_eager=True,
        expose_value=False,
        callback=_load_config,
        help="Path of km.toml. Default: the one in this folder, if there is one.",
    ),
)

_ledger = option(
    "--ledger",
    metavar="PATH",
    shell_complete=paths,
    help="The file that remembers every call that was sent. Default: in your state folder.",
)
place = section(
    "What to show",
    option("--to", default="kissmetrics", metavar="WHERE", show_default=True, make_help=help_of_place),
    _ledger,
)
ledger_alone = section("Ledger and rejects", _ledger)

_overlaps = (
    option(
        "--overlap",
        type=click.Choice(["ask", "repeats", "separate"]),
        default="ask",
        show_default=True,
        help="How to treat a row if another file has the same event at the same moment with other values: it "
        "repeats that event, it is a separate event, or reject the row so that you decide (ask).",
    ),
    option(
        "--as-new",
        is_flag=True,
        help="Send a log again although its times, event names or identities have changed since it was sent.",
    ),
)
ledger = section("Ledger and rejects", *_overlaps, _ledger)
overlaps = section("Receipts", *_overlaps)

rejects = section(
    "Ledger and rejects",
    option(
        "--rejects",
        metavar="PATH",
        shell_complete=paths,
        help="The file for rejected rows, where you can correct them: JSON lines, or a table if it ends with "
        ".csv. Default: JSON lines beside the ledger.",
    ),
)

output_file = section(
    "Output",
    option(
        "--output",
        metavar="PATH",
        shell_complete=paths,
        default="km.toml",
        show_default=True,
        help="The file to write; - is standard output.",
    ),
)

show = section(
    "Output",
    option(
        "--show",
        type=click.IntRange(0),
        default=3,
        show_default=True,
        metavar="N",
        help="Show the calls of the first N rows.",
    ),
)

as_json = section(
    "Output",
    option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print the summary as one JSON object, and nothing else on standard output.",
    ),
)

plan_out = section(
    "Output",
    option(
        "--out",
        metavar="PATH",
        shell_complete=paths,
        default=None,
        help="Write the import plan to this file, to be reviewed and given to import --plan; - is standard "
        "output. With --as: write the calls to this file, which only you can read.",
    ),
)
plan = section(
    "Selection",
    option(
        "--plan",
        metavar="PATH",
        shell_complete=paths,
        default=None,
        help="Send exactly the calls of this import plan, which dry-run --out wrote, or refuse. It asks "
        "nothing.",
    ),
)

asking = section(
    "Output",
    option("--yes", is_flag=True, help="Do not ask for confirmation before sending to Kissmetrics."),
)

_quiet = option("-q", "--quiet", is_flag=True, help="Print problems only.")
quiet = section("Output", _quiet)
output = section(
    "Output",
    option("-v", "--verbose", is_flag=True, help="Print the summary even without a terminal."),
    _quiet,
)
