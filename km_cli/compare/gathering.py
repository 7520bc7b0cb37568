"""Reads logs once and gathers who did which step when. Rows come as in a dry run, up to their events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from operator import itemgetter
from typing import NamedTuple

import km_cli.run.registered  # noqa: F401 - rejects are an input format, too
from km_cli.compare.event_names import EventNames
from km_cli.compare.funnel import Funnel
from km_cli.compare.table import Table
from km_cli.config.settings import Settings
from km_cli.errors import InputError
from km_cli.inputs import Item, Opened, Source, open_reader
from km_cli.kissmetrics import fold_name
from km_cli.ledger import Ledger
from km_cli.mapping import Columns, LeftOut, Mapper
from km_cli.model import NANOSECONDS, Event, Gap, Persona, Reject, Row
from km_cli.run.batch import Mapped
from km_cli.run.cursor import HeldBack
from km_cli.run.doubts import doubts
from km_cli.run.first_rows import judge, preview
from km_cli.run.opening import Openings
from km_cli.run.tally import Tally
from km_cli.run.unseen import note_unseen, seen_under

_MOST_PROPERTIES = 200
_MOST_WAITING = 1000
"""Events that are written together. So many stay in the processor's cache."""

_identity_of = itemgetter(0)
"""Returns the identity of a persona's part: faster than the name of the field, for each row of a log."""

MOST_LOGS = 20
_STEP_ONE = 0
"""The number of step one. A log without a funnel has no event of this number."""

_NEVER = 1 << 62


class Follower:
    """Follows a comparison. Most of its methods do nothing; the command line overrides them.

    `columns` has the column of each persona's identity in the first input.
    """

    def __init__(self) -> None:
        self.columns: dict[str, str] = {}

    def opened(self, source: str, columns: Columns) -> None:  # noqa: ARG002 - for those who override it
        """An input was opened, and its columns are known."""
        self.columns = self.columns or {one.persona: one.identity for one in columns.personas}

    def began(self, opened: Opened) -> None:
        """An input is read from now on."""

    def progressed(self, rows: int) -> None:
        """So many rows were read."""

    def stage(self, strategy: str) -> Callable[[int], None]:  # noqa: ARG002 - as above
        """A strategy is rehearsed. Return a function that is told how many rows are planned."""
        return lambda _rows: None


class Span(NamedTuple):
    """The seconds of the first and the last event, 0 if there is none."""

    first: int = 0
    last: int = 0


class LogRead(NamedTuple):
    """An input that was read: its name, how many rows it has, and the time of its events."""

    name: str
    rows: int
    span: Span


class _Waiting(NamedTuple):
    """Events that wait to be written: the names of the group, the event, the moment in ns."""

    groups: list[tuple[str, ...]]
    names: list[str]
    moments: list[int]


class Gathering:
    """Takes inputs one after the other into a table.

    `tally` counts the rows and the reasons of rejects. `by` is the name of the property whose value at step
    one is kept, "" for none.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        table: Table,
        funnel: Funnel | None,
        by: str,
        tally: Tally,
        follower: Follower,
        now: float,
    ) -> None:
        self._ledger = ledger
        self._table = table
        self._tally = tally
        self._follower = follower
        self._now = now
        self._left = settings.limit
        self._sees_all = True
        self._taken: set[tuple[int, int, str]] = set()
        self.rules: list[tuple[Persona, ...]] = []
        """Personas whose events are limited in different ways: a source may have events lists of its own."""
        self.events = EventNames(funnel)
        self._by = fold_name(by)
        self._first, self._last = _NEVER, 0
        self._has_values = False
        self.properties: dict[str, None] = {}
        """Names of columns and properties, to propose one for a name that no row has."""
        self.logs: list[LogRead] = []
        """The first inputs."""
        self.inputs = 0
        self._begin(settings)

    def turn_to(self, settings: Settings) -> None:
        """Take the next inputs under these settings."""
        self._note_unseen()
        self._begin(settings)

    def _begin(self, settings: Settings) -> None:
        self._seen = seen_under(settings)
        self._asked = settings.asked_of_files
        self._rule = tuple(map(_rule_of, settings.personas))
        self._openings = Openings(settings, self._ledger, self._seen, self._tally, self._now, lambda: None)

    @property
    def knows_by(self) -> bool:
        """Whether there is such a property as --by names: a row of step one has it, or it is a column."""
        return self._has_values or self._by in map(fold_name, self.properties)

    @property
    def span(self) -> Span:
        """The time from the first event of the log to the last."""
        return Span(self._first, self._last) if self._last else Span()

    def run(self, sources: Iterable[Source]) -> None:
        """Take every source in turn. Raises InputError, ReadError, UsageError."""
        for source in sources:
            if self.is_full:
                break
            with closing(open_reader(source)) as opened:
                self.take(opened)
        self.end()

    @property
    def is_full(self) -> bool:
        """Whether as many rows were taken as may be (--limit)."""
        return self._left == 0

    def take(self, opened: Opened, may_grow: Callable[[], bool] | None = None) -> bool:
        """Take an input that was opened; return whether it was taken to its end.

        `may_grow`, if given, is asked at the end: a last record that may still grow is left out.
        """
        if self._was_taken(opened.source):
            return True
        opened.source.verify(lambda: None)
        try:
            return opened.empty or (self._take(opened, may_grow) and not self.is_full)
        finally:
            self._tally.add_normalised(opened.normalised)

    def _was_taken(self, source: Source) -> bool:
        """Tell whether a file was taken before under these settings: two sources may have it."""
        if source.stamp is None:
            return False
        file = source.stamp.device, source.stamp.inode, self._asked
        if file in self._taken:
            return True
        self._taken.add(file)
        return False

    def pass_over(self) -> None:
        """Note that not all rows of the sources are seen, so that no event can be called absent."""
        self._sees_all = False

    def end(self) -> None:
        """Finish the table, and note the findings that show only at the end."""
        self._table.finish()
        self._note_unseen()

    def _note_unseen(self) -> None:
        if self._sees_all and not self.is_full:
            note_unseen(self._seen, self._tally)

    def _take(self, opened: Opened, may_grow: Callable[[], bool] | None) -> bool:
        if opened.format.holds_rejects:
            raise InputError(
                f"{opened.source.name} is a file of rejects, not a log",
                "give the log itself: compare counts its good rows, and says how many are bad",
            )
        mapping = self._openings.mapping(opened)
        self._follower.began(opened)
        self._follower.opened(opened.source.name, mapping.columns)
        self.properties.update(dict.fromkeys(opened.columns[:_MOST_PROPERTIES]))
        mapper = self._openings.mapper(opened, mapping, with_cells=bool(self._by))
        reader = opened.reader()
        items = reader.items()
        held_back = HeldBack(items, may_grow, reader.is_open) if may_grow else None
        ahead = preview(self._mapped(held_back or items, mapper))
        judge(ahead.first, opened, mapping, self._now)
        for finding in doubts(ahead.events, mapping.columns, opened.source.name):
            self._tally.note(finding)
        self._count_log(opened.source.name, ahead.mapped)
        if held_back is None:
            return True
        self._tally.rows.held += held_back.rows
        return not held_back.held

    def _count_log(self, name: str, mapped: Iterable[Mapped]) -> None:
        """Count all rows of an input, and note how many it has and of which time."""
        before, rows = self.span, self._tally.rows.read
        self._first, self._last = _NEVER, 0
        try:
            self._count_all(mapped)
        finally:
            self.inputs += 1
            if len(self.logs) < MOST_LOGS:
                self.logs.append(LogRead(name, self._tally.rows.read - rows, self.span))
            if before.last:
                self._first, self._last = min(self._first, before.first), max(self._last, before.last)

    def _count_all(self, mapped: Iterable[Mapped]) -> None:
        """Take the events of an input, and count its other rows. This loop runs for each row of a log."""
        waiting = _Waiting([], [], [])
        groups, names, moments = waiting
        try:
            for one in mapped:
                if type(one) is not Event:
                    self._count(one)
                    continue
                _, parts, name, moment, _, _, _, _, _ = one
                group = tuple(map(_identity_of, parts))
                if not name:  # It only sets properties.
                    self._table.group(group)
                    self._tally.rows.sent += 1
                    continue
                groups.append(group)
                names.append(name)
                moments.append(moment)
                if self._by:
                    self._take_value(one, group)
                if len(names) >= _MOST_WAITING:
                    self._write(waiting)
        finally:  # also of a file that cannot be read any further
            self._write(waiting)

    def _write(self, waiting: _Waiting) -> None:
        """Write the events that wait into the table."""
        if not waiting.names:
            return
        if self._rule not in self.rules:
            self.rules.append(self._rule)
        numbers, rule = self.events.numbers_of(waiting.names), self.rules.index(self._rule)
        self._table.take(waiting.groups, waiting.moments, numbers, rule)
        self._first = min(self._first, min(waiting.moments) // NANOSECONDS)
        self._last = max(self._last, max(waiting.moments) // NANOSECONDS)
        self._tally.rows.sent += len(waiting.names)
        self._follower.progressed(self._tally.rows.read)
        for each in waiting:
            each.clear()

    def _mapped(self, items: Iterable[Item], mapper: Mapper) -> Iterator[Mapped]:
        """Yield every row mapped, up to --limit rows of the selection."""
        map_row = mapper.map
        for item in items:
            if self._left is None or type(item) is Gap:
                yield map_row(item) if isinstance(item, Row) else item
                continue
            if self._left == 0:
                return
            one = map_row(item) if isinstance(item, Row) else item
            if type(one) is not LeftOut:
                self._left -= 1
            yield one

    def _count(self, one: Mapped) -> None:
        """Count a row that is no event."""
        if type(one) is Reject:
            self._tally.reject(one)
            self._tally.rows.rejected += 1
        elif type(one) is not Gap:
            self._tally.rows.skipped += 1

    def _take_value(self, event: Event, group: tuple[str, ...]) -> None:
        """Keep the value that an event of step one has of the property that --by names."""
        if self.events.number(event.name) == _STEP_ONE:
            self._table.take_value(group, event.moment, self._value(event))

    def _value(self, event: Event) -> str:
        """Return the value of the property that --by names, or of the column, "" if the row has none."""
        pairs = (*event.properties, *event.cells)
        for name, value in pairs:
            if fold_name(name) == self._by:
                self._has_values = True
                return value
        if not self._has_values and len(self.properties) < _MOST_PROPERTIES:
            self.properties.update((name, None) for name, _ in pairs)
        return ""


def _rule_of(persona: Persona) -> Persona:
    """Return a persona with nothing but the events that it does, and their names."""
    return Persona(
        persona.name,
        persona.site,
        events=persona.events,
        rename=persona.rename,
        excepted=persona.excepted,
    )
