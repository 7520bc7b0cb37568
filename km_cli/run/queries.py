"""Queries in a run: each is asked from where the last run stopped, and its place is kept with each batch.

A run is a reading of its own, and rows that an earlier run has read are known by their ids. The place of a
query only spares them: if it is lost, all rows are read again and none is sent twice. So a query is read from
its beginning if its text, its database or its mapping has changed.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, cast

from km_cli.config.settings import Settings
from km_cli.inputs import Opened, Source, open_reader
from km_cli.inputs.sql.address import chosen
from km_cli.inputs.sql.base import Position, Query
from km_cli.ledger import Ledger, Reading
from km_cli.ledger.queries import QueryPlace
from km_cli.run.batch import BatchBuilder
from km_cli.run.cursor import Cursor

if TYPE_CHECKING:
    from hashlib import _Hash

    from km_cli.inputs.sql.source import QuerySource  # imported by those who read queries

_MOST_IDS = 1000
"""Ids that are kept of rows with one value. Other rows with it are read again, and known by the ledger."""


def open_source(source: Source, ledger: Ledger, settings: Settings) -> Opened:
    """Open an input; a query is asked from where the last run stopped. Raises UsageError, ReadError."""
    if source.is_query:
        asked, options = cast("QuerySource", source), settings.column_options
        if settings.hasher is not None and asked.query.id in (*options.hash, *options.drop):
            asked.keyed = settings.hasher.hash  # The bare digests of ids could be guessed.
        if not settings.as_new:
            place = ledger.queries.place(_digest(asked.query, settings))
            asked.position = Position(place.value, place.ids) if place else Position()
    return open_reader(source)


def make_cursor(reading: Reading, state: _Hash, source: Source, ledger: Ledger, settings: Settings) -> Cursor:
    """Return the cursor of an input."""
    if source.is_query:
        return QueryCursor(reading, state, cast("QuerySource", source), ledger, settings)
    return Cursor(reading, state)


def _digest(query: Query, settings: Settings) -> bytes:
    """Return the digest by which a query is known again, under settings that read its rows alike."""
    where = [query.database.place, *chosen(query.database, settings.environment)]
    parts = [query.name, query.sql, *where, query.order_by, query.id, settings.asked_of_files]
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).digest()


class QueryCursor(Cursor):
    """Keeps how far a query was read. Its bytes are counted nowhere: the same rows are never read again."""

    def __init__(
        self, reading: Reading, state: _Hash, source: QuerySource, ledger: Ledger, settings: Settings
    ) -> None:
        super().__init__(reading, state)
        self._source = source
        self._ledger = ledger
        self._digest = _digest(source.query, settings)
        self._position = source.position
        # Rows that are read again count for --limit: without their ids, no run would get behind them.
        self._most_ids = _MOST_IDS if settings.limit is None else None

    def advance(self, batch: BatchBuilder) -> None:
        """Advance over a batch."""
        at = self.reading
        self.reading = at._replace(
            line=at.line + batch.rows, rows=at.rows + batch.rows, rejected=at.rejected + batch.rejected
        )
        self._position = self._behind(batch.rows)
        if self._position.value:
            name, (value, ids) = self._source.query.name, self._position
            self._ledger.queries.keep(QueryPlace(self._digest, name, at.number, value, ids))

    def _behind(self, rows: int) -> Position:
        """Return the position behind so many rows. A row before the last run's position does not move it."""
        value, ids = self._position.value, set(self._position.ids)
        marks = self._source.marks
        while rows:
            mark = marks.popleft()
            rows -= not mark.is_known
            if mark.is_behind:
                continue
            if mark.value != value:
                value, ids = mark.value, set()
            if mark.id and (self._most_ids is None or len(ids) < self._most_ids):
                ids.add(mark.id)
        return Position(value, frozenset(ids))
