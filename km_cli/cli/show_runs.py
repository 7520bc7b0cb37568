"""`km-cli show --run`: the calls of one run, and with its logs given again who did what when."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from km_cli.cli.context import environment_of, km_toml_of
from km_cli.cli.show_place import Place, personas_of, print_lines
from km_cli.cli.terminal import overview as lines_of
from km_cli.cli.terminal.show import counted, mention, put
from km_cli.config.hashing import make_hasher
from km_cli.errors import UsageError
from km_cli.inputs import expand
from km_cli.ledger import NO_RUN, Ledger, RunRecord, Sent
from km_cli.run.logs_again import LogsAgain
from km_cli.run.sent_calls import SentCall, SentCalls, listed

if TYPE_CHECKING:
    from km_cli.mapping import Members

_MOST_RUNS_NAMED = 5


def show_run(context: click.Context, place: Place, ledger: Ledger) -> None:
    """Print what a run has sent: counts, or with FILE each call. Raises UsageError, InputError."""
    run = _run(context.params["run"], ledger)
    sent = {tracker: ledger.sent.total(tracker, run.number) for tracker in ledger.sent.trackers(run.number)}
    if context.params["names"]:
        _show_calls(context, place, ledger, run)
    elif context.params["as_json"]:
        put(json.dumps({"run": lines_of.run_object(run), "sent": list(_sent(sent))}))
    else:
        print_lines(context, lines_of.run_lines(run, sent, str(place.ledger)))
        if not sent:
            _mention_last(run, ledger, place.target.tracker)


def _run(asked: str, ledger: Ledger) -> RunRecord:
    """Return the run that --run names. Raises UsageError if the ledger does not have it."""
    latest = ledger.runs.latest(_MOST_RUNS_NAMED)
    number = asked.strip()
    if number.upper() == "LAST" and latest:
        return latest[0]
    is_number = number.isascii() and number.isdigit() and len(number) < 16
    if is_number and (run := ledger.runs.by_number(int(number))):
        return run
    if not latest:
        raise UsageError("no run is noted in the ledger yet", "runs are noted from the next import on")
    named = ", ".join(f"{run.number} ({run.command}, {lines_of.iso(run.began)})" for run in latest)
    raise UsageError(f"--run {asked!r}: there is no such run", f"give LAST or a number; the latest: {named}")


def _mention_last(run: RunRecord, ledger: Ledger, tracker: str) -> None:
    """Say that the run has sent no calls, and name the last one that has, if there is one."""
    numbers = {one for runs in ledger.sent.runs_by_kind(tracker).values() for one in runs} - {NO_RUN}
    if numbers:
        mention(
            f"run {run.number} has sent no calls to {tracker}",
            f"--run {max(numbers)} is the last run that has sent some",
        )


def _sent(sent: dict[str, dict[Sent, int]]) -> Iterator[dict[str, Any]]:
    for tracker, by_kind in sent.items():
        for kind, calls in by_kind.items():
            day = lines_of.day_text(kind)
            yield {"to": tracker, **kind._asdict(), "day": day or None, "calls": calls}


def _show_calls(context: click.Context, place: Place, ledger: Ledger, run: RunRecord) -> None:
    """Print each call of the run that the logs show; say how many calls they do not show."""
    tracker = place.target.tracker
    found = SentCalls(ledger, tracker, run.number, logs_again(context, ledger))
    shown = 0

    def calls() -> Iterator[SentCall]:
        nonlocal shown
        for name in expand(context.params["names"]):
            for call in found.of_file(name):
                shown += 1
                yield call

    if context.params["as_json"]:
        for call in calls():
            put(json.dumps(lines_of.call_object(call)))
    else:
        print_lines(context, map(lines_of.call_line, calls()))
    sent = ledger.sent.total(tracker, run.number)
    in_all, events = sum(sent.values()), listed(sent)
    if not in_all:
        _mention_last(run, ledger, tracker)
    if shown != in_all:
        mention(
            f"run {run.number} has sent {counted(in_all, 'call')}, "
            f"{events:,} with an event; the list has {shown:,}",
            "give all logs of that run. Calls without an event are not listed; those that another run may "
            "have sent name both runs",
        )


def logs_again(context: click.Context, ledger: Ledger) -> LogsAgain:
    """Return what reads logs again as they were sent, with the members and the key of km.toml."""
    now, km_toml = environment_of(context).clock.now(), km_toml_of(context)
    hasher = make_hasher(km_toml.config.columns, km_toml.folder)
    return LogsAgain(ledger, _members(context, now), now, hasher)


def _members(context: click.Context, now: float) -> Members | None:
    """Return the members' file of km.toml, which completed the rows when they were sent."""
    km_toml = km_toml_of(context)
    if not km_toml.config.members:
        return None
    from km_cli.config.membership import read_members
    from km_cli.mapping import TimeOptions

    return read_members(km_toml.config.members, km_toml.folder, personas_of(context), TimeOptions(), now)
