"""How the reading at hand overlaps with the others of the ledger: in time, in columns, and as flags say.

Rotation cuts a log in two: the last second of one file is the first of the next, and nothing is in both. Such
readings cannot repeat each other, so that what they have in that second are different events (promise 5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import NamedTuple

from km_cli.ledger import Ledger, Reading
from km_cli.mapping import Mapping
from km_cli.model import KnownRow, Overlap, Properties
from km_cli.planning.fingerprints import column_fingerprint
from km_cli.run.rereading import Rereading

_MOST_KNOWN = 64


class Span(NamedTuple):
    """The seconds from the first event of a reading to its last; 0 for none.

    `dated` if some time says no time of day: then a second stands for a whole day.
    """

    first: int = 0
    last: int = 0
    dated: bool = False

    def joined(self, other: Span) -> Span:
        """Return the span of both."""
        if not self.last or not other.last:
            return other if other.last else self
        return Span(min(self.first, other.first), max(self.last, other.last), self.dated or other.dated)

    def touches(self, other: Span) -> bool:
        """Tell whether one ends in the second in which the other begins, or before it.

        Growing spans that do not touch any more never will again.
        """
        return self.last <= other.first or other.last <= self.first

    def is_beside(self, other: Span) -> bool:
        """Tell whether neither can repeat the other: they touch, and are not both in that one second."""
        in_one = self.first == self.last == other.first == other.last
        return self.touches(other) and not in_one and not (self.dated or other.dated)


class Ahead(NamedTuple):
    """What is known of rows that were not planned yet.

    `seen` is the span of the first ones. `rest` looks through all that follow, None if that can be read only
    once; `is_all` if nothing follows.
    """

    seen: Span = Span()
    is_all: bool = False
    rest: Callable[[], Span] | None = None


class _Columns(NamedTuple):
    """The columns of a reading, as fingerprints name them: all, those of every row, and by name."""

    all: frozenset[bytes]
    regular: frozenset[bytes]
    passed_over: frozenset[bytes]
    ids: frozenset[bytes]
    names: dict[bytes, str]


class Overlaps:
    """Compares the reading at hand with others; `asked` is what a flag or km.toml says.

    `same` are readings of the same bytes, from the first on: what they have read always repeats.

    Corrected rejects belong to readings of earlier runs: methods are given the number of the row's own.
    """

    def __init__(
        self, ledger: Ledger, reading: Reading, asked: Overlap, same: Iterable[Reading] = ()
    ) -> None:
        self._ledger = ledger
        self._reading = reading
        self._asked = asked
        self._span = Span(reading.first, reading.last, reading.dated)
        self._lines = {one.number: one.line for one in same}
        self._ahead = Ahead()
        self._in_order = True
        self._known: dict[int, Reading] = {}
        self._columns: dict[int, _Columns] = {}
        self._beside: dict[tuple[int, int], bool] = {}
        self._wider: dict[int, Span] = {}
        self._rereading = Rereading()

    @property
    def span(self) -> Span:
        """The span of all rows that were planned."""
        return self._span

    def look_ahead(self, ahead: Ahead, seconds: Iterable[int]) -> None:
        """Take note of what follows; `seconds` are those of the first rows, in their order."""
        self._ahead = ahead
        seconds = list(seconds)
        self._in_order = all(one <= other for one, other in pairwise([self._span.last, *seconds]))

    def see(self, second: int, own: int = 0, *, is_date: bool) -> None:
        """Take note of a row's second before it is planned; `own` is the reading that a reject came from."""
        if own not in (0, self._reading.number):
            wider = self._wider.get(own, Span()).joined(Span(second, second, is_date))
            if wider != self._wider.get(own):
                self._wider[own] = wider
                self._ledger.readings.widen(own, wider.first, wider.last, wider.dated)
                self._beside.clear()
            return
        first, last, dated = self._span
        if second < last:
            self._in_order = False
        self._span = Span(min(first, second) if last else second, max(last, second), dated or is_date)

    def overlap(self, own: int, other: int) -> Overlap:
        """Return what a row of `own` means whose deed `other` has with other values."""
        if self._is_beside(own, other):
            return Overlap.SEPARATE  # whatever a flag says: they cannot repeat each other
        return self._asked if self._asked is not Overlap.ASK else self._of(own).overlap

    def is_read_again(self, own: int, other: int, line: int) -> bool:
        """Tell whether the other reading has read this very line."""
        return own == self._reading.number and line <= self._lines.get(other, 0)

    def is_passed_over(self, own: int, other: int) -> bool:
        """Tell whether `--as-new` was said of `own` because of logs that were read as `other` was."""
        if not (as_new := self._of(own).as_new):
            return False
        there = self._of(other)
        return other in as_new or any(
            (there.mapping, there.personas) == (one.mapping, one.personas) for one in map(self._of, as_new)
        )

    def has_ids(self, own: int) -> bool:
        """Tell whether the rows of a reading have ids of the log's own."""
        return bool(self._columns_of(own).ids)

    def place(self, known: KnownRow) -> str:
        """Return where a row stands, for people."""
        line = f" line {known.line:,}" if known.line else ""
        return f"{self._of(known.reading).source}{line}"

    def cells(self, known: KnownRow) -> Properties:
        """Return the columns of a row as they were sent, if its file can be read again; else none."""
        return self._rereading.cells(self._of(known.reading), known)

    def differing(self, own: int, columns: bytes, known: KnownRow) -> list[str]:
        """Return the columns in which two rows differ, of those that both logs have.

        How a time or an event is written does not count: it is in the deed. An id that one of them has counts
        no more than a column that each row of one log has and no row of the other: it came or went with an
        export. In files of one rotated log all columns count.
        """
        here, there = self._columns_of(own), self._columns_of(known.reading)
        mine, theirs = _pairs(columns), _pairs(known.columns)
        marks = {pair[:4] for pair in mine ^ theirs}
        if marks and not self._is_beside(own, known.reading):
            has_here, has_there = here.all | _names(mine), there.all | _names(theirs)
            marks -= here.passed_over | there.passed_over
            marks -= (here.regular - has_there) | (there.regular - has_here)
            marks -= (here.ids | there.ids) - (_names(mine) & _names(theirs))
        return sorted(here.names.get(mark) or there.names.get(mark, "?") for mark in marks)

    def _is_beside(self, own: int, other: int) -> bool:
        known = self._beside.get((own, other))
        if known is None:
            if len(self._beside) > _MOST_KNOWN:
                self._beside.clear()
            known = self._judged(own, other)
            if known is not None:
                self._beside[own, other] = known
        return bool(known)

    def _judged(self, own: int, other: int) -> bool | None:
        """Tell whether two readings are beside each other; None if more rows may tell otherwise."""
        there = self._span_of(other)
        if not there.last or own == other:
            return False
        if own != self._reading.number:
            return self._span_of(own).is_beside(there)
        here = self._span.joined(self._ahead.seen)
        if not here.touches(there):
            return False
        if self._ahead.is_all:
            return here.is_beside(there)
        if self._ahead.rest is not None:
            self._ahead = Ahead(here.joined(self._ahead.rest()), is_all=True)
            return self._ahead.seen.joined(self._span).is_beside(there)
        # What can be read only once is taken to go on in order, if it is in order so far.
        return here.is_beside(there) if self._in_order and there.last <= here.first else None

    def _span_of(self, number: int) -> Span:
        reading = self._of(number)
        return Span(reading.first, reading.last, reading.dated).joined(self._wider.get(number, Span()))

    def _of(self, number: int) -> Reading:
        if number == self._reading.number:
            return self._reading
        known = self._known.get(number)
        if known is None:
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
                self._columns.clear()
            known = self._known[number] = self._ledger.readings.by_number(number) or _UNKNOWN
        return known

    def _columns_of(self, number: int) -> _Columns:
        known = self._columns.get(number)
        if known is None:
            with self._ledger.decoding("readings"):
                known = self._columns[number] = _columns(self._of(number))
        return known


_UNKNOWN = Reading(0, "", "", "", "an earlier import", (), "")
"""A reading that the ledger does not have, though it should."""


def _columns(reading: Reading) -> _Columns:
    names = {column_fingerprint(name): name for name in (*reading.columns, *reading.regular)}
    if not reading.mapping:
        return _Columns(frozenset(names), frozenset(), frozenset(), frozenset(), names)
    columns = Mapping.from_json(reading.mapping).columns
    ignored = {mark for mark, name in names.items() if columns.is_ignored(name)}
    ignored.update(map(column_fingerprint, columns.ignore))
    notation = {column_fingerprint(name) for name in (columns.event, columns.timestamp) if name}
    regular = frozenset(map(column_fingerprint, reading.regular)) - ignored
    ids = frozenset([column_fingerprint(columns.id)] if columns.id else [])
    return _Columns(frozenset(names), regular, frozenset(ignored | notation), ids, names)


def _names(pairs: set[bytes]) -> set[bytes]:
    return {pair[:4] for pair in pairs}


def _pairs(columns: bytes) -> set[bytes]:
    return {columns[at : at + 8] for at in range(0, len(columns), 8)}
