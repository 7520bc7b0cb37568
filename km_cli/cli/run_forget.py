"""The heavy half of `ledger forget`: forget one log, and the calls that only this log has."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Iterator
from typing import NamedTuple

import click

from km_cli.cli.context import environment_of
from km_cli.cli.forgetting import day_of, run_that_forgets
from km_cli.cli.show_place import Place, existing_ledger, opened_to_look, place_of
from km_cli.cli.terminal.consent import ask_for_consent
from km_cli.cli.terminal.show import counted, put, say
from km_cli.errors import Exit, Undelivered, UsageError, did_you_mean
from km_cli.kissmetrics import fold_name
from km_cli.ledger import Claimed, Ledger, Pruned
from km_cli.model import NO_EVENT
from km_cli.planning.digests import digest

FORGET = "ledger forget"
"""The command by which `status` and `show --run` tell the run."""

_EVENT_BYTES = 4
_MOST_LISTED = 10


class _Log(NamedTuple):
    """A log as the ledger names it, the numbers of its readings, and the calls that they claim."""

    source: str
    readings: frozenset[int]
    claimed: Claimed


def run_forget(context: click.Context) -> int:
    """Forget a log. Raises UsageError, Undelivered, LedgerError."""
    environment, place = environment_of(context), place_of(context)
    existing_ledger(place)
    with opened_to_look(place) as ledger:
        log = _found(ledger, context.params["source"])
        lines = list(_outlook(log, ledger))
    if not context.params["yes"]:
        ask_for_consent(environment, lines, "Forget this log?", "forget it")
    log, done = _forget(context, place)
    if context.params["as_json"]:
        put(json.dumps(_as_object(place, log, done)))
    elif not context.params["quiet"]:
        say(f"forgot {log.source}: {counted(done.calls, 'call')} that no other log has")
        if log.claimed.shared:
            say(f"it still knows {counted(log.claimed.shared, 'call')} that other logs have, too")
    return Exit.OK


def _found(ledger: Ledger, asked: str) -> _Log:
    """Return the log of this name, or whose path ends with it. Raises UsageError, Undelivered."""
    known: dict[str, set[int]] = {}
    for reading in ledger.readings.latest():
        if not reading.is_forgotten:
            known.setdefault(reading.source, set()).add(reading.number)
    source = _source(list(known), asked, ledger)
    numbers = frozenset(known[source])
    log = _Log(source, numbers, ledger.count_claimed(numbers))
    if log.claimed.pending:
        verb = "is" if log.claimed.pending == 1 else "are"
        raise Undelivered(
            f"{counted(log.claimed.pending, 'call')} of {source} {verb} pending; nothing was forgotten",
            "send them first: km-cli retry",
        )
    return log


def _source(known: Collection[str], asked: str, ledger: Ledger) -> str:
    """Return the one source that is meant. Raises UsageError if there is none, or more than one."""
    if asked in known:
        return asked
    ending = f"/{asked.removeprefix('./')}"
    found = [source for source in known if source.endswith(ending) or source == ending[1:]]
    if len(found) == 1:
        return found[0]
    if not found:
        names = {source.rpartition("/")[2]: source for source in known} | {one: one for one in known}
        raise UsageError(
            f"the ledger {ledger.path} knows no log {asked}",
            did_you_mean(asked, names, "`km-cli status -v` lists the logs", shlex.quote),
        )
    listed = ", ".join(sorted(found)[:_MOST_LISTED])
    more = f", and {len(found) - _MOST_LISTED:,} more" if len(found) > _MOST_LISTED else ""
    raise UsageError(
        f"the ledger {ledger.path} knows {len(found):,} logs that end with {asked}: {listed}{more}",
        "give the whole path of one of them",
    )


def _outlook(log: _Log, ledger: Ledger) -> Iterator[str]:
    """Yield the consequences, for the question."""
    alone, shared, _ = log.claimed
    calls = counted(alone, "call")
    yield f"{ledger.path} is going to forget {log.source}, and {calls} that no other log has."
    if shared:
        yield f"It still knows {counted(shared, 'call')} that other logs have, too."
    yield (
        f"Importing {log.source} again would send {calls} a second time. Kissmetrics counts a "
        "call once that is the same to the second (D1). Calls whose second is chosen anew are counted twice. "
        "Nothing can be taken back (D10)."
    )
    if ledger.horizon.is_set:
        yield f"Rows from before {day_of(ledger.horizon.second)} are skipped all the same: they were pruned."
    yield (
        "This is right after a trial with the key of another site, or if the site was deleted and begun anew."
    )
    yield "This cannot be undone. For a copy, answer n and run: km-cli ledger backup PATH"


def _forget(context: click.Context, place: Place) -> tuple[_Log, Pruned]:
    clock = environment_of(context).clock
    with run_that_forgets(place.ledger, FORGET, clock) as (ledger, forgotten):
        # A run may have written to it while the question was asked.
        log = _found(ledger, context.params["source"])
        ledger.forget(log.readings, _digest_event, forgotten.note)
        ledger.runs.end(Exit.OK)
    return log, forgotten.found


def _digest_event(name: str) -> bytes:
    """Return the digest that a slot has of an event, as `planning.fingerprints` makes it."""
    return digest(_EVENT_BYTES, fold_name(name)) if name else NO_EVENT


def _as_object(place: Place, log: _Log, done: Pruned) -> dict[str, object]:
    return {
        "ledger": str(place.ledger),
        "source": log.source,
        "readings": len(log.readings),
        "forgotten": done._asdict(),
        "still_known": log.claimed.shared,
    }
