"""Lines of `km-cli status`, and its JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from km_cli.cli.terminal.overview import aligned, iso, run_object, time_text
from km_cli.cli.terminal.progress import size_text
from km_cli.cli.terminal.show import counted
from km_cli.ledger import RunRecord
from km_cli.run.status import SiteStatus, SourceStatus, Status, Step

MOST_SOURCES = 10
"""How many logs are listed, the latest ones; -v lists all."""

_DAY = 86_400


def status_lines(status: Status, steps: Sequence[Step], *, all_sources: bool) -> Iterator[str]:
    """Yield the lines for people."""
    yield f"ledger {status.path} ({size_text(status.size)})"
    if status.horizon is not None:
        yield f"  pruned: it skips rows older than {time_text(status.horizon)} UTC"
    yield from _section("sites", [_site_cells(site) for site in status.sites], "nothing was sent yet")
    most = len(status.sources) if all_sources else MOST_SOURCES
    shown = [_source_cells(source) for source in islice(status.sources, most)]
    yield from _section("logs, the latest first", shown, "none was read yet")
    if len(status.sources) > most:
        yield f"  and {len(status.sources) - most:,} more: -v lists all"
    yield from _section(
        "runs, the latest first", [_run_cells(run, status) for run in status.runs], "none is noted yet"
    )
    if status.pauses:
        yield from ("", "pauses")
    for tracker, pause in status.pauses.items():
        yield f"  backfills send no calls to {tracker} until {time_text(pause.until)} UTC: {pause.reason}"
    yield from ("", "next")
    for step in steps:
        yield f"  {step.why}"
        yield f"    {step.what}"
    if not steps:
        yield "  nothing is left to do"


def _section(title: str, rows: list[tuple[str | int, ...]], nothing: str) -> Iterator[str]:
    yield from ("", title)
    if rows:
        yield from aligned(rows)
    else:
        yield f"  {nothing}"


def _site_cells(site: SiteStatus) -> tuple[str | int, ...]:
    span = f"events from {_day(site.first)} to {_day(site.last)}" if site.last else ""
    pending = f"{site.pending:,} pending" if site.pending else ""
    name = f"{site.tracker}, {site.site}" if site.site else site.tracker
    in_files = f"{min(site.in_files, site.sent):,} of them in bulk files" if site.in_files else ""
    return name, counted(site.sent, "call"), pending, span, in_files


def _source_cells(source: SourceStatus) -> tuple[str | int, ...]:
    rejected = source.rejected + source.refused
    parts = [counted(source.rows, "row")]
    if rejected:
        parts.append(f"{rejected:,} rejected")
    parts.append(f"{counted(source.sent, 'call')} sent")
    if source.pending:
        parts.append(f"{source.pending:,} pending")
    is_file = source.length or not source.rows
    return (
        source.source,
        f"read to {'line' if is_file else 'row'} {source.line:,}",
        size_text(source.length) if is_file else "",
        ", ".join(parts),
    )


def _run_cells(run: RunRecord, status: Status) -> tuple[str | int, ...]:
    calls, forgotten = run.counts.get("calls", {}), run.counts.get("forgotten")
    if forgotten is not None:
        did = f"{counted(forgotten.get('calls', 0), 'call')} forgotten"
        return run.number, time_text(run.began), run.command, _end_of(run, status), did
    did = f"{counted(run.counts.get('rows', {}).get('read', 0), 'row')}, "
    did += f"{counted(calls.get('acknowledged', 0), 'call')} acknowledged"
    return run.number, time_text(run.began), run.command, _end_of(run, status), did


def _end_of(run: RunRecord, status: Status) -> str:
    if run.ended is not None:
        return f"exit {run.exit}"
    return "killed" if run.is_killed or status.process is None else "at work"


def _day(day: int) -> str:
    return f"{datetime.fromtimestamp(day * _DAY, UTC):%Y-%m-%d}"


def status_object(status: Status, steps: Sequence[Step]) -> dict[str, Any]:
    """Return the object for --json. Times are ISO 8601 in UTC, sizes are in bytes."""
    return {
        "ledger": str(status.path),
        "bytes": status.size,
        "process": status.process,
        "pending": status.pending,
        "sites": [_site_object(site) for site in status.sites],
        "sources": [_source_object(source) for source in status.sources],
        "runs": [run_object(run) for run in status.runs],
        "rejects": [{"file": one.path, "run": one.run, "rows": one.rows} for one in status.rejects],
        "unreported_rejects": [{"file": path, "rows": rows} for path, rows in status.unreported.items()],
        "pauses": [
            {"to": tracker, "until": iso(pause.until), "reason": pause.reason}
            for tracker, pause in status.pauses.items()
        ],
        "next": [step._asdict() for step in steps],
        **({} if status.horizon is None else {"horizon": iso(status.horizon)}),
    }


def _site_object(site: SiteStatus) -> dict[str, Any]:
    return {
        "to": site.tracker,
        "site": site.site,
        "sent": site.sent,
        "pending": site.pending,
        "first_day": _day(site.first) if site.last else None,
        "last_day": _day(site.last) if site.last else None,
        **({"in_files": min(site.in_files, site.sent)} if site.in_files else {}),
    }


def _source_object(source: SourceStatus) -> dict[str, Any]:
    return {
        "source": source.source,
        "begun": iso(source.begun) if source.begun else None,
        "line": source.line,
        "bytes": source.length,
        "rows": source.rows,
        "rejected": source.rejected,
        "refused": source.refused,
        "sent": source.sent,
        "pending": source.pending,
        "calls": [
            {"to": tracker, "site": site, "persona": persona, "calls": calls}
            for tracker, site, persona, calls in source.parts
        ],
    }
