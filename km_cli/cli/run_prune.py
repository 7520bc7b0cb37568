"""The heavy half of `ledger prune`: forget the calls that are older than a horizon."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

from km_cli.cli.context import environment_of
from km_cli.cli.forgetting import day_of, run_that_forgets
from km_cli.cli.show_place import Place, existing_ledger, opened_to_look, place_of
from km_cli.cli.terminal.consent import ask_for_consent
from km_cli.cli.terminal.overview import iso
from km_cli.cli.terminal.progress import size_text
from km_cli.cli.terminal.show import counted, mention, put, say
from km_cli.errors import Exit, Undelivered, UsageError
from km_cli.ledger import Ledger, Pruned
from km_cli.run.horizon import horizon_of

PRUNE = "ledger prune"
"""The command by which `status` and `show --run` tell the run."""


class _Sizes(NamedTuple):
    """The bytes of the ledger before and after."""

    before: int
    after: int


def run_prune(context: click.Context) -> int:
    """Forget the calls that are older than a horizon. Raises UsageError, Undelivered, LedgerError."""
    environment, place = environment_of(context), place_of(context)
    path = existing_ledger(place)
    second = horizon_of(context.params["older_than"], environment.clock.now())
    with opened_to_look(place) as ledger:
        calls, pending = ledger.count_older(second)
        _check(ledger, second, pending)
    if not context.params["yes"]:
        ask_for_consent(
            environment, list(_outlook(path, second, calls)), "Forget these calls?", "forget them"
        )
    before = path.stat().st_size
    found = _prune(context, place, second)
    sizes = _Sizes(before, path.stat().st_size)
    if context.params["as_json"]:
        put(json.dumps(_as_object(path, second, found, sizes)))
    elif not context.params["quiet"]:
        say(f"forgot {counted(found.calls, 'call')} before {day_of(second)} UTC")
        say(f"the ledger {path} had {size_text(sizes.before)}, and has {size_text(sizes.after)} now")
    return Exit.OK


def _check(ledger: Ledger, second: int, pending: int) -> None:
    """Raise UsageError for a horizon that moves back, Undelivered for pending calls before it."""
    if second < ledger.horizon.second:
        known = day_of(ledger.horizon.second)
        raise UsageError(
            f"--older-than {day_of(second)}: the horizon of the ledger {ledger.path} is {known} already, and "
            "only moves forward",
            f"name a day from {known} on",
        )
    if pending:
        verb = "is" if pending == 1 else "are"
        raise Undelivered(
            f"{counted(pending, 'call')} before {day_of(second)} {verb} pending; nothing was forgotten",
            "send them first: `km-cli status` names the command",
        )


def _outlook(path: Path, second: int, calls: int) -> Iterator[str]:
    """Yield what is going to happen, for the question."""
    day = day_of(second)
    yield f"{path} is going to forget {counted(calls, 'call')} from before {day}, 00:00 UTC."
    yield (
        "From then on km-cli cannot tell whether a row older than that was sent. It skips all such rows, "
        "also those that were never sent. With --as-new it sends them, perhaps a second time."
    )
    yield "This cannot be undone. For a copy, answer n and run: km-cli ledger backup PATH"


def _prune(context: click.Context, place: Place, second: int) -> Pruned:
    clock = environment_of(context).clock
    with run_that_forgets(place.ledger, PRUNE, clock) as (ledger, forgotten):
        # A run may have written to it while the question was asked.
        _check(ledger, second, ledger.count_older(second)[1])
        ledger.prune(second, clock.now(), forgotten.note)
        ledger.runs.end(Exit.OK)
        try:
            ledger.give_back()
        except sqlite3.Error as error:
            mention(
                f"the ledger {place.ledger} keeps the room of what it forgot: {error}",
                "make room for a copy of it, let no other command use it, and run the same command again",
            )
    return forgotten.found


def _as_object(path: Path, second: int, found: Pruned, sizes: _Sizes) -> dict[str, object]:
    return {
        "ledger": str(path),
        "horizon": iso(second),
        "forgotten": found._asdict(),
        "bytes_before": sizes.before,
        "bytes_after": sizes.after,
    }
