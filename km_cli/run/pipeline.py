"""The one loop: files → rows → events → sequences → plans → batches, for import and dry run alike.

Every stage is an iterator, so that memory stays constant. The calls of a row depend on the ledger and on the
order of the rows alone, not on the size of batches or on how fast they are sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial

import km_cli.run.registered  # noqa: F401 - rejects are an input format, too
from km_cli.config.settings import Settings
from km_cli.errors import InputError, ReadError
from km_cli.inputs import Item, Opened, Place, Source, open_reader
from km_cli.ledger import Ledger
from km_cli.mapping import LeftOut, Mapping
from km_cli.model import Finding, Forecast, Gap, Row
from km_cli.protocols import Clock
from km_cli.run.batch import Batch, BatchBuilder, BatchSink, Mapped, raw_of
from km_cli.run.cursor import Cursor, FixedCursor, HeldBack
from km_cli.run.doubts import doubts
from km_cli.run.first_rows import MOST_JUDGED, Preview, judge, judge_conflicts, preview
from km_cli.run.meanings import Meanings
from km_cli.run.observer import Observer
from km_cli.run.opening import Mappers, Openings, span_of
from km_cli.run.overlaps import Ahead, Overlaps, Span
from km_cli.run.queries import make_cursor, open_source
from km_cli.run.row_planner import RowPlanner
from km_cli.run.stopping import Stopped
from km_cli.run.tally import Tally
from km_cli.run.unseen import note_unseen, seen_under

_BATCH_BYTES = 4 << 20


class Pipeline:
    """Takes sources one after the other and ships them in batches.

    With `counts_known`, rows of a file that earlier runs have read count as read and skipped. With
    `seeks_ids`, the pipeline looks for a column that could be the event's id.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        sink: BatchSink,
        tally: Tally,
        observer: Observer,
        clock: Clock,
        *,
        counts_known: bool = True,
        seeks_ids: bool = False,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._sink = sink
        self._tally = tally
        self._observer = observer
        self._counts_known = counts_known
        self._left = settings.limit
        self._read = self._rejected = 0
        self._rows = RowPlanner(settings, ledger, observer, sink.encode, seeks_ids=seeks_ids)
        self._now = clock.now()
        self._begin(settings)

    def turn_to(self, settings: Settings) -> None:
        """Take the next sources under these settings. They may differ in how logs are read and which rows."""
        self._note_unseen()
        self._begin(settings)

    def _begin(self, settings: Settings) -> None:
        self._settings = settings
        self._seen = seen_under(settings)
        self._openings = Openings(
            settings, self._ledger, self._seen, self._tally, self._now, self._sink.check
        )
        self._meanings = Meanings(settings, self._ledger, self._now, self._sink.check)
        self._sees_all = True

    def run(self, sources: Iterable[Source]) -> None:
        """Take every source in turn.

        Raises Stopped, InputError, ReadError, LedgerFailed, and TooManyRejects at the end of a batch.
        """
        sources = list(sources)
        if len(sources) > 1:
            self._check_heads(sources)
        for source in sources:
            if self.is_full:
                break
            with closing(open_source(source, self._ledger, self._settings)) as opened:
                self.take(opened)
        self.end()

    @property
    def is_full(self) -> bool:
        """Whether as many rows were taken as may be (--limit)."""
        return self._left == 0

    def take(self, opened: Opened, may_grow: Callable[[], bool] | None = None) -> bool:
        """Take an input that was opened; return whether it was taken to its end.

        `may_grow`, if given, is asked at the end: a last record that may still grow is left to a later run.
        Raises as `run` does.
        """
        opened.source.verify(self._sink.check)
        try:
            return opened.empty or (self._take(opened, may_grow) and not self.is_full)
        finally:
            self._tally.add_normalised(opened.normalised)

    def pass_over(self) -> None:
        """Note that this run does not see all rows of the sources, so that no event can be called absent."""
        self._sees_all = False

    def end(self) -> None:
        """Note the findings that show only at the end of the run. Raises TooManyRejects."""
        self._note_unseen()
        for finding, rows in self._rows.left_to_others():
            self._tally.note(finding, rows)
        self._check_rejects(at_end=True)

    def _note_unseen(self) -> None:
        """Report events that no row has, and conditions that no row meets, if this run saw all rows."""
        if self._sees_all and self._left != 0:
            note_unseen(self._seen, self._tally)

    def forecast(self) -> Forecast:
        """Return the forecast for the calls planned so far."""
        return self._rows.forecast()

    def _check_heads(self, sources: Iterable[Source]) -> None:
        """Look at every file's columns before anything is sent: a mistake in the last one shows at once."""
        for source in sources:
            if source.is_regular:
                opened = open_reader(source)
                try:
                    if not opened.empty:
                        self._openings.mapping(opened)
                finally:
                    opened.close()

    def _take(self, opened: Opened, may_grow: Callable[[], bool] | None) -> bool:
        reading, mapping, state, behind, same = self._openings.opening_for(opened)
        self._observer.began(opened)
        self._observer.opened(opened.source.name, mapping.columns, reading)
        self._sees_all = self._sees_all and not reading.rows and not opened.format.holds_rejects
        if self._counts_known:
            self._tally.rows.skipped += reading.rows
            self._tally.rejected_before += reading.rejected + reading.refused
        place = Place(reading.length, reading.line + 1, reading.digest) if reading.length else None
        reader = opened.reader(place, self._sink.check)
        mappers = Mappers(self._openings, opened, mapping)
        items = reader.items()
        held_back = HeldBack(items, may_grow, reader.is_open) if may_grow else None
        mapped = self._map(held_back or items, mappers, opened)
        if opened.format.holds_rejects:
            overlaps = Overlaps(self._ledger, reading, self._settings.overlap)
            self._rows.begin(self._settings, mapping.columns, mappers, reading, overlaps)
            self._ship(mapped, overlaps, FixedCursor(reading))
        else:
            ahead = preview(mapped)
            if not reading.rows:
                judge(ahead.first, opened, mapping, self._now)
                self._note_doubts(ahead, mapping, opened.source.name)
                as_new = self._meanings.check_same_log(opened, mapping, same, ahead.rows)
                reading = reading._replace(as_new=as_new)
            overlaps = Overlaps(self._ledger, reading, self._settings.overlap, behind)
            overlaps.look_ahead(self._ahead(ahead, opened, mapping, place), ahead.seconds)
            cursor = make_cursor(reading, state, opened.source, self._ledger, self._settings)
            cursor.begin(reader.preamble)
            self._rows.begin(self._settings, mapping.columns, mappers, reading, overlaps)
            self._ship(ahead.mapped, overlaps, cursor, is_new=not reading.rows)
        for finding in self._rows.end_of_input():
            self._tally.note(finding)
        if held_back is None:
            return True
        self._tally.rows.held += held_back.rows
        return not held_back.held

    def _note_doubts(self, ahead: Preview, mapping: Mapping, source: str) -> None:
        """Note the findings on the first rows that question the mapping, and let the observer show them."""
        for finding in doubts(ahead.events, mapping.columns, source):
            self._tally.note(finding)
            self._observer.doubted(finding)

    def _ahead(self, ahead: Preview, opened: Opened, mapping: Mapping, place: Place | None) -> Ahead:
        """Return the times of the rows that follow."""
        rest: Callable[[], Span] | None = None
        if opened.source.stamp is not None:
            # This runs while a batch is planned. `heed` makes nothing durable, as `check` does: the slots of
            # the batch would be written without its calls.
            rest = partial(span_of, opened.source, mapping, place, self._now, self._sink.heed)
        return Ahead(ahead.span, ahead.is_all and self._left != 0, rest)

    # Rows to events

    def _map(self, items: Iterable[Item], mappers: Mappers, opened: Opened) -> Iterator[Mapped]:
        """Map every row; stop after --limit rows of the selection."""
        for item in items:
            if isinstance(item, Gap):
                yield item
                continue
            if self._left == 0:
                return
            one = mappers.mapper_for(item).map(item) if isinstance(item, Row) else item
            if self._left is not None and type(one) is not LeftOut:
                self._left -= 1
            yield one
        unit = mappers.own.unit
        if unit not in ("", "seconds"):
            message = f"times are {unit} since 1970, by their magnitude"
            self._tally.note(Finding("time-unit", message, opened.source.name, 0))

    # Events to batches

    def _ship(
        self,
        mapped: Iterator[Mapped],
        overlaps: Overlaps,
        cursor: Cursor | FixedCursor,
        *,
        is_new: bool = False,
    ) -> None:
        """Plan the rows in order and ship them in batches. Rows before an error are shipped all the same.

        The first rows of an input that `is_new` are judged when they are planned, before any call is sent.
        """
        try:
            self._ship_all(mapped, overlaps, cursor, is_new=is_new)
        except BaseException:
            self._ledger.abandon()
            raise

    def _ship_all(
        self,
        mapped: Iterator[Mapped],
        overlaps: Overlaps,
        cursor: Cursor | FixedCursor,
        *,
        is_new: bool,
    ) -> None:
        batch = BatchBuilder()
        # No row can conflict with an empty ledger, so then the first batch need not be larger than others.
        least = MOST_JUDGED if is_new and self._ledger.readings.have_calls else 1
        most = max(self._settings.batch_size, least)
        while True:
            try:
                one = next(mapped, None)
            except (InputError, ReadError, Stopped):
                if least > 1:
                    judge_conflicts(batch, cursor.reading.source)
                cursor.spans(overlaps.span)
                self._send(batch, cursor, at_end=False)
                raise
            if one is None:
                break
            batch.add(raw_of(one), None if isinstance(one, Gap) else self._rows.plan(one))
            if least > 1 and batch.rows == least:
                judge_conflicts(batch, cursor.reading.source)
            if len(batch.plans) >= most or batch.size >= _BATCH_BYTES:
                cursor.spans(overlaps.span)
                self._send(batch, cursor, at_end=False)
                self._check_rejects(at_end=False)
                batch, least, most = BatchBuilder(), 1, self._settings.batch_size
        if batch.rows < least:
            judge_conflicts(batch, cursor.reading.source)
        cursor.spans(overlaps.span)
        self._send(batch, cursor, at_end=self._left != 0)
        self._check_rejects(at_end=False)

    def _check_rejects(self, *, at_end: bool) -> None:
        """Raise TooManyRejects. A row that the destination refuses counts as soon as its receipt is in."""
        if self._settings.max_rejects is not None:
            rejected = max(self._rejected, self._tally.rows.rejected)
            self._settings.max_rejects.check(rejected, self._read, at_end=at_end)

    def _send(self, batch: BatchBuilder, cursor: Cursor | FixedCursor, *, at_end: bool) -> None:
        if not batch.raws and not cursor.reading.length:
            return  # No byte was read yet, so no reading begins.
        self._read += batch.rows
        self._rejected += batch.rejected
        cursor.advance(batch)
        made = Batch(self._rows.with_forecast(batch.plans), cursor.reading, at_end)
        self._observer.shipping(made, self.forecast)
        self._sink.ship(made)
        self._observer.shipped(self._tally, cursor.reading)
