"""Prints the result of a run: as one JSON object, or as tables for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from km_cli.cli.terminal.estimate import estimate
from km_cli.cli.terminal.observer import RunObserver
from km_cli.cli.terminal.show import complain, counted, say, short, table
from km_cli.config.settings import Settings
from km_cli.mapping import ANONYMOUS
from km_cli.model import Finding, Forecast, Held
from km_cli.rules import CATALOGUE, is_harmless
from km_cli.run.tally import Tally

_ALWAYS_SHOWN = frozenset({"no-such-event", "unmet-condition", "swapped", "constant-time"})
"""Harmless findings that are printed without a terminal too: an option or km.toml is probably wrong."""

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

_LISTED = frozenset({"left-out", "left-to-others"})
"""Harmless findings whose most frequent subjects are shown as well."""

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
    summary |= more or {}
    print(json.dumps(summary))


def print_losses(tally: Tally) -> None:
    """Print each kind of loss or change as a problem, for runs that print no summary."""
    for code, count in tally.findings.items():
        if code in _ALWAYS_SHOWN or not is_harmless(code):
            finding = tally.examples[code]
            first = f"the first of {count:,}: " if count > 1 else ""
            place = f" ({first}{_place(finding)})" if finding.source else ""
            complain(f"{code}: {short(finding.message, _LONGEST_MESSAGE)}{place}")


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
) -> None:
    """Print the summary of an import. A backfill adds the number of its files in each state."""
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
    _print_findings(tally)
    if kept is not None:
        _print_kept(settings, kept)


def _print_kept(settings: Settings, kept: Mapping[str, Any]) -> None:
    say(f"\nwhat Kissmetrics would keep, in {settings.target.place}")
    lines = [(f"  {name}", f"{kept[name]:,}", "") for name in ("people", "events", "properties")]
    for code, count in {**kept["merged"], **kept["dropped"], **kept["ignored"]}.items():
        if count:
            lines.append((f"  {code}", f"{count:,}", _KEPT_MEANINGS.get(code, "")))
    table(lines)


def _meaning(code: str) -> str:
    """Return the meaning of a finding. `no-NAME` is about rows without an identity for that persona."""
    name = code.removeprefix("no-")
    if code in CATALOGUE:
        return CATALOGUE[code].meaning
    return f"Rows that name no {name} make no calls for that persona." if name != code else ""


_KEPT_MEANINGS = {
    "D1": "events merged with another of the same second",
    "D2": "property values lost to another of the same second",
    "D4": "calls with a name that Kissmetrics changed",
    "repeat": "calls that arrived twice and changed nothing",
    "D7": "events dropped: older than the last 1,000 of that name and person",
    "D7-property": "property values dropped: older than the last 1,000 of that name and person",
}


def print_dry_run(settings: Settings, tally: Tally, observer: RunObserver, forecast: Forecast) -> None:
    """Print the first sequences, the totals and the forecast of a dry run."""
    observer.print_inputs()
    observer.print_first()
    say()
    rows, calls = tally.rows, tally.calls
    by_persona = ", ".join(f"{name} {count:,}" for name, count in tally.by_persona.items())
    lines = [("rows read", f"{rows.read:,}", "")]
    lines += _lines(
        ("  to send", rows.sent, ""),
        ("  to skip", rows.skipped, _skip_reasons(tally)),
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
    print_forecast(forecast)
    if calls.planned and settings.target.seconds_a_call:
        found = estimate(settings, calls.planned)
        say(f"\nAn import would take about {found.duration} (at {found.rate:,.0f} calls per second).")
    say("Nothing was sent or written.")


def _print_rejects(tally: Tally) -> None:
    if not tally.rejects:
        return
    say("\nthe first rejected row of each kind")
    for code, reject in tally.rejects.items():
        say(f"  {code}: {reject.row.source}, line {reject.row.line}: {reject.reason}")


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


def _print_findings(tally: Tally, *, worst: bool = False) -> None:
    """Print the findings by code with the first of each; with `worst`, also the subjects and the cure."""
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
    """Print the subjects of most findings of a code, and the cure."""
    most = tally.worst[code].most_common(_WORST)
    if len(tally.worst[code]) > 1:
        more = len(tally.worst[code]) - len(most)
        subjects = "; ".join(f"{short(subject, 80)} {count:,}" for subject, count in most)
        say(f"    most: {subjects}" + (f"; and {more:,} more" if more else ""), hang=6)
    if not is_harmless(code):
        say(f"    cure: {CATALOGUE[code].cure}", hang=6)


def print_forecast(forecast: Forecast, *, to_stderr: bool = False) -> None:
    """Print the forecast: what Kissmetrics would hold after the import, including earlier runs."""
    lines = [
        (f"  {persona}" + (f", {site}" if len(forecast) > 1 else ""), held)
        for site, personas in forecast.items()
        for persona, held in personas.items()
    ]
    if lines:
        say("\nwhat Kissmetrics would hold after the import", to_stderr=to_stderr)
        table([(label, f"{held.people:,}", _contents(held)) for label, held in lines], to_stderr=to_stderr)


def _contents(held: Held) -> str:
    return f"with {counted(held.events, 'event')}, {counted(held.properties, 'property value')}"


def _place(finding: Finding) -> str:
    return f"{finding.source}, line {finding.line}" if finding.line else finding.source


def _lines(*lines: tuple[str, int, str]) -> list[tuple[str, str, str]]:
    return [(label, f"{number:,}", more) for label, number, more in lines if number]


def _skip_reasons(tally: Tally) -> str:
    left_out, anonymous = tally.findings["left-out"], tally.findings[ANONYMOUS]
    without_persona = tally.undone
    known = tally.rows.skipped - left_out - anonymous - without_persona - tally.withheld
    kinds = (
        (left_out, "left out by the selection"),
        (anonymous, "without any persona"),
        (without_persona, "with an event that no persona does"),
        (tally.withheld, "with an alias, which needs --allow-alias"),
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
