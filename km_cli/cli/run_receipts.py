"""The heavy halves of `ledger export --receipts` and `ledger import`: a ledger and Spark's receipts."""

from __future__ import annotations

import json
from importlib.util import find_spec

import click

from km_cli.cli.context import environment_of
from km_cli.cli.show_place import Place, opened_to_look, place_of
from km_cli.cli.terminal.progress import size_text
from km_cli.cli.terminal.show import counted, put, say
from km_cli.config.files import expanded
from km_cli.config.secret import read_secret
from km_cli.errors import Exit, UsageError
from km_cli.install_hint import install_command
from km_cli.spark.from_ledger import export_receipts
from km_cli.spark.to_ledger import import_receipts

_MAKE = "name the file of the secret: --secret-file PATH; if there is none, km-cli says how to make it"


def run_receipts_export(context: click.Context) -> int:
    """Begin a receipts folder from the ledger. Raises UsageError, Undelivered, LedgerError, WriteError."""
    flags, place = context.params, _place(context)
    if flags["out"] != "-" or flags["form"] != "jsonl":
        raise UsageError("--receipts writes a folder of tables", "leave --out and --as out")
    if not flags["secret_file"]:
        raise UsageError("--receipts needs a secret: bare digests could be guessed", _MAKE)
    secret = read_secret(expanded(flags["secret_file"], "--secret-file"))
    with opened_to_look(place) as ledger:
        exported = export_receipts(ledger, place.target.tracker, flags["receipts"], secret)
        path = ledger.path
    if flags["as_json"]:
        found = {"ledger": str(path), "out": flags["receipts"], **exported._asdict()}
        put(json.dumps(found))
    elif not flags["quiet"]:
        say(f"wrote {counted(exported.calls, 'call')} to {flags['receipts']} ({size_text(exported.bytes)})")
    return Exit.OK


def run_receipts_import(context: click.Context) -> int:
    """Make a ledger from receipts. Raises UsageError, Undelivered, LedgerError, WriteError."""
    flags, place = context.params, _place(context)
    secret = read_secret(expanded(flags["secret_file"], "--secret-file"))
    clock = environment_of(context).clock
    made = import_receipts(flags["receipts"], place.ledger, place.target.tracker, secret, clock)
    if flags["as_json"]:
        put(json.dumps({"receipts": flags["receipts"], "ledger": str(place.ledger), **made._asdict()}))
    elif not flags["quiet"]:
        say(f"{place.ledger} knows {counted(made.calls, 'call')} of {counted(made.logs, 'log')}")
    return Exit.OK


def _place(context: click.Context) -> Place:
    """Return destination and ledger. Raises UsageError if Spark cannot send there, or pyarrow is missing."""
    place = place_of(context)
    if place.is_store:
        raise UsageError(
            "Spark does not send to a store on this machine, so that it has no receipts",
            "name the destination of the receipts: --to",
        )
    if find_spec("pyarrow") is None:
        raise UsageError(
            "receipts are Parquet files, and pyarrow is not installed", f"run: {install_command('spark')}"
        )
    return place
