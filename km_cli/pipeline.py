"""The one loop: files → rows → events → sequences → plans → batches, for import and dry run alike.

Every stage is an iterator, memory stays constant, and what a batch is made of depends on nothing but the
input's order and the ledger: not on its size, not on how fast it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from hashlib import sha256
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, Protocol

from km_cli.config import Settings
from km_cli.dispatch import Batch, Dispatch, Stopped
from km_cli.errors import InputError, KmError, ReadError
from km_cli.inputs import Item, Opened, Place, Source, open_reader
from km_cli.ledger import Ledger, Reading
from km_cli.mapping import Columns, Mapper, Mapping, Wanted, recognise
from km_cli.model import Clock, Event, Finding, Gap, Plan, Reject, Row, Sequence
from km_cli.planning import Planner
from km_cli.rules import Rules
from km_cli.strategies import expand
from km_cli.tally import Tally

if TYPE_CHECKING:
    from hashlib import _Hash

_PREVIEW_ROWS = 1000
_PREVIEW_BYTES = 16 << 20
_JUDGED_ROWS = 200
_FEWEST_JUDGED = 10
_BATCH_BYTES = 4 << 20

Mapped = Event | Reject | Gap


class Observer(Protocol):
    """Sees what happens, for people; the pipeline itself prints nothing."""

    def opened(self, source: str, columns: Columns, reading: Reading) -> None:
        """An input is understood; `reading.length` is more than 0 if it goes on where it stopped."""
        ...

    def planned(self, sequence: Sequence, plan: Plan) -> None:
        """A row is planned."""
        ...

    def shipping(self) -> None:
        """A batch is about to be shipped. May raise Stopped."""
        ...

    def shipped(self, tally: Tally, reading: Reading) -> None:
        """A batch was shipped, and the reading got as far as that."""
        ...


class _Cursor:
    """How far a reading got: the bytes behind it and their hash."""

    def __init__(self, reading: Reading, state: _Hash) -> None:
        self.reading = reading
        self._state = state

    def advance(self, raw: bytes, rows: int, rejected: int) -> None:
        """Go on over `raw`, which holds so many rows."""
        if not raw and not rows:
            return
        self._state.update(raw)
        at = self.reading
        self.reading = at._replace(
            length=at.length + len(raw),
            line=at.line + _line_ends(raw),
            rows=at.rows + rows,
            rejected=at.rejected + rejected,
            digest=self._state.digest(),
        )


class _Mappers:
    """The mapper of an input, and those of the readings that corrected rejects come from."""

    def __init__(
        self, ledger: Ledger, make: Callable[[Mapping], Mapper], own: Mapping, settings: Settings
    ) -> None:
        self._ledger = ledger
        self._make = make
        self._settings = settings
        self._mapping = own
        self._known: dict[str, Mapper] = {}
        self.own = make(own)

    def of(self, row: Row) -> Mapper:
        """Return the mapper for a row; what the flags ask for goes before what its reading knew."""
        if row.origin is None or self._settings.wanted != Wanted():
            return self.own
        token = row.origin.reading
        if token not in self._known:
            reading = self._ledger.readings.by_token(token)
            mapping = Mapping.from_json(reading.mapping) if reading else self._mapping
            if any(self._settings.clocking):
                mapping = mapping._replace(clocking=self._settings.clocking)
            self._known[token] = self._make(mapping)
        return self._known[token]


class _Found(NamedTuple):
    """A reading that an input goes on with (or a new one), and the hash of what is behind it."""

    reading: Reading
    mapping: Mapping
    state: _Hash


class Pipeline:
    """Takes sources one after the other and ships them in batches."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        dispatch: Dispatch,
        tally: Tally,
        observer: Observer,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._dispatch = dispatch
        self._tally = tally
        self._observer = observer
        self._clock = clock
        self._left = settings.limit
        self._rules = Rules()

    def run(self, sources: Iterable[Source]) -> None:
        """Take every source in turn. Raises Stopped, InputError, ReadError, LedgerFailed."""
        for source in sources:
            if self._left == 0:
                return
            opened = open_reader(source)
            try:
                if not opened.empty:
                    self._take(opened)
            finally:
                opened.close()

    def _take(self, opened: Opened) -> None:
        found = self._find(opened)
        reading = found.reading
        self._observer.opened(opened.source.name, found.mapping.columns, reading)
        self._tally.rows.skipped += reading.rows
        self._tally.rejected_before += reading.rejected
        place = Place(reading.length, reading.line + 1) if reading.length else None
        reader = opened.reader(place)
        mappers = _Mappers(self._ledger, partial(self._mapper, opened), found.mapping, self._settings)
        planner = Planner(
            self._ledger.slots,
            self._settings.target.tracker,
            reading.number,
            spread=self._settings.spread,
            collisions=self._settings.collisions,
        )
        cursor = _Cursor(reading, found.state)
        cursor.advance(reader.preamble, 0, 0)
        mapped = self._preview(self._map(reader.items(), mappers, opened), opened)
        self._ship(mapped, planner, cursor, keeps_cursor=opened.format != "rejects")

    # Which reading is this?

    def _find(self, opened: Opened) -> _Found:
        """Know a file again by the bytes already read under the same mapping, whatever its name (promise 5).

        A rejects file has no reading to go on with: its rows belong to the readings they came from.
        """
        asked = self._settings.asked
        if opened.source.path is not None and opened.format != "rejects":
            lengths = self._ledger.readings.lengths(asked)
            for length, state in reversed(opened.source.longest_known(lengths)):
                reading = self._ledger.readings.known(asked, length, state.digest())
                if reading is not None:
                    mapping = Mapping.from_json(reading.mapping)
                    return _Found(reading._replace(source=opened.source.name), mapping, state)
        mapping = self._mapping(opened)
        reading = self._ledger.readings.begin(
            asked, mapping.to_json(), opened.source.name, opened.columns, opened.delimiter
        )
        return _Found(reading, mapping, sha256())

    def _mapping(self, opened: Opened) -> Mapping:
        """Recognise the columns; those of a rejects file are known from the readings it came from."""
        if opened.token and self._settings.wanted == Wanted():
            known = self._ledger.readings.by_token(opened.token)
            if known is not None:
                return Mapping.from_json(known.mapping)
        columns = recognise(
            self._settings.wanted, opened.columns, opened.source.name, tabular=opened.format == "delimited"
        )
        return Mapping(columns, self._settings.clocking)

    def _mapper(self, opened: Opened, mapping: Mapping) -> Mapper:
        return Mapper(
            mapping.columns,
            opened.columns,
            tabular=opened.format == "delimited",
            personas=tuple(persona.name for persona in self._settings.personas),
            clocking=mapping.clocking,
            allowed=self._settings.allowed,
            now=self._clock.now(),
            note=self._tally.note,
        )

    # Rows to events

    def _map(self, items: Iterable[Item], mappers: _Mappers, opened: Opened) -> Iterator[Mapped]:
        """Map every row; stop after --limit rows."""
        for item in items:
            if isinstance(item, Gap):
                yield item
                continue
            if self._left is not None:
                if self._left == 0:
                    return
                self._left -= 1
            yield mappers.of(item).map(item) if isinstance(item, Row) else item
        unit = mappers.own.unit
        if unit not in ("", "seconds"):
            message = f"times are {unit} since 1970, by their magnitude"
            self._tally.note(Finding("time-unit", message, opened.source.name, 0))

    def _preview(self, mapped: Iterator[Mapped], opened: Opened) -> Iterator[Mapped]:
        """Look at the first rows before any of them is planned, so that what is wrong as a whole shows."""
        seen: list[Mapped] = []
        size = 0
        try:
            for one in mapped:
                seen.append(one)
                size += len(_raw(one))
                if len(seen) >= _PREVIEW_ROWS or size >= _PREVIEW_BYTES:
                    break
        except ReadError as error:
            mapped = _raising(error)
        if opened.format != "rejects":
            self._judge([one for one in seen if type(one) is not Gap][:_JUDGED_ROWS], opened)
        return chain(seen, mapped)

    def _judge(self, first: list[Mapped], opened: Opened) -> None:
        """Raise InputError if most of the first rows are bad: the mapping is wrong, not the rows."""
        bad = [one for one in first if type(one) is Reject]
        if len(first) >= _FEWEST_JUDGED and len(bad) * 2 > len(first):
            raise InputError(
                f"{opened.source.name}: {len(bad)} of the first {len(first)} rows are bad, "
                f"line {bad[0].row.line} for one: {bad[0].reason}",
                f"say which column is which; columns found: {', '.join(opened.columns[:12])}",
            )

    # Events to batches

    def _ship(
        self, mapped: Iterator[Mapped], planner: Planner, cursor: _Cursor, *, keeps_cursor: bool
    ) -> None:
        """Plan in order and ship in batches; what was planned before an error stands."""
        batch = _Gathering()
        try:
            for one in mapped:
                batch.add(one, self._plan(one, planner))
                if batch.rows >= self._settings.batch_size or batch.size >= _BATCH_BYTES:
                    self._send(batch, cursor, at_end=False)
                    batch = _Gathering()
        except Stopped:
            raise
        except KmError:
            self._send(batch, cursor, at_end=False)
            raise
        self._send(batch, cursor, at_end=keeps_cursor and self._left != 0)

    def _plan(self, one: Mapped, planner: Planner) -> Plan | None:
        if type(one) is Reject:
            self._tally.reject(one)
            self._tally.rows.rejected += 1
        if type(one) is not Event:
            return None
        for finding in self._rules.look(one):
            self._tally.note(finding)
        sequence = expand(one, self._settings.personas)
        plan = planner.plan(sequence, self._reading_of(one.row))
        self._observer.planned(sequence, plan)
        return plan

    def _reading_of(self, row: Row) -> int:
        """Return the reading that a corrected reject belongs to; 0 for rows of this one."""
        if row.origin is None:
            return 0
        known = self._ledger.readings.by_token(row.origin.reading)
        return known.number if known else 0

    def _send(self, batch: _Gathering, cursor: _Cursor, *, at_end: bool) -> None:
        cursor.advance(b"".join(batch.raws), batch.rows, batch.rejected)
        self._observer.shipping()
        self._dispatch.ship(Batch(batch.plans, batch.rejects, cursor.reading, at_end))
        self._observer.shipped(self._tally, cursor.reading)


class _Gathering:
    """A batch in the making."""

    def __init__(self) -> None:
        self.plans: list[Plan] = []
        self.rejects: list[Reject] = []
        self.raws: list[bytes] = []
        self.rows = 0
        self.rejected = 0
        self.size = 0

    def add(self, one: Mapped, plan: Plan | None) -> None:
        """Add a row, or bytes that belong to none."""
        raw = _raw(one)
        self.raws.append(raw)
        self.size += len(raw)
        if type(one) is Gap:
            return
        self.rows += 1
        if type(one) is Reject:
            self.rejects.append(one)
            self.rejected += 1
        elif plan is not None:
            self.plans.append(plan)
            self.rejected += bool(plan.rejects)


def _line_ends(raw: bytes) -> int:
    return len((raw + b".").splitlines()) - 1


def _raising(error: KmError) -> Iterator[Mapped]:
    """Raise an error only when its turn comes: what was whole before it is dealt with."""
    yield from ()
    raise error


def _raw(one: Mapped) -> bytes:
    return one.raw if isinstance(one, Gap) else one.row.raw
