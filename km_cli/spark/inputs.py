"""Opens the inputs of a job on the driver: their columns, mappings and readings, before any task begins."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import cast

from km_cli.config.settings import Settings
from km_cli.errors import UsageError
from km_cli.inputs import Opened, Place, Source, open_reader
from km_cli.inputs.base import no_check
from km_cli.ledger import Ledger, Reading
from km_cli.mapping import LeftOut, Mapper, Mapping
from km_cli.model import Event, Gap, Overlap, Reject, Row
from km_cli.run.doubts import doubts
from km_cli.run.first_rows import MOST_JUDGED, judge, preview
from km_cli.run.meanings import Meanings
from km_cli.run.opening import Openings, span_of
from km_cli.run.tally import Tally
from km_cli.run.unseen import seen_under
from km_cli.spark.following import Follower, Item
from km_cli.spark.limiting import Limit, Limiter
from km_cli.spark.mapping import Input, Look, portable
from km_cli.spark.readings import Book, fits

NO_STDIN = "the machines of a cluster cannot read standard input"
NO_STDIN_HINT = "write it to a file first"
NO_LIMIT = "--limit is for files: the rows of a table or a DataFrame are not read one after the other"
NO_LIMIT_HINT = "take the first rows of it in Spark, or a part of the log with --since and --until"
_ALONE = "run `km-cli import` on one machine for such a log"


def check_settings(settings: Settings) -> None:
    """Raise UsageError for settings under which Spark's plan would not be that of one machine."""
    personas = settings.personas
    if settings.target.bulk() is not None:
        raise UsageError("bulk files cannot be written on Spark", "--to kissmetrics, or an https:// address")
    recorded = [persona for persona in personas if persona.is_recorded]
    may_set = any(persona.sets for persona in personas)
    if may_set and len(recorded) > 1 and settings.overlap is Overlap.REPEATS:
        raise UsageError("`set` and --overlap repeats do not go together on Spark", _ALONE)


class Inputs:
    """Opens one input after the other, and gives each its reading. `is_full` if --limit is used up.

    `before` are the readings of the receipts; `now` is in seconds since 1970.
    """

    def __init__(self, settings: Settings, before: Sequence[Reading], secret: bytes, now: float) -> None:
        self._settings = portable(settings)
        self._left = settings.limit
        self._before = tuple(before)
        self._number = max((one.number for one in before), default=0)
        self._secret = secret
        self._now = now
        book = cast(Ledger, Book(before))
        self._openings = Openings(settings, book, seen_under(settings), Tally(), now, no_check)
        self._meanings = Meanings(settings, book, now, no_check)

    def file(self, name: str) -> Input | None:
        """Open a file; return None for an empty one. Raises UsageError and InputError."""
        source = self._source(name)
        if source.is_stdin:
            raise UsageError(NO_STDIN, NO_STDIN_HINT)
        with closing(open_reader(source)) as opened:
            if opened.empty:
                return None
            if opened.format.holds_rejects:
                raise UsageError(
                    f"{opened.source.name} holds rejects, which cannot be corrected on Spark",
                    "correct the rows in a log of their own",
                )
            mapping = self._openings.mapping(opened)
            if self.is_full:
                return None
            limit = self._take(name, opened, mapping)
            look = self._look(opened, mapping, limit)
            reading = self._new(opened, mapping)._replace(as_new=look.as_new)
            return Input(
                reading,
                mapping,
                self._settings,
                self._secret,
                self._now,
                name,
                opened.format.is_tabular,
                self._before,
                look,
                limit,
            )

    @property
    def is_full(self) -> bool:
        """Whether as many rows were taken as may be."""
        return self._left == 0

    def _take(self, name: str, opened: Opened, mapping: Mapping) -> Limit | None:
        """Return how many rows of a file may be taken, and count those. Its first rows are read for that."""
        if self._left is None:
            return None
        fitting = [one for one in self._before if one.length and fits(one, mapping.to_json(), self._settings)]
        known = _continued_by(self._source(name), fitting)
        limit = Limit(self._left, known.line if known else 0)
        with closing(open_reader(self._source(name))) as again:
            limiter, mapper = Limiter(limit), self._openings.mapper(opened, mapping)
            for _ in _mapped(mapper, again.reader().items(), limiter):
                pass
        self._left = limiter.left
        if not self.is_full or not self._number:  # without another reading, nothing can overlap
            return limit
        place = Place(known.length, known.line + 1, known.digest) if known else None
        return limit._replace(rest=span_of(self._source(name), mapping, place, self._now, no_check))

    def _source(self, name: str) -> Source:
        return Source(name, format_options=self._settings.format_options)

    def frame(self, opened: Opened, name: str) -> Input:
        """Return the input of a DataFrame, of which the first rows are open. Raises InputError.

        A DataFrame continues the reading of the same name, if its rows are read as they were before: another
        part of a stream, or of a table that grows. So its rows get numbers behind those that were read.
        """
        if self._left is not None:
            raise UsageError(NO_LIMIT, NO_LIMIT_HINT)
        mapping = self._openings.mapping(opened)
        for known in reversed(self._before):
            if (known.source, known.asked, known.mapping) == (name, self._settings.asked, mapping.to_json()):
                return self._of_frame(known._replace(overlap=self._settings.overlap), mapping)
        look = self._look(opened, mapping, None)
        reading = self._new(opened, mapping)._replace(source=name, as_new=look.as_new)
        return self._of_frame(reading, mapping)._replace(look=look)

    def _new(self, opened: Opened, mapping: Mapping) -> Reading:
        self._number += 1
        return self._openings.new_reading(opened, mapping)._replace(
            number=self._number, token=secrets.token_hex(8), regular=opened.regular
        )

    def _of_frame(self, reading: Reading, mapping: Mapping) -> Input:
        return Input(reading, mapping, self._settings, self._secret, self._now)

    def _look(self, opened: Opened, mapping: Mapping, limit: Limit | None) -> Look:
        """Look at the first rows. Raises InputError if they say that the log is not read as it should be."""
        mapper = self._openings.mapper(opened, mapping)
        ahead = preview(_mapped(mapper, opened.reader().items(), Limiter(limit)))
        judge(ahead.first, opened, mapping, self._now)
        found = tuple(doubts(ahead.events, mapping.columns, opened.source.name))
        same = [one for one in self._before if one.start == opened.start]
        as_new = self._meanings.check_same_log(opened, mapping, same, ahead.rows)
        judged = [one.row.line for one in ahead.first if not isinstance(one, Gap)][:MOST_JUDGED]
        return Look(found, as_new, tuple(judged))


def _mapped(
    mapper: Mapper, items: Iterable[Item], limiter: Limiter
) -> Iterator[Event | Reject | LeftOut | Gap]:
    """Map the items up to the limit."""
    for item in limiter.cut(items):
        if isinstance(item, Gap):
            yield item
            continue
        one = mapper.map(item) if isinstance(item, Row) else item
        limiter.count(one)
        yield one


def _continued_by(source: Source, readings: Sequence[Reading]) -> Reading | None:
    """Return the longest of the readings that a file begins with."""
    furthest = max((one.length for one in readings), default=0)
    if not furthest:
        return None
    with closing(open_reader(source)) as opened:
        reader = opened.reader()
        follower = Follower(0, reader.preamble, readings)
        for _ in follower.follow(reader.items()):
            if follower.length >= furthest:
                break
    return max(follower.found, key=lambda one: one.length, default=None)
