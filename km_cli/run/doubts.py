"""Findings on the first rows of an input which make it doubtful that the columns have the right roles.

They stop nothing, because a log may really be like that. So each says what to do if it is not.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from km_cli.inputs import Opened
from km_cli.mapping import (
    AmbiguousTime,
    BadRow,
    BadTime,
    Columns,
    Mapping,
    Times,
    are_swapped,
    cell_readers,
)
from km_cli.model import NANOSECONDS, Event, Finding, Row

_FEWEST_EVENTS = 20
_SAMPLE = 20
"""Rows by which a column is judged whether it holds times."""
_FAR = 10**10
"""Seconds ahead of which times are still read here, to tell those in the future from other text."""


def doubts(events: Sequence[Event], columns: Columns, source: str) -> Iterator[Finding]:
    """Yield the findings on the first events of an input; most of them take twenty events."""
    yield from _hashed(columns, source)
    if len(events) >= _FEWEST_EVENTS:
        yield from _swapped(events, columns, source)
        yield from _constant_time(events, columns, source)


def _hashed(columns: Columns, source: str) -> Iterator[Finding]:
    """Yield a finding if a persona's identities are hashed (I5)."""
    for one in columns.personas:
        if hashed := [name for name in one.identities if name in columns.hash]:
            message = (
                f"the {one.persona} is sent as a digest of {hashed[0]!r}: for Kissmetrics it is another "
                "person than one that another source of the site names in clear"
            )
            yield Finding("hashed", message, source, 0)


def _swapped(events: Sequence[Event], columns: Columns, source: str) -> Iterator[Finding]:
    """Yield a finding if the second persona's identities depend on the first one's, as users on accounts."""
    if len(columns.personas) < 2 or not all(one.identity for one in columns.personas[:2]):
        return
    actor, other = columns.personas[:2]
    pairs = {(event.parts[0].identity, event.parts[1].identity) for event in events}
    pairs = {pair for pair in pairs if all(pair)}
    if are_swapped(pairs):
        users, accounts = (len(set(side)) for side in zip(*pairs, strict=True))
        first = f"{actor.identity!r} ({actor.persona}) has {users:,} values"
        second = f"{other.identity!r} ({other.persona}) has {accounts:,}"
        yield Finding(
            "swapped",
            f"in the first {len(events):,} events, {first} and {second}, each of one {actor.persona}: "
            f"are the columns swapped? Then {_how_to_swap(columns)}",
            source,
            0,
        )


def _how_to_swap(columns: Columns) -> str:
    actor, other = columns.personas[:2]
    if (actor.persona, other.persona) == ("user", "account"):
        return f"--user {shlex.quote(other.identity)} --account {shlex.quote(actor.identity)}"
    return f"swap the columns of the personas {actor.persona!r} and {other.persona!r} in km.toml"


def _constant_time(events: Sequence[Event], columns: Columns, source: str) -> Iterator[Finding]:
    """Yield a finding if all events have one moment. A day without a time of day may well be the same.

    With --at one moment for all is meant.
    """
    if columns.at:
        return
    moment = events[0].moment
    if all(event.moment == moment and not event.is_date for event in events):
        shown = datetime.fromtimestamp(moment // NANOSECONDS, UTC).strftime("%Y-%m-%d %H:%M:%S")
        yield Finding(
            "constant-time",
            f"the first {len(events):,} events all have the time {shown} UTC, from {columns.timestamp!r}: if "
            "that is when the log was written, name the column of when they happened: --timestamp NAME",
            source,
            0,
        )


def cure_of_future(rows: Sequence[Row], opened: Opened, mapping: Mapping, now: float) -> str:
    """Return a hint for rows whose times cannot be sent, if most of them lie in the future; else ""."""
    cell = cell_readers(opened.columns, tabular=opened.format.is_tabular)
    name = mapping.columns.timestamp
    rows = rows[:_SAMPLE]
    ahead = [row for row in rows if _moment(cell(name)(row.values), mapping, now) > now]
    if len(ahead) * 2 <= len(rows):
        return ""
    others = [
        other
        for other in opened.columns
        if other != name and all(0 < _moment(cell(other)(row.values), mapping, now) <= now for row in ahead)
    ]
    likely = f": perhaps --timestamp {shlex.quote(others[0])}" if others else ", with --timestamp NAME"
    return f"the times of {name!r} lie in the future; name the column of when the events happened{likely}"


def _moment(text: str, mapping: Mapping, now: float) -> float:
    """Return a time in seconds since 1970, 0 for a text that is not a time that Kissmetrics keeps."""
    with suppress(BadRow, BadTime, AmbiguousTime):
        return Times(mapping.time_options, now + _FAR).parse(text) / NANOSECONDS
    return 0.0
