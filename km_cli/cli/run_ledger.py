"""The heavy half of `ledger`: read the whole ledger, or copy it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from km_cli.cli.show_place import existing_ledger, place_of
from km_cli.cli.terminal.progress import size_text
from km_cli.cli.terminal.show import complain, counted, put, say
from km_cli.config.files import expanded
from km_cli.errors import Exit, UsageError
from km_cli.ledger.checking import Problem, back_up_ledger, check_ledger

_RESTORE = "restore a copy of it; with another ledger (--ledger PATH) all is sent again"


def run_check(context: click.Context) -> int:
    """Check the ledger, and print what is wrong; return 73 if anything is. Raises UsageError, LedgerError."""
    path = existing_ledger(place_of(context))
    problems, rows = check_ledger(path)
    if context.params["as_json"]:
        found = [problem._asdict() for problem in problems]
        put(json.dumps({"ledger": str(path), "rows": rows, "problems": found}))
    elif not problems:
        say(f"{path}: nothing is wrong. {counted(sum(rows.values()), 'record')} checked:")
        say("  " + ", ".join(f"{table} {number:,}" for table, number in rows.items()))
    if not problems:
        return Exit.OK
    for problem in problems:
        complain(f"the ledger {path}: {_described(problem)}")
    complain(f"the ledger {path} has {counted(len(problems), 'problem')}", _RESTORE)
    return Exit.LEDGER


def _described(problem: Problem) -> str:
    table = f"table {problem.table}" if problem.table else "the file"
    return f"{table}{f', {problem.place}' if problem.place else ''}: {problem.text}"


def run_backup(context: click.Context) -> int:
    """Copy the ledger. Raises UsageError if the copy's path is taken, LedgerError."""
    copy = expanded(context.params["copy"], "PATH")
    if copy.exists() or copy.is_symlink():
        raise UsageError(f"{copy} exists already", "give the path of a new file: nothing is overwritten")
    path = existing_ledger(place_of(context))
    back_up_ledger(path, copy)
    size = Path(copy).stat().st_size
    if context.params["as_json"]:
        put(json.dumps({"ledger": str(path), "copy": str(copy), "bytes": size}))
    else:
        say(f"copied {path} to {copy} ({size_text(size)})")
    return Exit.OK
