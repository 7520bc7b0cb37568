"""The heavy half of `verify` with an export: compare the ledger with it, and print what is missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from km_cli.cli.context import environment_of
from km_cli.cli.show_place import opened_to_look, place_of, print_lines
from km_cli.cli.show_runs import logs_again
from km_cli.cli.terminal.show import complain, put
from km_cli.cli.terminal.verify import files_note
from km_cli.cli.terminal.verify_export import (
    detail_object,
    export_lines,
    export_object,
    export_problems,
)
from km_cli.config.files import expanded
from km_cli.destinations.tracker import NAME
from km_cli.errors import Exit, UsageError
from km_cli.inputs import expand
from km_cli.ledger import Ledger
from km_cli.mapping.selection import make_bound
from km_cli.model import NANOSECONDS
from km_cli.verify.export import Detail, ExportRequest, verify_export


def run_verify_export(context: click.Context) -> int:
    """Compare, and print the result. The exit code is 65 if a call is absent or under another person.

    Raises UsageError, ExportError (69), LedgerError, Exhausted.
    """
    flags = context.params
    place = place_of(context)
    try:
        with opened_to_look(place) as ledger, _details(flags["details"]) as take:
            request = ExportRequest(
                place.target.tracker,
                flags["site"],
                tuple(flags["exports"]),
                _made(flags["exported_at"]),
                place.target.asks_first,
                _identities(context, ledger),
            )
            found = verify_export(request, ledger, environment_of(context).clock.now(), take)
            in_files = ledger.bulk_parts.calls_by_site() if place.target.tracker == NAME else {}
    except KeyboardInterrupt:
        complain("interrupted: the comparison is not complete", "run the same command again")
        return Exit.INTERRUPTED
    code = Exit.OK if found.is_complete else Exit.REJECTED
    if flags["as_json"]:
        top = {"ledger": str(found.ledger), "to": found.tracker, "exit": int(code)}
        put(json.dumps({**top, "export": export_object(found)}))
    elif not flags["quiet"]:
        print_lines(context, export_lines(found, is_long=flags["verbose"], details=flags["details"]))
    for message, hint in export_problems(found) if code and flags["quiet"] else ():
        complain(message, hint)
    for message, hint in files_note(in_files) if found.absent else ():
        complain(message, hint)
    return code


def _made(text: str) -> float | None:
    """Return the time of --exported-at in seconds since 1970, None if it is not given. Raises UsageError."""
    moment = make_bound("--exported-at", text, "").moment
    return None if moment is None else moment / NANOSECONDS


def _identities(context: click.Context, ledger: Ledger) -> Iterator[str]:
    """Yield the identities in the logs of --source. Raises UsageError, InputError."""
    if not context.params["sources"]:
        return
    logs = logs_again(context, ledger)
    for name in expand(context.params["sources"]):
        yield from logs.identities_of(name)


@contextmanager
def _details(name: str) -> Iterator[Callable[[Detail], None] | None]:
    """Give a function that writes details to a new file, None if there is none. Raises UsageError."""
    if not name:
        yield None
        return
    path = expanded(name, "--details")
    try:
        file = Path(path).open("x", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed below
    except FileExistsError:
        raise UsageError(
            f"--details {path}: the file exists already", "give the path of a new file"
        ) from None
    except OSError as error:
        raise UsageError(f"--details {path}: {error.strerror}", "give another path") from None
    try:
        with file:
            yield lambda detail: print(json.dumps(detail_object(detail), ensure_ascii=False), file=file)
    except BaseException:
        path.unlink(missing_ok=True)  # The same command is to work once the problem is solved.
        raise
