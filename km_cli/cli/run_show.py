"""The heavy half of `show`: open ledger and store for reading, and print what they hold."""

from __future__ import annotations

import json
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from km_cli.cli.show_place import Place, opened_to_look, personas_of, place_of, print_lines
from km_cli.cli.show_runs import show_run
from km_cli.cli.terminal import overview as lines_of
from km_cli.cli.terminal.show import put
from km_cli.destinations.tracker import KISSMETRICS, NAME
from km_cli.errors import Exit, LedgerError, UsageError
from km_cli.ledger import Ledger
from km_cli.run import overview
from km_cli.standin import Looker


def run_show(context: click.Context) -> int:
    """Print the overview, a timeline or a run. Raises UsageError if there is none."""
    flags = context.params
    if len(flags["names"]) > 1 and not flags["run"]:
        raise UsageError("show has several IDs", "give one; only --run takes several, which are FILEs")
    place = place_of(context)
    with opened_to_look(place) as ledger:
        if flags["run"]:
            show_run(context, place, ledger)
        elif flags["names"]:
            _show_timeline(context, place, ledger)
        else:
            _show_overview(context, place, ledger)
    return Exit.OK


@contextmanager
def _store(place: Place) -> Iterator[Looker]:
    """Open the local store for reading. Raises UsageError if the file has none yet, LedgerError."""
    try:
        looker = Looker(Path(place.target.place))
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise LedgerError(
                f"the store {place.target.place} cannot be read: {error}", "run again"
            ) from None
        raise UsageError(
            f"the store {place.target.place} has received nothing yet",
            place.import_first,
        ) from None
    with looker:
        yield looker


def _show_overview(context: click.Context, place: Place, ledger: Ledger) -> None:
    tracker = place.target.tracker
    if place.is_store:
        persona_of = overview.personas_by(ledger, tracker, personas_of(context))
        with _store(place) as store:
            found = overview.overview_of_store(store, persona_of)
    else:
        found = overview.overview_of_ledger(ledger, tracker)
    pending = sum(ledger.outbox.count(tracker).values())
    planned = sum(ledger.sent.total(tracker).values())
    in_files = min(planned, sum(ledger.bulk_parts.calls_by_site().values())) if tracker == NAME else 0
    # The calls of all files and those that the tracker got are one number: they are all for Kissmetrics.
    where = place.target.place if place.target.bulk() is None else KISSMETRICS
    if context.params["as_json"]:
        found_in_files = {"in_files": in_files} if in_files else {}
        head = {"to": tracker, "place": where, "pending": pending, **found_in_files}
        put(json.dumps({**head, **_counts(found)}))
        return
    calls = lines_of.Calls(planned, pending, in_files)
    print_lines(context, lines_of.overview_lines(found, where, calls, is_store=place.is_store))


def _counts(found: overview.Overview) -> dict[str, Any]:
    """Return an overview as an object for --json."""
    first, last = found.span or (None, None)
    return {
        "first": None if first is None else lines_of.iso(first),
        "last": None if last is None else lines_of.iso(last),
        "people": [{"site": one.site, "persona": one.persona, **one.held._asdict()} for one in found.people],
        "events": [one._asdict() for one in found.events],
    }


def _show_timeline(context: click.Context, place: Place, ledger: Ledger) -> None:
    (identity,) = context.params["names"]
    if not place.is_store:
        raise UsageError(
            "km-cli keeps no names of people whose events went to Kissmetrics, so it cannot show a timeline",
            "look there, or in a local store: km-cli import FILE --to local, then km-cli show ID --to local",
        )
    persona_of = overview.personas_by(ledger, place.target.tracker, personas_of(context))
    with _store(place) as store:
        found = overview.timelines(store, identity, persona_of)
        if not found:
            raise _unknown(context, store, identity)
        if context.params["as_json"]:
            put(json.dumps({"people": [lines_of.timeline_object(one) for one in found]}))
            return
        print_lines(context, lines_of.timeline_lines(found))


def _unknown(context: click.Context, store: Looker, identity: str) -> UsageError:
    """Return the error for an identity that the store does not have; it proposes one that is near."""
    near = store.alike(identity)
    prefixed = (one.prefix + identity for one in personas_of(context) if one.prefix)
    near = near or next((text for text in prefixed if store.find(text)), "")
    hint = (
        "give the id as it was sent: that of the log, behind its prefix if km.toml gives it one; "
        "or its digest, if km.toml hashes it"
    )
    hint = f"did you mean {shlex.quote(near)}?" if near else hint
    return UsageError(f"the store has no person or account {identity!r}", hint)
