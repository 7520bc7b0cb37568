"""How a run went: one JSON object, or a table for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from km_cli.cli.terminal.observer import RunObserver
from km_cli.cli.terminal.show import complain, counted, say, short, table
from km_cli.config.settings import Settings
from km_cli.model import Finding, Held
from km_cli.rules import CATALOGUE, is_harmless
from km_cli.run.row_planner import Forecast
from km_cli.run.tally import Tally

MEANINGS = {
    **{code: about.meaning for code, about in CATALOGUE.items()},
}
"""Findings by code, in words."""

_TOLD = frozenset({"no-such-event"})
"""What is told of off a terminal too, beside what the rules say is lost, merged or changed."""

FILES = {
    "read": "to their end",
    "begun": "as far as --limit goes",
    "held": "their last line is left to a later run",
    "unchanged": "since they were read",
    "failed": "see below",
    "gone": "since they were listed",
    "outside": "of since and until, by their dates",
    "missing": "see below",
}
"""Files of a backfill by what became of them, in words."""

_LISTED = frozenset({"left-to-others"})
"""Notes of which the names that they are about are shown as well."""

_LONGEST_MESSAGE = 300
_WORST = 3


def print_json(
    tally: Tally,
    seconds: float,
    *,
    forecast: Forecast | None = None,
    kept: Mapping[str, Any] | None = None,
    more: dict[str, Any] | None = None,
) -> None:
    """Print the summary as one object; a dry run's has a forecast, a backfill's has `more`."""
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
    summary |= more or {}
    print(json.dumps(summary))


def print_losses(tally: Tally) -> None:
    """Print what is lost or changed as problems, a line a code: for where nobody sees the summary."""
    for code, count in tally.findings.items():
        if code in _TOLD or not is_harmless(code):
            finding = tally.examples[code]
            first = f"the first of {count:,}: " if count > 1 else ""
            place = f" ({first}{_place(finding)})" if finding.source else ""
            complain(f"{code}: {short(finding.message, _LONGEST_MESSAGE)}{place}")


def reasons(tally: Tally) -> str:
    """Return why rows were rejected, the most frequent first."""
    return ", ".join(f"{code} {count:,}" for code, count in tally.reasons.most_common())


def print_summary(
    settings: Settings,
    tally: Tally,
    observer: RunObserver,
    seconds: float,
    kept: Mapping[str, Any] | None,
    files: dict[str, int] | None = None,
) -> None:
    """Print how an import went; of a backfill also its files, by what became of them."""
    observer.print_inputs()
    rows, calls = tally.rows, tally.calls
    lines = _lines(*((f"files {state}", count, FILES[state]) for state, count in (files or {}).items()))
    lines += [("rows read", f"{rows.read:,}", "")]
    lines += _lines(
        ("  sent", rows.sent, ""),
        ("  skipped", rows.skipped, _skipped(tally)),
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
    _print_findings(tally)
    if kept is not None:
        _print_kept(settings, kept)


def _print_kept(settings: Settings, kept: Mapping[str, Any]) -> None:
    say(f"\nwhat Kissmetrics would keep of it, in {settings.target.place}")
    lines = [(f"  {name}", f"{kept[name]:,}", "") for name in ("people", "events", "properties")]
    for code, count in {**kept["merged"], **kept["dropped"], **kept["ignored"]}.items():
        if count:
            lines.append((f"  {code}", f"{count:,}", _KEPT_MEANINGS.get(code, "")))
    table(lines)


def _meaning(code: str) -> str:
    """Return what a finding says; `no-NAME` is about a persona's part."""
    name = code.removeprefix("no-")
    return MEANINGS.get(code) or (f"rows that name no {name}: its part is left out" if name != code else "")


_KEPT_MEANINGS = {
    "D1": "events merged with one of the same second",
    "D2": "property values lost to another of the same second",
    "D4": "calls with a name that was folded",
    "repeat": "calls that came twice and changed nothing",
    "D7": "events older than the last 1,000 of their name and person: dropped",
    "D7-property": "property values older than the last 1,000 of their name and person: dropped",
}


def print_dry_run(settings: Settings, tally: Tally, observer: RunObserver, forecast: Forecast) -> None:
    """Print the first sequences and the totals of a rehearsal."""
    observer.print_inputs()
    observer.print_first()
    say()
    rows, calls = tally.rows, tally.calls
    by_persona = ", ".join(f"{name} {count:,}" for name, count in tally.by_persona.items())
    lines = [("rows read", f"{rows.read:,}", "")]
    lines += _lines(
        ("  to send", rows.sent, ""),
        ("  to skip", rows.skipped, _skipped(tally)),
        ("  to reject", rows.rejected, reasons(tally)),
        ("  to hold", rows.held, "last lines that may still grow"),
    )
    lines += [("calls to send", f"{calls.planned:,}", by_persona)]
    lines += _lines(
        ("  left by an earlier run", sum(observer.pending.values()), "an import sends them first")
    )
    moved = tally.findings["D1"] + tally.findings["D2"]
    lines += _lines(("  moved", moved, f"to a free second, by up to {settings.spread} s"))
    table(lines)
    _print_normalised(tally)
    _print_rejects(tally)
    _print_findings(tally, worst=True)
    _print_forecast(forecast)
    if calls.planned and settings.target.seconds_a_call:
        say(f"\nAn import would take about {_duration(settings, calls.planned)}.")
    say("Nothing was sent, nothing was written.")


def _print_rejects(tally: Tally) -> None:
    if not tally.rejects:
        return
    say("\nthe first to be rejected of each kind")
    for code, reject in tally.rejects.items():
        say(f"  {code}: {reject.row.source}, line {reject.row.line}: {reject.reason}")


_NORMALISED = {
    "byte-order-mark": ("byte order mark", "byte order marks"),
    "line-ends": ("file with line ends other than LF", "files with line ends other than LF"),
    "blank-lines": ("blank line", "blank lines"),
    "blanks-around-ids": ("id with blanks around it", "ids with blanks around them"),
    "fractions-floored": ("time floored to its second", "times floored to their seconds"),
    "empty-values": ("empty value left out", "empty values left out"),
    "parts-without-id": ("part without an id left out", "parts without an id left out"),
}
"""What was normalised, by the words of the tally: one of it, several."""


def _print_normalised(tally: Tally) -> None:
    """Say in a line what was normalised."""
    found = [(tally.normalised[word], names) for word, names in _NORMALISED.items() if tally.normalised[word]]
    if found:
        say("normalised: " + ", ".join(f"{number:,} {names[number > 1]}" for number, names in found))


def _print_findings(tally: Tally, *, worst: bool = False) -> None:
    """Print the findings by code, the first of each, and with `worst` whom they are about and the cure."""
    if not tally.findings:
        return
    say("\nfindings")
    codes = sorted(tally.findings, key=lambda code: (is_harmless(code), -tally.findings[code]))
    table([(f"  {code}", f"{tally.findings[code]:,}", _meaning(code)) for code in codes])
    say()
    for code in codes:
        finding = tally.examples[code]
        place = f"{_place(finding)}: " if finding.source else ""
        say(f"  {code}: {place}{short(finding.message, _LONGEST_MESSAGE)}")
        if worst and (not is_harmless(code) or code in _LISTED):
            _print_worst(tally, code)


def _print_worst(tally: Tally, code: str) -> None:
    """Print whom most findings of a code are about, and what to do about it."""
    most = tally.worst[code].most_common(_WORST)
    if len(tally.worst[code]) > 1:
        more = len(tally.worst[code]) - len(most)
        said = "; ".join(f"{short(who, 80)} {count:,}" for who, count in most)
        say(f"    most: {said}" + (f"; and {more:,} more" if more else ""), hang=6)
    if not is_harmless(code):
        say(f"    cure: {CATALOGUE[code].cure}", hang=6)


def _print_forecast(forecast: Forecast) -> None:
    """Print what Kissmetrics would hold after the import, earlier runs included."""
    lines = [
        (f"  {persona}" + (f", {site}" if len(forecast) > 1 else ""), held)
        for site, personas in forecast.items()
        for persona, held in personas.items()
    ]
    if lines:
        say("\nwhat Kissmetrics would hold then")
        table([(label, f"{held.people:,}", _said(held)) for label, held in lines])


def _said(held: Held) -> str:
    return f"with {counted(held.events, 'event')}, {counted(held.properties, 'property value')}"


def _place(finding: Finding) -> str:
    return f"{finding.source}, line {finding.line}" if finding.line else finding.source


def _lines(*lines: tuple[str, int, str]) -> list[tuple[str, str, str]]:
    return [(label, f"{number:,}", more) for label, number, more in lines if number]


def _skipped(tally: Tally) -> str:
    left_out = tally.findings["left-out"]
    of_nobody = tally.undone
    known = tally.rows.skipped - left_out - of_nobody
    kinds = (
        (left_out, "left out, as asked"),
        (of_nobody, "that no persona does"),
        (known, "dealt with before, or alike in everything"),
    )
    several = tally.rows.skipped not in (left_out, of_nobody, known)
    said = [
        f"{count:,} {what}" if several or what.startswith("that") else what for count, what in kinds if count
    ]
    if tally.rejected_before:
        said.append(f"{tally.rejected_before:,} of them rejected before: see the rejects files")
    return "; ".join(said)


def _rate(calls: int, seconds: float) -> str:
    return (
        f"{calls / seconds:,.0f} a second, {seconds:.1f} s" if calls and seconds > 0 else f"{seconds:.1f} s"
    )


def _duration(settings: Settings, calls: int) -> str:
    """Estimate how long an import takes: by how long a call takes by assumption, or by --rate."""
    rate = settings.concurrency / settings.target.seconds_a_call
    if settings.rate:
        rate = min(rate, settings.rate)
    seconds = calls / rate
    for unit, size in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} (at {rate:,.0f} calls a second)"
    return f"{counted(max(1, round(seconds)), 'second')} (at {rate:,.0f} calls a second)"
