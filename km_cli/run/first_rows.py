"""Judges the first rows of an input before any of it is sent.

If most of them are bad, the mapping is wrong rather than the rows. If most of them conflict with rows that
were sent, the user has to say how the logs overlap. Either way nothing of the input is sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from km_cli.errors import InputError, ReadError, Where
from km_cli.inputs import Opened
from km_cli.inputs.messages import shell_word
from km_cli.mapping import Mapping
from km_cli.mapping.cells import cell_readers
from km_cli.model import NANOSECONDS, Event, Gap, Reject, Row
from km_cli.run.batch import BatchBuilder, Mapped, raw_of
from km_cli.run.doubts import cure_of_future
from km_cli.run.overlaps import Span
from km_cli.run.stopping import Stopped

MOST_JUDGED = 200
_FEWEST_JUDGED = 10
_TIMES = frozenset({"time", "D6"})
LOOKED_AHEAD = 1000
_PREVIEW_BYTES = 16 << 20


class Preview(NamedTuple):
    """The first rows of an input, whether there are no others, and all rows including the first."""

    first: list[Mapped]
    is_all: bool
    mapped: Iterator[Mapped]

    @property
    def rows(self) -> list[Row]:
        """The first rows that have values, whether or not they are rejected."""
        return [one.row for one in self.first if not isinstance(one, Gap) and one.row.values]

    @property
    def events(self) -> list[Event]:
        """The first rows that are events."""
        return [one for one in self.first if type(one) is Event]

    @property
    def seconds(self) -> list[int]:
        """The seconds of the first events, in their order."""
        return [one.moment // NANOSECONDS for one in self.first if type(one) is Event]

    @property
    def span(self) -> Span:
        """The span of the first events."""
        if not (seconds := self.seconds):
            return Span()
        dated = any(one.is_date for one in self.first if type(one) is Event)
        return Span(min(seconds), max(seconds), dated)


def preview(mapped: Iterator[Mapped]) -> Preview:
    """Read the first rows. An error of reading is raised later, when its turn comes."""
    seen: list[Mapped] = []
    size, is_all = 0, False
    try:
        for one in mapped:
            seen.append(one)
            size += len(raw_of(one))
            if len(seen) >= LOOKED_AHEAD or size >= _PREVIEW_BYTES:
                break
        else:
            is_all = True
    except (ReadError, Stopped) as error:
        mapped = _raising(error)
    return Preview(seen, is_all, chain(seen, mapped))


def judge(first: Iterable[Mapped], opened: Opened, mapping: Mapping, now: float) -> None:
    """Raise InputError if most of the first rows are bad. `now` is in seconds since 1970."""
    rows = [one for one in first if type(one) is not Gap][:MOST_JUDGED]
    bad = [one for one in rows if type(one) is Reject]
    if len(rows) >= _FEWEST_JUDGED and len(bad) * 2 > len(rows):
        message = f"{opened.source.name}: {len(bad)} of the first {len(rows)} rows are bad"
        raise InputError(
            f"{message}, the first in line {bad[0].row.line}: {bad[0].reason}",
            _what_to_do(bad, opened, mapping, now),
            plain=f"{message} ({bad[0].code})",
            where=_where(bad[0], opened, mapping),
        )


def judge_conflicts(batch: BatchBuilder, source: str) -> None:
    """Raise InputError if most rows of the first batch conflict with rows that were sent."""
    found = [plan for plan in batch.plans if any(one.code == "conflict" for one in plan.rejects)]
    if found:
        check_conflicts(found[0].rejects[0], len(found), batch.rows, source)


def check_conflicts(first: Reject, conflicts: int, rows: int, source: str) -> None:
    """Raise InputError if most of so many rows conflict with rows that were sent; `first` is the first."""
    if rows >= _FEWEST_JUDGED and conflicts * 2 > rows:
        message = f"{source}: {conflicts} of the first {rows} rows conflict with rows that were sent"
        why = first.reason.partition(": if it is")[0]
        raise InputError(
            f"{message}, the first in line {first.row.line}: {why}",
            "if they are different events (logs of several hosts), add --overlap separate; if they are the "
            "same events with changed values (a new export), add --overlap repeats",
            plain=message,
            where=Where(first.row.source, first.row.line, first.row.raw),
        )


def _where(bad: Reject, opened: Opened, mapping: Mapping) -> Where:
    """Return the place of a bad row, with the cell if its time is bad."""
    row, column = bad.row, mapping.columns.timestamp
    if bad.code != "time" or not column or row.values is None:
        return Where(row.source, row.line, row.raw)
    read = cell_readers(opened.columns, tabular=opened.format.is_tabular)(column)
    return Where(row.source, row.line, row.raw, column, read(row.values))


def _what_to_do(bad: list[Reject], opened: Opened, mapping: Mapping, now: float) -> str:
    """Return a hint for the reason that most of the bad rows have."""
    code, _ = Counter(one.code for one in bad).most_common(1)[0]
    if code in _TIMES:
        rows = [one.row for one in bad if one.code == code]
        return cure_of_future(rows, opened, mapping, now) or (
            "check that --timestamp names the right column, or give the form of its times: --time-format"
        )
    if code == "nested":
        return _about_nested(opened)
    if code == "I1":
        return "check that --user and --account name the right columns; --allow-id accepts a value"
    return f"name the right columns (--user, --event, …); columns found: {', '.join(opened.columns[:12])}"


def _about_nested(opened: Opened) -> str:
    """Return a hint about nested values. `km-cli init` reads files alone, so it is no help with a query."""
    flatten = "add --flatten to send nested values as properties of their own"
    if opened.source.is_query:
        return f"{flatten}, or leave each out with --exclude-property"
    init = f"km-cli init {shell_word(opened.source.name)}"
    return f"{flatten}, leave each out with --exclude-property, or let `{init}` choose"


def _raising(error: Exception) -> Iterator[Mapped]:
    """Raise an error when its turn comes, so that the rows before it are sent."""
    yield from ()
    raise error
