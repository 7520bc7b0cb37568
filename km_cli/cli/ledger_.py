"""`km-cli ledger`: check the ledger, copy it, keep it small. Heavy halves are `run_*.py`."""

from __future__ import annotations

from typing import Any

import click

from km_cli.cli import options
from km_cli.cli.sections import Command, Group, option, section

_output = section(
    "Output", option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else.")
)


_destroying = section(
    "Output",
    option("--yes", is_flag=True, help="Do not ask for confirmation."),
    option("-q", "--quiet", is_flag=True, help="Print problems only."),
)


@click.group("ledger", cls=Group, short_help="Check the ledger, copy it, or keep it small.")
def command() -> None:
    """Check the ledger, copy it, or keep it small."""


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


@command.command("prune", cls=Command, short_help="Forget the calls that are older than a horizon.")
@section(
    "What to forget",
    option(
        "--older-than",
        metavar="AGE",
        required=True,
        help="The horizon: an age such as 400d, 60w, 13mo or 2y, or a date. Its day begins at 00:00 UTC.",
    ),
)
@options.place
@options.config
@_destroying
@_output
@click.pass_context
def prune(context: click.Context, /, **_flags: Any) -> int:
    """Forget the calls that are older than a horizon, to keep the ledger small.

    From then on km-cli cannot tell whether a row older than the horizon was sent. So it skips all such rows
    and counts them as pruned. With --as-new an import sends them, a second time if they were sent before.
    So choose a horizon that is older than your logs reach back. It may only move forward.

    Calls that are pending must be sent first. This cannot be undone, and takes half a minute for a million
    calls: it asks first, or needs --yes. `km-cli ledger backup` makes a copy. What is kept: how far each log
    was read, the names, people and counts, and the latest value of each property.

    \b
    Examples:
      km-cli ledger prune --older-than 13mo
      km-cli ledger prune --older-than 2024-12-31 --yes
    """
    from km_cli.cli.run_prune import run_prune

    return run_prune(context)


@command.command("forget", cls=Command)
@click.argument("source", metavar="SOURCE")
@options.place
@options.config
@_destroying
@_output
@click.pass_context
def forget(context: click.Context, /, **_flags: Any) -> int:
    """Forget one log, so that an import sends it again.

    SOURCE is a log as `km-cli status` names it, or the end of its path. Calls that only this log has are
    forgotten. Calls that another log has, too, stay known, and so do aliases, which cannot be undone.

    An import of the log then sends the forgotten calls a second time. Kissmetrics counts a call once that is
    the same to the second. Calls whose second is chosen anew are counted twice. Nothing can be taken back.
    So this is for a trial with the key of another site, or for a site that was deleted and begun anew.

    Calls of the log that are pending must be sent first. This cannot be undone: it asks first, or needs
    --yes. `km-cli ledger backup` makes a copy.

    \b
    Examples:
      km-cli ledger forget logs/2026-11.csv
      km-cli ledger forget 2026-11.csv --to local --yes
    """
    from km_cli.cli.run_forget import run_forget

    return run_forget(context)


@command.command("export", cls=Command)
@section(
    "What to write",
    option(
        "--as",
        "form",
        type=click.Choice(["jsonl", "csv"]),
        default="jsonl",
        show_default=True,
        help="JSON lines, or a table.",
    ),
    option(
        "--out",
        metavar="PATH",
        default="-",
        show_default=True,
        shell_complete=options.paths,
        help="A new file, which only its owner can read; - is standard output.",
    ),
    option(
        "--secret-file",
        metavar="PATH",
        shell_complete=options.paths,
        help="Add the person of each call, as HMAC-SHA256 under the content of this file: 32 bytes or more, "
        "which only its owner can read.",
    ),
    option(
        "--receipts",
        metavar="PATH",
        shell_complete=options.paths,
        help="Begin a receipts folder for `km-cli spark import` instead, with digests under --secret-file.",
    ),
)
@options.place
@options.config
@options.quiet
@_output
@click.pass_context
def export(context: click.Context, /, **_flags: Any) -> int:
    """Write a receipt for each call that the ledger knows, one a line.

    A receipt has the state of the call (acknowledged or pending), its destination, site, persona, event and
    time, by how many seconds it was moved, and the log and line of its row. The ledger has no identities and
    no values of properties. Without --secret-file there is nothing about the person: a plain digest could be
    guessed from a list of e-mail addresses. With it the calls of one person have the same digest. Aliases,
    refused calls and pruned calls are not in it. Nothing is changed, and a run may be at work meanwhile.

    With --receipts it begins a receipts folder of `km-cli spark import`, so that Spark sends nothing again
    that this ledger knows. The folder has keyed digests in place of people and values. It is a new folder of
    this machine; copy it to the place where Spark finds it. Calls that are pending must be sent first.

    \b
    Examples:
      km-cli ledger export --out receipts.jsonl
      km-cli ledger export --as csv --secret-file ~/.km-cli-secret > receipts.csv
      km-cli ledger export --receipts receipts/ --secret-file ~/.km-cli-secret
    """
    from km_cli.cli.run_export import run_export

    return run_export(context)


@command.command("import", cls=Command, short_help="Make a new ledger from the receipts of Spark.")
@section(
    "What to read",
    option(
        "--receipts",
        metavar="PATH",
        required=True,
        shell_complete=options.paths,
        help="A receipts folder of `km-cli spark import`, on this machine.",
    ),
    option(
        "--secret-file",
        metavar="PATH",
        required=True,
        shell_complete=options.paths,
        help="The file with the secret under which its digests were made.",
    ),
)
@options.place
@options.config
@options.quiet
@_output
@click.pass_context
def import_(context: click.Context, /, **_flags: Any) -> int:
    """Make a new ledger from the receipts of Spark, to go on with one machine.

    An import with this ledger sends nothing again that Spark has sent. The ledger keeps the secret, because
    the digests in it are keyed. Give it a path of its own: --ledger PATH. Jobs with pending calls must be run
    again first.

    \b
    Examples:
      km-cli ledger import --receipts receipts/ --secret-file ~/.km-cli-secret --ledger new.db
    """
    from km_cli.cli.run_receipts import run_receipts_import

    return run_receipts_import(context)
