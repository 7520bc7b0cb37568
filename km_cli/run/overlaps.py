"""How the current reading overlaps with the other readings of the ledger: in time and in columns.

Rotation cuts a log in two: one file ends in the second in which the next one begins, and no row is in both.
Such readings cannot repeat each other, so two rows of that second are two events (promise 5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import NamedTuple

from km_cli.ledger import Ledger, Reading
from km_cli.mapping import Mapping
from km_cli.memory import Remembered
from km_cli.model import KnownRow, Overlap, Properties
from km_cli.model.making import maker
from km_cli.planning.digests import column_fingerprint
from km_cli.run.rereading import Rereading

_MOST_KNOWN = 64


class Span(NamedTuple):
    """The seconds from the first event of a reading to its last; 0 for none.

    `dated` if some times have no time of day: then a second stands for a whole day.
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
        """Tell whether one span ends in the second in which the other begins, or before it.

        Spans only grow: once they overlap by more than that, they always will.
        """
        return self.last <= other.first or other.last <= self.first

    def is_beside(self, other: Span) -> bool:
        """Tell whether neither reading can repeat the other.

        They touch, and do not both lie in that one second as a whole. Dates without a time of day have no
        such edge: a second stands for a day, and the events of a day may well be in both.
        """
        in_one = self.first == self.last == other.first == other.last
        return self.touches(other) and not in_one and not (self.dated or other.dated)


_span = maker(Span)


class Ahead(NamedTuple):
    """The times of rows that were not planned yet.

    `seen` is the span of the first rows, and `is_all` says that no others follow. `rest` reads the others and
    returns their span; it is None for an input that can be read only once.
    """

    seen: Span = Span()
    is_all: bool = False
    rest: Callable[[], Span] | None = None


class _Columns(NamedTuple):
    """The columns of a reading as fingerprints: all of them, those that every row has, the ids, and names."""

    all: frozenset[bytes]
    regular: frozenset[bytes]
    passed_over: frozenset[bytes]
    ids: frozenset[bytes]
    names: dict[bytes, str]


class Overlaps:
    """Compares the current reading with others. `asked` is the overlap that a flag or km.toml asks for.

    `same` are readings that begin with the same bytes. Lines that they have read are always repeats.

    A corrected reject belongs to the reading that rejected it, so the methods take the number of the row's
    own reading.
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
        self._known: Remembered[int, Reading] = Remembered(_MOST_KNOWN)
        self._columns: Remembered[int, _Columns] = Remembered(_MOST_KNOWN)
        self._beside: Remembered[tuple[int, int], bool] = Remembered(_MOST_KNOWN)
        self._same_bytes: Remembered[int, tuple[int, ...]] = Remembered(_MOST_KNOWN)
        self._wider: dict[int, Span] = {}
        self._rereading = Rereading(ledger.secret)

    @property
    def span(self) -> Span:
        """The span of all rows that were planned."""
        return self._span

    def look_ahead(self, ahead: Ahead, seconds: Iterable[int]) -> None:
        """Note the times that follow; `seconds` are those of the first rows, in their order."""
        self._ahead = ahead
        seconds = list(seconds)
        self._in_order = all(one <= other for one, other in pairwise([self._span.last, *seconds]))

    def see(self, second: int, own: int = 0, *, is_date: bool) -> None:
        """Note the second of a row before it is planned; `own` is the reading of a corrected reject."""
        if own not in (0, self._reading.number):
            wider = self._wider.get(own, Span()).joined(Span(second, second, is_date))
            if wider != self._wider.get(own):
                self._wider[own] = wider
                self._ledger.readings.widen(own, wider.first, wider.last, wider.dated)
                self._beside.clear()
            return
        first, last, dated = self._span
        if first <= second <= last and (dated or not is_date):
            self._in_order = self._in_order and second == last
            return
        if second < last:
            self._in_order = False
        self._span = _span((min(first, second) if last else second, max(last, second), dated or is_date))

    def overlap(self, own: int, other: int) -> Overlap:
        """Return how to treat a row of `own` if `other` has its deed with other values."""
        if self._is_beside(own, other):
            return Overlap.SEPARATE  # under any flag, as the two readings cannot repeat each other
        return self._asked if self._asked is not Overlap.ASK else self._reading_numbered(own).overlap

    def is_read_again(self, own: int, other: int, line: int) -> bool:
        """Tell whether the other reading has read this line of the same bytes."""
        return own == self._reading.number and line <= self._lines.get(other, 0)

    def of_same_bytes(self, own: int) -> tuple[int, ...]:
        """Return the other readings that have read exactly the bytes that `own` has read.

        A file that grew since under one of two mappings is not found: the ledger keeps how far each reading
        got, and the hash of its bytes up to there alone.
        """
        known = self._same_bytes.get(own)
        if known is None:
            reading, heads = self._reading_numbered(own), self._ledger.readings.heads
            same = heads.matching(reading.length, reading.digest) if reading.length else []
            known = tuple(head.number for head in same if head.number != own)
            self._same_bytes.remember(own, known)
        return known

    def is_passed_over(self, own: int, other: int) -> bool:
        """Tell whether `own` was sent `--as-new` and is therefore not matched with `other`.

        All readings with the meaning of `other` are passed over, not just that one: a log of the same meaning
        that was sent meanwhile would otherwise pass for this one.
        """
        if not (as_new := self._reading_numbered(own).as_new):
            return False
        there = self._reading_numbered(other)
        return other in as_new or any(
            (there.mapping, there.personas) == (one.mapping, one.personas)
            for one in map(self._reading_numbered, as_new)
        )

    def has_ids(self, own: int) -> bool:
        """Tell whether the log of a reading has a column of ids."""
        return bool(self._columns_of(own).ids)

    def place(self, known: KnownRow) -> str:
        """Return the place of a row for a message: file and line."""
        line = f" line {known.line:,}" if known.line else ""
        return f"{self._reading_numbered(known.reading).source}{line}"

    def cells(self, known: KnownRow) -> Properties:
        """Return the columns of a row as they were sent, if its file can be read again; else none."""
        return self._rereading.cells(self._reading_numbered(known.reading), known)

    def differing(self, own: int, columns: bytes, known: KnownRow) -> list[str]:
        """Return the names of the columns in which two rows differ.

        The columns of the time and of the event do not count, as the deed holds both, however they are
        written. A column that every row of one log has and no row of the other does not count either: an
        export gained or lost it. The same holds for an id that only one row has. In the files of one rotated
        log all columns count: their columns are the same, and an absent value is a blank one.
        """
        here, there = self._columns_of(own), self._columns_of(known.reading)
        mine, theirs = _pairs(columns), _pairs(known.columns)
        differing = {pair[:4] for pair in mine ^ theirs}
        if differing and not self._is_beside(own, known.reading):
            has_here, has_there = here.all | _names(mine), there.all | _names(theirs)
            differing -= here.passed_over | there.passed_over
            differing -= (here.regular - has_there) | (there.regular - has_here)
            differing -= (here.ids | there.ids) - (_names(mine) & _names(theirs))
        return sorted(here.names.get(one) or there.names.get(one, "?") for one in differing)

    def has_other_form(self, own: int, other: int) -> bool:
        """Tell whether one of two logs has a column as one text, and the other has its members as columns.

        The cells of a table may hold JSON, for example the `properties` of an export.
        """
        here, there = (self._columns_of(number).names.values() for number in (own, other))
        return _opens(here, there) or _opens(there, here)

    def _is_beside(self, own: int, other: int) -> bool:
        known = self._beside.get((own, other))
        if known is None:
            known = self._judged(own, other)
            if known is not None:
                self._beside.remember((own, other), known)
        return bool(known)

    def _judged(self, own: int, other: int) -> bool | None:
        """Tell whether two readings are beside each other; None if later rows may still decide that."""
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
        # An input that can be read only once is expected to stay in order if it is so far.
        return here.is_beside(there) if self._in_order and there.last <= here.first else None

    def _span_of(self, number: int) -> Span:
        reading = self._reading_numbered(number)
        return Span(reading.first, reading.last, reading.dated).joined(self._wider.get(number, Span()))

    def _reading_numbered(self, number: int) -> Reading:
        if number == self._reading.number:
            return self._reading
        known = self._known.get(number)
        if known is None:
            known = self._known.remember(number, self._ledger.readings.by_number(number) or _UNKNOWN)
        return known

    def _columns_of(self, number: int) -> _Columns:
        known = self._columns.get(number)
        if known is None:
            with self._ledger.decoding("readings"):
                known = self._columns.remember(number, _columns(self._reading_numbered(number)))
        return known


_UNKNOWN = Reading(0, "", "", "", "an earlier import", (), "")
"""Stands in for a reading that is missing from the ledger."""


def _columns(reading: Reading) -> _Columns:
    names = {column_fingerprint(name): name for name in (*reading.columns, *reading.regular)}
    if not reading.mapping:
        return _Columns(frozenset(names), frozenset(), frozenset(), frozenset(), names)
    columns = Mapping.from_json(reading.mapping).columns
    ignored = {column for column, name in names.items() if columns.is_ignored(name)}
    ignored.update(map(column_fingerprint, columns.ignore))
    notation = {
        column_fingerprint(name) for name in (columns.event, columns.timestamp, *columns.times) if name
    }
    regular = frozenset(map(column_fingerprint, reading.regular)) - ignored
    ids = frozenset([column_fingerprint(columns.id)] if columns.id else [])
    return _Columns(frozenset(names), regular, frozenset(ignored | notation), ids, names)


def _opens(names: Iterable[str], others: Iterable[str]) -> bool:
    """Tell whether one of these columns is a member of one of the others."""
    return not {name.partition(".")[0] for name in names if "." in name}.isdisjoint(others)


def _names(pairs: set[bytes]) -> set[bytes]:
    return {pair[:4] for pair in pairs}


def _pairs(columns: bytes) -> set[bytes]:
    return {columns[at : at + 8] for at in range(0, len(columns), 8)}
