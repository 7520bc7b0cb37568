"""The heavy half of `ledger export`: write the receipts of the ledger's calls, one a line."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import click

from km_cli.cli.context import environment_of
from km_cli.cli.show_place import opened_to_look, place_of
from km_cli.cli.terminal.overview import iso
from km_cli.cli.terminal.progress import size_text
from km_cli.cli.terminal.show import counted, escaped, put, say
from km_cli.config.files import expanded
from km_cli.config.secret import read_secret
from km_cli.durable import sync
from km_cli.errors import Exit, UsageError
from km_cli.formulas import guarded
from km_cli.run.receipts import KnownReceipt, KnownReceipts

_STDOUT = "-"


def run_export(context: click.Context) -> int:
    """Write the receipts. Raises UsageError, LedgerError, OSError; then there is no file."""
    flags = context.params
    if flags["receipts"]:
        from km_cli.cli.run_receipts import run_receipts_export

        return run_receipts_export(context)
    out = None if flags["out"] == _STDOUT else expanded(flags["out"], "--out")
    if out is None and flags["as_json"]:
        raise UsageError("--json prints a summary, and the receipts go there as well", "add --out PATH")
    if out is not None and (out.exists() or out.is_symlink()):
        raise UsageError(f"{out} exists already", "give the path of a new file: nothing is overwritten")
    secret = read_secret(expanded(flags["secret_file"], "--secret-file")) if flags["secret_file"] else b""
    write = _write_csv if flags["form"] == "csv" else _write_jsonl
    columns = [name for name in _COLUMNS if secret or name != "person"]
    with opened_to_look(place_of(context)) as ledger:
        receipts = map(_as_object, KnownReceipts(ledger, secret))
        if out is None:
            write(environment_of(context).stdout, receipts, columns)
            return Exit.OK
        with _new_file(out) as file:
            calls = write(file, receipts, columns)
        _report(context, ledger.path, out, calls)
    return Exit.OK


def _report(context: click.Context, ledger: Path, out: Path, calls: int) -> None:
    size = out.stat().st_size
    if context.params["as_json"]:
        put(json.dumps({"ledger": str(ledger), "out": str(out), "calls": calls, "bytes": size}))
    elif not context.params["quiet"]:
        say(f"wrote {counted(calls, 'call')} to {out} ({size_text(size)})")


def _as_object(receipt: KnownReceipt) -> dict[str, Any]:
    """Return a receipt as an object; its keys are those of `_COLUMNS`."""
    return {
        "state": receipt.state,
        "to": receipt.to,
        "site": receipt.site,
        "persona": receipt.persona,
        "event": receipt.event,
        "time": iso(receipt.second),
        "moved_seconds": receipt.moved,
        "source": receipt.source,
        "line": receipt.line,
        "person": receipt.person,
    }


_COLUMNS = tuple(_as_object(KnownReceipt("", "", "", "", "", 0, 0, "", 0, "")))


def _write_jsonl(file: IO[str], receipts: Iterable[dict[str, Any]], columns: list[str]) -> int:
    calls = 0
    for receipt in receipts:
        file.write(json.dumps({name: receipt[name] for name in columns}) + "\n")
        calls += 1
    return calls


def _write_csv(file: IO[str], receipts: Iterable[dict[str, Any]], columns: list[str]) -> int:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    calls = 0
    for receipt in receipts:
        writer.writerow([_cell(receipt[name]) for name in columns])
        calls += 1
    return calls


def _cell(value: Any) -> Any:
    """Return a value as a cell: names come from logs, and neither spreadsheet nor terminal may obey them."""
    return guarded(escaped(value)) if isinstance(value, str) else value


@contextmanager
def _new_file(path: Path) -> Iterator[IO[str]]:
    """Open a file that only its owner can read. It gets its name once it is whole and on the disk."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        opened = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(opened, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)  # It fails if another program has made such a file meanwhile.
        part.unlink()
        sync(path.parent)
    except FileExistsError:
        raise UsageError(
            f"{path} exists already", "give the path of a new file: nothing is overwritten"
        ) from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
