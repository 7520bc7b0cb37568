"""Lines of `km-cli show`: an overview, timelines, and what one run has sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, NamedTuple

from km_cli.cli.terminal.show import counted, short
from km_cli.ledger import RunRecord, Sent
from km_cli.run.overview import Overview, Timeline
from km_cli.run.sent_calls import SentCall


class Calls(NamedTuple):
    """The calls to a destination that the ledger counts, and those that are pending or in bulk files."""

    planned: int
    pending: int
    in_files: int = 0


_DAY = 86_400
_LONGEST_NAME = 60
_LONGEST_VALUE = 300
_NO_EVENT = "(properties or an alias)"
"""Stands for the event of calls that record none."""


def iso(second: float) -> str:
    """Return a moment in seconds since 1970 as ISO 8601 in UTC."""
    return f"{datetime.fromtimestamp(int(second), UTC):%Y-%m-%dT%H:%M:%SZ}"


def time_text(second: float) -> str:
    """Return a moment in seconds since 1970 for people, in UTC."""
    return f"{datetime.fromtimestamp(int(second), UTC):%Y-%m-%d %H:%M:%S}"


def overview_lines(found: Overview, place: str, calls: Calls, *, is_store: bool) -> Iterator[str]:
    """Yield the lines of an overview; `place` is the store's path or the destination's URL."""
    yield f"in the store {place}" if is_store else _heading(place, calls)
    if found.span:
        first, last = found.span
        yield f"events from {time_text(first)} to {time_text(last)} UTC"
    if calls.pending:
        yield _pending_line(calls, is_store=is_store)
    if calls.in_files:
        of = f" of {counted(calls.planned, 'call')}" if calls.in_files < calls.planned else ""
        number = f"{calls.in_files:,}{of}" if of else counted(calls.in_files, "call")
        yield f"{number} in bulk files: Kissmetrics has them once it has imported the files"
    if not found.people:
        yield "nothing yet"
        return
    yield from ("", "people")
    several = len({one.site for one in found.people}) > 1
    yield from aligned(
        (_with_site(one.persona, one.site, several=several), one.held.people, _held(one.held))
        for one in found.people
    )
    yield from ("", "events")
    everyone = {(one.site, one.persona): one.held.people for one in found.people}
    yield from aligned(
        (
            short(one.event, _LONGEST_NAME),
            _with_site(one.persona, one.site, several=several),
            one.times,
            "calls" if one.people is None else f"by {one.people:,} of {everyone[one.site, one.persona]:,}",
        )
        for one in found.events
    )


def _heading(place: str, calls: Calls) -> str:
    """Return the line that says where the calls of a ledger went."""
    if calls.in_files and calls.in_files >= calls.planned:
        return f"written for {place}"
    is_sent = calls.pending < calls.planned or not calls.pending
    return f"{'sent to' if is_sent else 'planned for'} {place}"


def _pending_line(calls: Calls, *, is_store: bool) -> str:
    """Return the line about pending calls. The counts of a ledger have them, those of a store do not."""
    if is_store:
        return f"{counted(calls.pending, 'pending call')} not counted here: run the import again"
    if calls.pending < calls.planned:
        several = counted(calls.planned, "call")
        return f"{calls.pending:,} of {several} pending, and counted here: run the import again"
    return f"{counted(calls.pending, 'call')}, none of them acknowledged yet: run the import again"


def _held(held: Any) -> str:
    return f"with {counted(held.events, 'event')}, {counted(held.properties, 'property value')}"


def _with_site(persona: str, site: str, *, several: bool) -> str:
    return f"{persona}, {site}" if several else persona


def aligned(rows: Iterable[tuple[str | int, ...]], indent: int = 2) -> Iterator[str]:
    """Yield rows as lines, each column as wide as its widest cell, numbers to the right."""
    texts = [[(f"{cell:,}", ">") if isinstance(cell, int) else (cell, "<") for cell in row] for row in rows]
    widths = [max(len(text) for text, _ in column) for column in zip(*texts, strict=True)]
    for row in texts:
        cells = (f"{text:{side}{width}}" for (text, side), width in zip(row, widths, strict=True))
        yield f"{'':{indent}}{'  '.join(cells)}".rstrip()


def timeline_lines(found: Sequence[Timeline]) -> Iterator[str]:
    """Yield the lines of timelines, a moment each: its events, then the properties that it sets."""
    for at, timeline in enumerate(found):
        if at:
            yield ""
        first, *aliases = timeline.identities
        yield f"{short(first, _LONGEST_VALUE)}  ({timeline.persona}, site {timeline.site})"
        if aliases:
            yield f"  also known as: {', '.join(short(alias, _LONGEST_VALUE) for alias in aliases)}"
        for moment in timeline.moments:
            # A second without an event only sets properties.
            name, *others = moment.events or ("(sets properties)",)
            yield f"{time_text(moment.second)}  {short(name, _LONGEST_VALUE)}"
            yield from (f"{'':21}{short(other, _LONGEST_VALUE)}" for other in others)
            for name, value in moment.properties:
                yield f"{'':23}{short(name, _LONGEST_VALUE)}: {short(value, _LONGEST_VALUE)}"


def timeline_object(timeline: Timeline) -> dict[str, Any]:
    """Return a timeline as an object for --json."""
    return {
        "site": timeline.site,
        "persona": timeline.persona,
        "identities": list(timeline.identities),
        "moments": [
            {"time": iso(one.second), "events": list(one.events), "properties": dict(one.properties)}
            for one in timeline.moments
        ],
    }


def run_lines(run: RunRecord, sent: dict[str, dict[Sent, int]], ledger: str) -> Iterator[str]:
    """Yield the lines of one run: how it ended, then its calls by site, persona, event and day."""
    yield f"run {run.number}: {run.command}, {time_text(run.began)} UTC, {_end_of(run)}"
    for kind in ("rows", "calls"):
        numbers = [f"{name} {number:,}" for name, number in run.counts.get(kind, {}).items() if number]
        yield f"{kind}: {', '.join(numbers) or 'none'}"
    if forgotten := {name: number for name, number in run.counts.get("forgotten", {}).items() if number}:
        yield f"forgotten: {', '.join(f'{name} {number:,}' for name, number in forgotten.items())}"
    is_pending = run.counts.get("calls", {}).get("pending", 0) > 0
    if not sent:
        yield f"it has sent no calls (ledger {ledger})"
    for tracker, counted_calls in sent.items():
        yield from ("", f"calls {'planned for' if is_pending else 'to'} {tracker}")
        for (site, persona), kinds in groupby(counted_calls.items(), key=lambda item: item[0][:2]):
            yield f"  {persona}, site {site}"
            yield from aligned(((_event_of(kind), day_text(kind), calls) for kind, calls in kinds), indent=4)


def _event_of(kind: Sent) -> str:
    return short(kind.event, _LONGEST_NAME) or _NO_EVENT


def _end_of(run: RunRecord) -> str:
    if run.ended is not None:
        return f"ended {time_text(run.ended)} UTC with exit code {run.exit}"
    return "killed before its end" if run.is_killed else "at work, or killed"


def day_text(kind: Sent) -> str:
    """Return the UTC day of a kind of call, "" for an alias, which has none."""
    return f"{datetime.fromtimestamp(kind.day * _DAY, UTC):%Y-%m-%d}" if kind.day else ""


def call_line(call: SentCall) -> str:
    """Return one call of a run as a line."""
    who = f"{call.persona} {short(call.identity, _LONGEST_VALUE)}"
    event, place = short(call.event, _LONGEST_VALUE), f"{call.source}, line {call.line}"
    runs = f"; run {' or '.join(map(_run_name, call.runs))}" if len(call.runs) > 1 else ""
    return f"{time_text(call.second)}  {who}  {event}  (site {call.site}; {place}{runs})"


def _run_name(number: int) -> str:
    return str(number) if number else "not noted"


def call_object(call: SentCall) -> dict[str, Any]:
    """Return one call of a run as an object for --json."""
    return {
        "site": call.site,
        "persona": call.persona,
        "identity": call.identity,
        "event": call.event,
        "time": iso(call.second),
        "source": call.source,
        "line": call.line,
        "runs": list(call.runs),
    }


def run_object(run: RunRecord) -> dict[str, Any]:
    """Return a run as an object for --json. Of its import plan it has what is of use to people."""
    counts = dict(run.counts)
    if plan := counts.pop("plan", None):
        counts["plan"] = {name: plan.get(name) for name in ("digest", "calls")}
    return {
        "number": run.number,
        "command": run.command,
        "began": iso(run.began),
        "ended": None if run.ended is None else iso(run.ended),
        "exit": run.exit,
        "killed": run.is_killed,
        **counts,
    }
