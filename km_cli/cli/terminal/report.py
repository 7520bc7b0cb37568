"""Prints the result of a run: as one JSON object, or as tables for people."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from km_cli.cli.terminal.estimate import estimate
from km_cli.cli.terminal.findings import print_findings
from km_cli.cli.terminal.observer import RunObserver
from km_cli.cli.terminal.progress import size_text
from km_cli.cli.terminal.show import complain, counted, say, table
from km_cli.config.settings import Settings
from km_cli.mapping import ANONYMOUS
from km_cli.model import Forecast, Held
from km_cli.run.tally import Tally

MOST_PARTS = 20
"""Bulk files that are listed; --json lists all."""

FILES = {
    "read": "to the end",
    "begun": "as far as --limit allows",
    "held": "their last line waits for a later run",
    "unchanged": "since they were read",
    "failed": "see below",
    "gone": "since they were listed",
    "outside": "of since and until, by the date in their name",
    "missing": "see below",
}
"""The state of a file of a backfill, continued: `files read  3  to the end`."""


def print_json(
    tally: Tally,
    seconds: float,
    *,
    forecast: Forecast | None = None,
    kept: Mapping[str, Any] | None = None,
    more: dict[str, Any] | None = None,
) -> None:
    """Print the summary as one object. A dry run adds a forecast, a backfill adds `more`."""
    summary: dict[str, Any] = {
        "rows": tally.rows.counted,
        "calls": asdict(tally.calls),
        "normalised": dict(tally.normalised),
        "findings": dict(tally.findings),
        "reasons": dict(tally.reasons),
        "seconds": round(seconds, 3),
    }
    if tally.rejected_before:
        summary["rejected_before"] = tally.rejected_before
    if forecast is not None:
        summary["dry_run"] = True
        summary["forecast"] = {
            site: {persona: held._asdict() for persona, held in personas.items()}
            for site, personas in forecast.items()
        }
    if kept is not None:
        summary["kept"] = dict(kept)
    if tally.parts:
        summary["parts"] = [part._asdict() for part in tally.parts]
    summary |= more or {}
    print(json.dumps(summary))


def print_rejects_to_come(tally: Tally) -> None:
    """Print the rows that an import would reject as one problem, for a dry run that prints no summary."""
    if not tally.rows.rejected:
        return
    first = next(iter(tally.rejects.values()))
    complain(
        f"{counted(tally.rows.rejected, 'row')} would be rejected ({reasons(tally)}), the first in "
        f"{first.row.source}, line {first.row.line}: {first.reason}",
        "an import writes them to a file where you can correct them; without -q, a dry run shows the first "
        "row of each kind",
    )


def reasons(tally: Tally) -> str:
    """Return the reasons of rejected rows with their counts, the most frequent first."""
    return ", ".join(f"{code} {count:,}" for code, count in tally.reasons.most_common())


def print_summary(
    settings: Settings,
    tally: Tally,
    observer: RunObserver,
    seconds: float,
    kept: Mapping[str, Any] | None,
    files: dict[str, int] | None = None,
    *,
    all_places: bool = False,
) -> None:
    """Print the summary of an import. A backfill adds the number of its files in each state.

    With `all_places` all lines that have a finding are listed.
    """
    observer.print_inputs()
    rows, calls = tally.rows, tally.calls
    lines = _lines(*((f"files {state}", count, FILES[state]) for state, count in (files or {}).items()))
    lines += [("rows read", f"{rows.read:,}", "")]
    lines += _lines(
        ("  sent", rows.sent, ""),
        ("  skipped", rows.skipped, _skip_reasons(tally)),
        ("  rejected", rows.rejected, reasons(tally)),
        ("  held", rows.held, "last lines that may still grow"),
        ("  pending", rows.pending, "not acknowledged yet: run again"),
    )
    lines += [("calls acknowledged", f"{calls.acknowledged:,}", _rate(calls.acknowledged, seconds))]
    lines += _lines(
        ("  left by an earlier run", calls.resumed, ""),
        ("  sent again", calls.retried, "attempts beyond the first"),
        ("  pending", calls.pending, "run again"),
        ("  refused", calls.rejected, ""),
    )
    table(lines)
    _print_normalised(tally)
    print_findings(tally, all_places=all_places)
    if kept is not None:
        _print_kept(settings, kept)
    _print_parts(settings, tally)


def _print_parts(settings: Settings, tally: Tally) -> None:
    """Print the bulk files that the run has finished, the last ones if there are many."""
    if not tally.parts:
        return
    say(f"\n{counted(len(tally.parts), 'bulk file')} for Kissmetrics' import")
    shown = tally.parts[-MOST_PARTS:]
    if len(shown) < len(tally.parts):
        say(f"  {len(tally.parts) - len(shown):,} others before these")
    table([(f"  {part.file}", size_text(part.bytes), counted(part.calls, "call")) for part in shown])
    counts = "The ledger counts these calls as sent to Kissmetrics"
    if (series := settings.target.bulk()) is not None and series.bucket is not None:
        say(f"{counts}: they are there once it has imported the files from the bucket.")
    else:
        say(f"{counts}: upload the files, in the order of their names.")


def _print_kept(settings: Settings, kept: Mapping[str, Any]) -> None:
    say(f"\nwhat Kissmetrics would keep, in {settings.target.place}")
    lines = [(f"  {name}", f"{kept[name]:,}", "") for name in ("people", "events", "properties")]
    for code, count in {**kept["merged"], **kept["dropped"], **kept["ignored"]}.items():
        if count:
            lines.append((f"  {code}", f"{count:,}", _KEPT_MEANINGS.get(code, "")))
    table(lines)
    if kept["people"]:
        spelled = settings.target.spelled
        store = "" if spelled == "local" else f" --store {shlex.quote(spelled.removeprefix('local:'))}"
        say(f"look at it: km-cli show --to {shlex.quote(spelled)}", whole=True)
        say(f"in a browser: km-cli serve{store}", whole=True)


_KEPT_MEANINGS = {
    "D1": "events merged with another of the same second",
    "D2": "property values lost to another of the same second",
    "D4": "calls with a name that Kissmetrics changed",
    "repeat": "calls that arrived twice and changed nothing",
    "D7": "events dropped: older than the last 1,000 of that name and person",
    "D7-property": "property values dropped: older than the last 1,000 of that name and person",
}


def print_dry_run(
    settings: Settings,
    tally: Tally,
    observer: RunObserver,
    forecast: Forecast,
    *,
    all_places: bool = False,
    wrote: str = "",
) -> None:
    """Print the first sequences, the totals, the findings and the forecast of a dry run.

    `wrote` says what it wrote, if it wrote an import plan.
    """
    observer.print_inputs()
    observer.print_first()
    say()
    calls = tally.calls
    by_persona = ", ".join(f"{name} {count:,}" for name, count in tally.by_persona.items())
    pending = sum(observer.pending.values())
    lines = lines_to_come(tally, by_persona, pending)
    moved = tally.findings["D1"] + tally.findings["D2"]
    lines += _lines(("  moved", moved, f"to a free second, by up to {settings.spread} s"))
    table(lines)
    _print_normalised(tally)
    print_findings(tally, worst=True, all_places=all_places)
    print_forecast(forecast)
    if calls.planned and settings.target.seconds_a_call:
        found = estimate(settings, calls.planned + pending)
        say(f"\nAn import would take about {found.duration} (at {found.rate:,.0f} calls per second).")
    say(f"Nothing was sent. {wrote}" if wrote else "Nothing was sent or written.", whole=bool(wrote))


def lines_to_come(tally: Tally, by_persona: str, pending: int, part: str = "") -> list[tuple[str, str, str]]:
    """Return the rows and calls that an import would send, for a table; `part` is how much was looked at."""
    rows = tally.rows
    return [
        ("rows read", f"{rows.read:,}", part),
        *_lines(
            ("  to send", rows.sent, ""),
            ("  to skip", rows.skipped, _skip_reasons(tally)),
            ("  to reject", rows.rejected, reasons(tally)),
            ("  to hold", rows.held, "last lines that may still grow"),
        ),
        ("calls to send", f"{tally.calls.planned:,}", by_persona),
        *_lines(("  left by an earlier run", pending, "an import sends them first")),
    ]


_NORMALISED = {
    "byte-order-mark": ("byte order mark", "byte order marks"),
    "line-ends": ("file with line ends other than LF", "files with line ends other than LF"),
    "blank-lines": ("blank line", "blank lines"),
    "octal-escapes": ("line of JSON with octal escapes", "lines of JSON with octal escapes"),
    "blanks-around-ids": ("id with blanks around it", "ids with blanks around them"),
    "fractions-floored": ("fraction of a second dropped", "fractions of a second dropped"),
    "empty-values": ("empty value left out", "empty values left out"),
    "parts-without-id": ("persona without an id left out", "personas without an id left out"),
    "reserved-names": ("property with a reserved name left out", "properties with reserved names left out"),
}
"""The singular and plural of each kind of normalisation that the tally counts."""


def _print_normalised(tally: Tally) -> None:
    """Print the normalisations in one line."""
    found = [(tally.normalised[word], names) for word, names in _NORMALISED.items() if tally.normalised[word]]
    if found:
        say("normalised: " + ", ".join(f"{number:,} {names[number > 1]}" for number, names in found))


def print_forecast(forecast: Forecast, *, to_stderr: bool = False) -> None:
    """Print the forecast: what Kissmetrics would hold after the import, including earlier runs."""
    lines = [
        (f"  {persona}" + (f", {site}" if len(forecast) > 1 else ""), held)
        for site, personas in forecast.items()
        for persona, held in sorted(personas.items())
    ]
    if lines:
        say("\nwhat Kissmetrics would hold after the import", to_stderr=to_stderr)
        table([(label, f"{held.people:,}", _contents(held)) for label, held in lines], to_stderr=to_stderr)


def _contents(held: Held) -> str:
    return f"with {counted(held.events, 'event')}, {counted(held.properties, 'property value')}"


def _lines(*lines: tuple[str, int, str]) -> list[tuple[str, str, str]]:
    return [(label, f"{number:,}", more) for label, number, more in lines if number]


def _skip_reasons(tally: Tally) -> str:
    left_out, anonymous = tally.findings["left-out"], tally.findings[ANONYMOUS]
    without_persona = tally.undone
    pruned = tally.rows.pruned
    known = tally.rows.skipped - left_out - anonymous - without_persona - tally.withheld - pruned
    kinds = (
        (left_out, "left out by the selection"),
        (anonymous, "without any persona"),
        (without_persona, "with an event that no persona does"),
        (tally.withheld, "with an alias, which needs --allow-alias"),
        (pruned, "older than the ledger's horizon"),
        (known, "handled before, or identical to another row"),
    )
    several = sum(bool(count) for count, _ in kinds) > 1
    reasons = [f"{count:,} {reason}" if several else reason for count, reason in kinds if count]
    if tally.rejected_before:
        reasons.append(f"{tally.rejected_before:,} of them rejected before: see the rejects files")
    return "; ".join(reasons)


def _rate(calls: int, seconds: float) -> str:
    return (
        f"{calls / seconds:,.0f} per second, {seconds:.1f} s" if calls and seconds > 0 else f"{seconds:.1f} s"
    )
