"""Lines of `km-cli verify` with an export, and its JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from km_cli.cli.terminal.overview import aligned, iso, time_text
from km_cli.cli.terminal.show import counted, short
from km_cli.verify.export import AbsentCall, Detail, OtherPerson, UnknownRecord, Verified
from km_cli.verify.export.result import DayCount

_MOST_LINES = 10
"""Calls of each kind that are listed, and days with their events; -v lists up to those of the result."""

_DAY = 86_400
_LONGEST_NAME = 40
_SETS = "(sets properties)"

_SEND_AGAIN = (
    "make sure first: look for the people in Kissmetrics and in a later export, because nothing can be taken "
    "back; then copy the rows to a new file, with the times listed here and of the identities only the one "
    "listed here, and import it with a ledger of its own: --ledger NEW"
)
"""How to send absent calls again. With its second, a call that is there after all counts once (D1)."""

_REASONS = {
    "pending": "pending: km-cli retry sends them",
    "before_the_export": "older than the first record of the export",
    "after_the_export": "later than the last record of the export",
    "sent_before_the_export": "sent before the first revision that was given",
    "sent_after_the_export": "sent after the export was made, as far as the ledger knows",
    "site_unknown": "perhaps of another site: --source names the people of a log",
    "properties_not_shown": "without an event, and the export shows no such call",
}
"""Why calls cannot be checked, by their outcome."""


def export_lines(found: Verified, *, is_long: bool, details: str) -> Iterator[str]:
    """Yield the lines for people."""
    most = len(found.days) + len(found.absent_calls) + 1_000 if is_long else _MOST_LINES
    yield f"ledger {found.ledger}, calls to {found.tracker}, site {found.site}"
    yield (
        f"export of {counted(found.files, 'file')}, {counted(found.records, 'record')} from "
        f"{time_text(found.first)} to {time_text(found.last)} UTC"
    )
    yield from ("", "calls of the ledger", *aligned(_outcomes(found)))
    if any(found.aliases):
        yield from ("", "aliases", *aligned(_aliases(found)))
    yield from _section("absent", found.absent, map(_absent_cells, found.absent_calls), most)
    yield from _section(
        "under another person", found.other_person, map(_other_cells, found.other_people), most
    )
    yield from _section(
        "not in the ledger: another source may have sent them",
        found.unknown,
        map(_unknown_cells, found.unknown_records),
        most,
    )
    yield from _day_lines(found.days, most)
    yield from ("", "next", *_next(found, details))


def _outcomes(found: Verified) -> Iterator[tuple[str | int, ...]]:
    yield found.found, "found", ""
    yield found.absent, "absent", ""
    yield found.other_person, "under another person", ""
    for outcome, text in _REASONS.items():
        if calls := found.outcomes.get(outcome):
            yield (
                calls,
                "pending" if outcome == "pending" else "not checkable",
                text.removeprefix("pending: "),
            )


def _aliases(found: Verified) -> Iterator[tuple[str | int, ...]]:
    yield found.aliases.found, "found", ""
    if found.aliases.not_shown:
        yield found.aliases.not_shown, "not shown", "an alias has no time, so it may lie outside the export"
    if found.aliases.unknown:
        yield found.aliases.unknown, "not in the ledger", "another source merged people"


def _section(title: str, calls: int, cells: Iterable[tuple[str | int, ...]], most: int) -> Iterator[str]:
    if not calls:
        return
    rows = list(islice(cells, most))
    yield from ("", title, *aligned(rows))
    if calls > len(rows):
        yield f"  and {calls - len(rows):,} more: -v lists more, --details PATH writes all"


def _absent_cells(call: AbsentCall) -> tuple[str | int, ...]:
    return time_text(call.second), _event(call.event), _who(call), _row(call)


def _who(call: AbsentCall) -> str:
    return " ".join(filter(None, (call.persona, short(call.identity, _LONGEST_NAME) or "(not named)")))


def _row(call: AbsentCall) -> str:
    return f"{call.source}, line {call.line:,}" if call.source and call.line else call.source


def _other_cells(one: OtherPerson) -> tuple[str | int, ...]:
    under = f"under {short(one.other, _LONGEST_NAME)}{' by an alias' if one.by_alias else ''}"
    return time_text(one.call.second), _event(one.call.event), _who(one.call), under, _row(one.call)


def _unknown_cells(one: UnknownRecord) -> tuple[str | int, ...]:
    return (
        time_text(one.second),
        _event(one.event),
        short(one.identity, _LONGEST_NAME),
        f"{one.file}, line {one.at:,}",
    )


def _event(name: str) -> str:
    return short(name, _LONGEST_NAME) if name else _SETS


def _day_lines(days: Sequence[DayCount], most: int) -> Iterator[str]:
    """Yield the days on which not all is found."""
    wrong = [day for day in days if day.absent or day.other_person or day.unknown]
    if not wrong:
        return
    rows = [
        (
            _day(one.day),
            _event(one.event),
            f"{one.found:,} found",
            f"{one.absent:,} absent",
            f"{one.other_person:,} under others",
            f"{one.unknown:,} not in the ledger",
        )
        for one in wrong[:most]
    ]
    yield from ("", "by day and event", *aligned(rows))
    if len(wrong) > most:
        yield f"  and {len(wrong) - most:,} more: -v lists all"


def _next(found: Verified, details: str) -> Iterator[str]:
    """Yield what to do: a line that says why, and one that says what."""
    if found.is_complete:
        yield "  nothing is missing" if found.found else "  no call could be checked: see the reasons above"
    elif not found.found:
        yield "  no call at all is in the export"
        yield f"    is it the export of site {found.site}? --site and --to name another one"
    if found.absent:
        yield f"  {counted(found.absent, 'call')} absent"
        yield f"    {_SEND_AGAIN}"
    if any(not call.identity for call in found.absent_calls):
        yield "  some people are not named"
        yield "    give the logs that they were imported from: --source FILE"
    if found.other_person:
        yield f"  {counted(found.other_person, 'call')} under another person"
        yield "    find out who sent these events or the alias; sent again, one person would have them twice"
    if found.aliases.unknown:
        yield "  the export has aliases that the ledger does not know"
        yield "    find out who sent them: an alias cannot be undone, and it moves events to another person"
    if details:
        yield f"  all calls and records are in {details}"


def export_problems(found: Verified) -> Iterator[tuple[str, str]]:
    """Yield each kind of problem in one line, and the next step: all that -q prints."""
    look = "run the same command without -q: it lists these calls and says what to do"
    if not found.found:
        yield (
            f"no call of the ledger is in the export of site {found.site}",
            "check that it is the export of this site: --site and --to name another one",
        )
    if found.absent:
        yield f"{counted(found.absent, 'acknowledged call')} absent from the export", look
    if found.other_person:
        yield f"{counted(found.other_person, 'call')} under another person in the export", look


def _day(day: int) -> str:
    return iso(day * _DAY)[:10]


def export_object(found: Verified) -> dict[str, Any]:
    """Return the object for --json, under the key `export`. Times are ISO 8601 in UTC."""
    return {
        "site": found.site,
        "files": found.files,
        "records": found.records,
        "first": iso(found.first),
        "last": iso(found.last),
        "made": iso(found.made),
        "calls": {"found": 0, "absent": 0, "other_person": 0, **found.outcomes},
        "unknown": found.unknown,
        "aliases": found.aliases._asdict(),
        "days": [{**day._asdict(), "day": _day(day.day)} for day in found.days],
        "absent": [_absent_object(call) for call in found.absent_calls],
        "other_person": [_other_object(one) for one in found.other_people],
        "not_in_ledger": [_unknown_object(one) for one in found.unknown_records],
    }


def detail_object(detail: Detail) -> dict[str, Any]:
    """Return the object of one line of --details. `outcome` says which kind it is."""
    if isinstance(detail, AbsentCall):
        return {"outcome": "absent", **_absent_object(detail)}
    if isinstance(detail, OtherPerson):
        return {"outcome": "other_person", **_other_object(detail)}
    return {"outcome": "not_in_ledger", **_unknown_object(detail)}


def _absent_object(call: AbsentCall) -> dict[str, Any]:
    return {
        "time": iso(call.second),
        "event": call.event or None,
        "persona": call.persona or None,
        "identity": call.identity or None,
        "source": call.source or None,
        "line": call.line or None,
    }


def _other_object(one: OtherPerson) -> dict[str, Any]:
    place = {"file": one.file or None, "at": one.at or None}
    return {**_absent_object(one.call), "other": one.other, "by_alias": one.by_alias, **place}


def _unknown_object(one: UnknownRecord) -> dict[str, Any]:
    return {
        "time": iso(one.second),
        "event": one.event or None,
        "identity": one.identity,
        "file": one.file,
        "at": one.at,
    }
