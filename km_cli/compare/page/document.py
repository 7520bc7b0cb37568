"""The page as HTML. Each text of the log is escaped, and its direction does not affect its neighbours."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from km_cli.compare import words
from km_cli.compare.comparison import Comparison
from km_cli.compare.gathering import Span
from km_cli.compare.page import sections
from km_cli.compare.page.html import shown, table

_STYLE = Path(__file__).with_name("style.css")


def document(found: Comparison) -> str:
    """Return the whole page."""
    style = _STYLE.read_text(encoding="utf-8")
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    # Whatever a log holds, a browser runs nothing and loads nothing: only this very style sheet is allowed.
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            '<meta name="referrer" content="no-referrer">',
            "<title>Per person or per account?</title>",
            f"<style>{style}</style>",
            "</head>",
            "<body>",
            "<main>",
            *_body(found),
            "</main>",
            "</body>",
            "</html>",
            "",
        )
    )


def _body(found: Comparison) -> Iterator[str]:
    yield "<h1>Per person or per account?</h1>"
    yield f"<p>{sections.funnel_text(found)}</p>"
    yield f'<p class="quiet">{_read(found)}</p>'
    yield from sections.shares(found)
    yield from sections.answer(found)
    yield from sections.funnels(found)
    yield from sections.times(found)
    for one in found.differences:
        yield from sections.why(one, found.personas[0].persona)
    yield from sections.cost(found)
    yield from _logs(found)
    yield from _method()


def _read(found: Comparison) -> str:
    """Return how many rows were read, of which time."""
    rows = found.tally.rows
    log = shown(found.logs[0].name) if found.inputs == 1 else words.many(found.inputs, "file")
    text = f"{words.many(rows.read, 'row')} of {log} read"
    if found.span.last:
        text += f", from {_day(found.span.first)} to {_day(found.span.last)} (UTC)"
    if rows.rejected:
        text += f"; {rows.rejected:,} are bad and not counted"
    if rows.skipped:
        text += f"; {rows.skipped:,} are left out on purpose"
    return f"{text}."


def _logs(found: Comparison) -> Iterator[str]:
    """Yield the files that were read, each with its rows and its time, in UTC."""
    if not found.logs:
        return
    yield "<h2>The log</h2>"
    rows = [(shown(one.name), f"{one.rows:,}", *_days(one.span)) for one in found.logs]
    more = found.inputs - len(found.logs)
    if more:
        rest = found.tally.rows.read - sum(one.rows for one in found.logs)
        rows.append((f"{words.many(more, 'other file')}", f"{rest:,}", "", ""))
    yield table(
        "The files, in the order in which they were read", ("file", "rows", "from (UTC)", "to (UTC)"), rows
    )


def _days(span: Span) -> tuple[str, str]:
    if not span.last:
        return "-", "-"
    # A narrow table would break a date at its hyphens.
    return _day(span.first).replace("-", "\u2011"), _day(span.last).replace("-", "\u2011")


def _day(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d")


def _method() -> Sequence[str]:
    return (
        "<h2>How it is counted</h2>",
        "<p>The funnel begins with the first time of step one, and goes on with the first time of each next "
        "step from there on. Steps in one second count in their order. The median is the middle of all "
        "times; nine in ten are within the other time. Rows count whichever events km.toml lets people or "
        "accounts do.</p>",
    )
