"""Reads logs once and gathers who did which step when. Rows come as in a dry run, up to their events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from operator import itemgetter
from typing import NamedTuple, cast

import km_cli.run.registered  # noqa: F401 - rejects are an input format, too
from km_cli.compare.funnel import Funnel
from km_cli.compare.table import Table
from km_cli.config.settings import Settings
from km_cli.errors import InputError
from km_cli.inputs import Opened, Source, open_reader
from km_cli.kissmetrics import fold_name
from km_cli.ledger import Ledger
from km_cli.mapping import Columns, ConditionsSeen, EventsSeen, LeftOut, Mapper
from km_cli.model import NANOSECONDS, Event, Finding, Gap, Reject, Row
from km_cli.run.batch import Mapped
from km_cli.run.doubts import doubts
from km_cli.run.first_rows import judge, preview
from km_cli.run.opening import Openings
from km_cli.run.tally import Tally

_MOST_NAMES = 65_535
"""Names of events that are told apart: more than a product of Kissmetrics can have (D8)."""

_MOST_PROPERTIES = 200
_MOST_WAITING = 1000
"""Events that are written together. So many stay in the processor's cache."""

_identity_of = itemgetter(0)
"""Returns the identity of a persona's part: faster than the name of the field, for each row of a log."""

_STEP_ONE = 0
"""The number of step one. A log without a funnel has no event of this number."""

_NOT_WANTED = -1
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


class EventNames:
    """The numbers of events. With a funnel they are the places of its steps, and others have none."""

    def __init__(self, funnel: Funnel | None) -> None:
        self._is_open = funnel is None
        self._numbers: dict[str, int] = {} if funnel is None else funnel.places
        self.names: list[str] = [""] if funnel is None else list(funnel.steps)
        self._known: dict[str, int] = {}
        self.seen: dict[str, str] = {}
        """The names of events that rows have, by the name that Kissmetrics knows each by.

        Of several spellings it is the first by alphabet: the order of the rows does not matter.
        """

    def numbers_of(self, names: Sequence[str]) -> Sequence[int]:
        """Return the number of each event, -1 if it is not wanted."""
        found = list(map(self._known.get, names))
        return [self.number(name) for name in names] if None in found else cast("list[int]", found)

    def number(self, name: str) -> int:
        """Return the number of an event, -1 if it is not wanted."""
        found = self._known.get(name)
        return self._new_number(name) if found is None else found

    def _new_number(self, name: str) -> int:
        folded, spelled = fold_name(name), name.strip()
        if folded in self.seen or len(self.seen) < _MOST_NAMES:
            spelled = self.seen[folded] = min(spelled, self.seen.get(folded, spelled))
        found = self._numbers.get(folded, _NOT_WANTED)
        if self._is_open and found != _NOT_WANTED:
            self.names[found] = spelled
        elif self._is_open and len(self.names) < _MOST_NAMES:
            found = self._numbers[folded] = len(self.names)
            self.names.append(spelled)
        if len(self._known) < _MOST_NAMES:
            self._known[name] = found
        return found


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
        self._settings = settings
        self._table = table
        self._tally = tally
        self._follower = follower
        self._now = now
        self._left = settings.limit
        self._conditions = ConditionsSeen(settings.column_options.where, settings.named_at)
        self._seen = EventsSeen(settings.selection, settings.personas, settings.skipped, self._conditions)
        self._openings = Openings(settings, ledger, self._seen, tally, now, lambda: None)
        self.events = EventNames(funnel)
        self._by = fold_name(by)
        self._first, self._last = _NEVER, 0
        self._has_values = False
        self.properties: dict[str, None] = {}
        """Names of columns and properties, to propose one for a name that no row has."""

    @property
    def knows_by(self) -> bool:
        """Whether there is such a property as --by names: a row of step one has it, or it is a column."""
        return self._has_values or self._by in map(fold_name, self.properties)

    @property
    def span(self) -> Span:
        """The time from the first event of the log to the last."""
        return Span(self._first, self._last) if self._last else Span()

    def run(self, sources: Iterable[Source]) -> None:
        """Take every source in turn, then finish the table. Raises InputError, ReadError, UsageError."""
        for source in sources:
            if self._left == 0:
                break
            with closing(open_reader(source)) as opened:
                opened.source.verify(lambda: None)
                if not opened.empty:
                    self._take(opened)
                self._tally.add_normalised(opened.normalised)
        self._table.finish()
        self._note_unseen()

    def _note_unseen(self) -> None:
        if self._left == 0:
            return
        if unseen := self._seen.unseen():
            self._tally.note(Finding("no-such-event", "; ".join(unseen), "", 0))
        if unmet := "; ".join(self._conditions.unmet()):
            self._tally.note(Finding("unmet-condition", unmet, "", 0))

    def _take(self, opened: Opened) -> None:
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
        ahead = preview(self._mapped(opened, mapper))
        judge(ahead.first, opened, mapping, self._now)
        for finding in doubts(ahead.events, mapping.columns, opened.source.name):
            self._tally.note(finding)
        self._count_all(ahead.mapped)

    def _count_all(self, mapped: Iterable[Mapped]) -> None:
        """Take the events of an input, and count its other rows. This loop runs for each row of a log."""
        waiting = _Waiting([], [], [])
        groups, names, moments = waiting
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
        self._write(waiting)

    def _write(self, waiting: _Waiting) -> None:
        """Write the events that wait into the table."""
        if not waiting.names:
            return
        self._table.take(waiting.groups, waiting.moments, self.events.numbers_of(waiting.names))
        self._first = min(self._first, min(waiting.moments) // NANOSECONDS)
        self._last = max(self._last, max(waiting.moments) // NANOSECONDS)
        self._tally.rows.sent += len(waiting.names)
        self._follower.progressed(self._tally.rows.read)
        for each in waiting:
            each.clear()

    def _mapped(self, opened: Opened, mapper: Mapper) -> Iterator[Mapped]:
        """Yield every row mapped, up to --limit rows of the selection."""
        map_row = mapper.map
        for item in opened.reader().items():
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
