"""Lines of `km-cli verify`, and its JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from km_cli.cli.terminal.overview import aligned, iso
from km_cli.cli.terminal.show import counted, short
from km_cli.errors import Exit
from km_cli.verify.comparing import EventResult, PropertyResult, SiteResult
from km_cli.verify.judging import Judgement, Reason, Verdict
from km_cli.verify.result import Result
from km_cli.verify.values import Snapshot

_MOST_OTHERS = 5
"""How many names of other sources are listed; --json has all."""

_LONGEST_NAME = 40

_WORDS = {
    Verdict.ABSENT: "absent",
    Verdict.TOO_LOW: "too low",
    Verdict.TOO_HIGH: "too high",
    Verdict.DATES: "dates",
    Verdict.UNCHECKED: "unchecked",
    Verdict.NOT_SHOWN_YET: "not yet",
    Verdict.EXPLAINED: "explained",
    Verdict.OTHERS: "others",
    Verdict.HELD: "all there",
}

_REASONS = {
    Reason.COUNTED_BEFORE: "{} pending at the snapshot, and may be counted in it",
    Reason.MERGED: "{} merged: same person and second (D1)",
    Reason.DROPPED: "{} dropped: a person keeps 1,000 (D7)",
    Reason.NOT_SHOWN_YET: "{} sent a short time ago (Q4)",
    Reason.LATE: "{} sent shortly before the snapshot (Q4)",
}


def verify_lines(result: Result, *, all_events: bool) -> Iterator[str]:
    """Yield the lines for people."""
    yield f"shown by {result.now.api} at {_time(result.now.taken)}"
    if result.since:
        yield f"compared with the snapshot of {_time(result.since)}: numbers are those since then"
    for site in result.sites:
        yield from _site_lines(site, all_events=all_events)
    yield from ("", "next")
    steps = list(problem_lines(result))
    for why, what in steps:
        yield f"  {why}"
        yield f"    {what}"
    if not steps:
        yield "  nothing is left to do"


def _site_lines(site: SiteResult, *, all_events: bool) -> Iterator[str]:
    yield from (
        "",
        f"site {site.site}, product {short(site.product.name, _LONGEST_NAME)} ({site.product.id})",
    )
    order = list(Verdict)
    ranked = sorted(site.events, key=lambda one: order.index(one.judgement.verdict))
    quiet = (Verdict.HELD, Verdict.OTHERS)
    shown = [one for one in ranked if all_events or one.judgement.verdict not in quiet]
    if shown:
        yield from aligned(map(_event_cells, shown))
    if there := len(site.events) - len(shown):
        noun = counted(there, "more event" if shown else "event")
        yield f"  {noun}: all there{'' if all_events else ' (-v lists them)'}"
    yield f"  {_property_line(site.properties)}"
    for one in site.events:
        if one.spellings:
            names = ", ".join(f"{short(name, _LONGEST_NAME)!r} {total:,}" for name, total in one.spellings)
            yield f"  {short(one.name, _LONGEST_NAME)!r} is there under several spellings: {names} (D4)"
    if site.others:
        listed = ", ".join(
            f"{short(name, _LONGEST_NAME)} {n:,}" for name, n in islice(site.others, _MOST_OTHERS)
        )
        more = "" if len(site.others) <= _MOST_OTHERS else ", …"
        yield f"  {counted(len(site.others), 'event')} of other sources: {listed}{more}"


def _event_cells(one: EventResult) -> tuple[str | int, ...]:
    judged = one.judgement
    name = short(one.name, _LONGEST_NAME)
    return _WORDS[judged.verdict], name, f"{judged.sent:,} sent", f"{judged.found:,} shown", _note(judged)


def _note(judged: Judgement) -> str:
    parts = [_REASONS[reason].format(f"{calls:,}") for reason, calls in judged.reasons]
    if judged.wrong:
        parts.insert(0, _wrong(judged))
    return "; ".join(part for part in (judged.why, *parts) if part)


def _wrong(judged: Judgement) -> str:
    if judged.verdict in (Verdict.ABSENT, Verdict.TOO_LOW):
        return f"{judged.wrong:,} missing"
    if judged.verdict is Verdict.TOO_HIGH:
        return f"{judged.wrong:,} too many"
    return f"{judged.wrong:,} by other sources"


def _property_line(found: PropertyResult) -> str:
    everything = counted(found.known, "property").replace("propertys", "properties")
    if found.verdict is Verdict.HELD:
        return f"{everything}: all there"
    if found.verdict is Verdict.UNCHECKED:
        return f"{everything} could not be checked: {found.why}"
    names = [
        *map(repr, found.absent),
        *([f"{found.unnamed:,} without a known name"] if found.unnamed else []),
    ]
    why = f" ({found.why})" if found.why else ""
    return f"{everything}, of which absent: {', '.join(names)}{why}"


def problem_lines(result: Result) -> Iterator[tuple[str, str]]:
    """Yield each kind of problem, and the next step."""
    low = [*_names(result, Verdict.ABSENT), *_names(result, Verdict.TOO_LOW), *_names(result, Verdict.DATES)]
    if low:
        yield (
            f"calls are missing: {_listed(low)}",
            "look at them one by one in a data export: km-cli verify EXPORT; send no call again before that, "
            "since Kissmetrics cannot delete what it has twice (D10)",
        )
        yield from files_note(result.in_files)
    for site in result.sites:
        if site.properties.verdict is Verdict.ABSENT:
            yield (
                f"properties of the site {site.site!r} are absent: {_absent(site.properties)}",
                "compare their names with those that Kissmetrics lists",
            )
    if high := _names(result, Verdict.TOO_HIGH):
        yield (
            f"more was counted than was sent: {_listed(high)}",
            "find the other source of these events: another program, or a log sent with another ledger",
        )
    yield from _steps_without_findings(result)


def files_note(in_files: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield the reminder that calls in bulk files may not be uploaded, and what to do; nothing without any.

    `in_files` are calls by site.
    """
    if in_files:
        calls = " and ".join(f"{calls:,} of the site {site!r}" for site, calls in sorted(in_files.items()))
        yield (
            f"calls were written to bulk files and count as sent: {calls}",
            "when Kissmetrics has imported these files, one an hour (W6), run the same command again",
        )


def _steps_without_findings(result: Result) -> Iterator[tuple[str, str]]:
    for _, reason, hint in result.failures:
        yield reason, hint
    if unchecked := _names(result, Verdict.UNCHECKED):
        yield f"some events could not be checked: {_listed(unchecked)}", "run the same command again"
    if result.of(Verdict.NOT_SHOWN_YET):
        when = f" after {_time(result.now.shown_by)}" if result.now.shown_by else ""
        yield (
            "some calls may not be shown yet: that takes one to three hours (Q4)",
            f"run the same command{when}",
        )
    for site in result.sites:
        if site.pending:
            verb = "is" if site.pending == 1 else "are"
            yield (
                f"{counted(site.pending, 'call')} to the site {site.site!r} {verb} pending, "
                f"and {verb} not expected yet",
                "send what is pending: km-cli retry",
            )
    if result.since is None and result.of(Verdict.OTHERS):
        yield (
            "other sources count too, so that a loss may be hidden",
            "take a snapshot before the next import: km-cli verify --snapshot FILE",
        )


def _names(result: Result, verdict: Verdict) -> list[str]:
    return [one.name for site in result.sites for one in site.events if one.judgement.verdict is verdict]


def _listed(names: Sequence[str]) -> str:
    listed = ", ".join(short(name, _LONGEST_NAME) for name in names[:_MOST_OTHERS])
    return listed + (f", and {len(names) - _MOST_OTHERS:,} more" if len(names) > _MOST_OTHERS else "")


def _absent(found: PropertyResult) -> str:
    named = ", ".join(found.absent[:_MOST_OTHERS])
    left = len(found.absent[_MOST_OTHERS:]) + found.unnamed
    return ", ".join(
        part for part in (named, f"{left:,} more" if named and left else f"{left:,}" if left else "") if part
    )


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""


def verify_object(result: Result, code: Exit) -> dict[str, Any]:
    """Return the object for --json. Times are ISO 8601 in UTC."""
    now = result.now
    return {
        "ledger": str(result.ledger),
        "to": now.to,
        "exit": int(code),
        "query": {
            "api": now.api,
            "taken": iso(now.taken.timestamp()),
            "since": iso(result.since.timestamp()) if result.since else None,
            "show_after": result.show_after,
            "shown_by": iso(now.shown_by.timestamp()) if now.shown_by else None,
            "sites": list(map(_site_object, result.sites)),
            "unchecked": [
                {"site": site, "reason": reason, "hint": hint} for site, reason, hint in result.failures
            ],
        },
    }


def snapshot_object(path: Path | None, snapshot: Snapshot) -> dict[str, Any]:
    """Return the object for --json about a snapshot that was written."""
    return {
        "file": str(path),
        "sites": [
            {
                "site": state.site,
                "product": {"id": state.product.id, "name": state.product.name},
                "events": len(state.events.names),
                "properties": len(state.properties.names),
            }
            for state in snapshot.sites
        ],
    }


def _site_object(site: SiteResult) -> dict[str, Any]:
    found = site.properties
    return {
        "site": site.site,
        "product": {"id": site.product.id, "name": site.product.name},
        "pending": site.pending,
        "events": list(map(_event_object, site.events)),
        "properties": {
            "verdict": found.verdict.value,
            "known": found.known,
            "absent": list(found.absent),
            "unnamed": found.unnamed,
            "why": found.why,
        },
        "others": [{"name": name, "total": total} for name, total in site.others],
    }


def _event_object(one: EventResult) -> dict[str, Any]:
    judged = one.judgement
    is_low = judged.verdict in (Verdict.ABSENT, Verdict.TOO_LOW)
    return {
        "name": one.name,
        "verdict": judged.verdict.value,
        "sent": judged.sent,
        "shown": judged.found,
        "missing": judged.wrong if is_low else 0,
        "excess": 0 if is_low else judged.wrong,
        "explained": [{"reason": reason.value, "calls": calls} for reason, calls in judged.reasons],
        "why": judged.why,
        "spellings": [{"name": name, "total": total} for name, total in one.spellings],
    }
