"""Opens the inputs of a job on the driver: their columns, mappings and readings, before any task begins."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import closing
from typing import cast

from km_cli.config.settings import Settings
from km_cli.errors import UsageError
from km_cli.inputs import Opened, Source, open_reader
from km_cli.inputs.base import no_check
from km_cli.ledger import Ledger, Reading
from km_cli.mapping import Mapping
from km_cli.model import Gap, Overlap, Row
from km_cli.run.doubts import doubts
from km_cli.run.first_rows import MOST_JUDGED, judge, preview
from km_cli.run.meanings import Meanings
from km_cli.run.opening import Openings
from km_cli.run.tally import Tally
from km_cli.run.unseen import seen_under
from km_cli.spark.mapping import Input, Look, portable
from km_cli.spark.readings import Book

_ALONE = "run `km-cli import` on one machine for such a log"


def check_settings(settings: Settings) -> None:
    """Raise UsageError for settings under which Spark's plan would not be that of one machine."""
    personas = settings.personas
    if settings.limit is not None:
        raise UsageError("--limit needs one machine", "take a part of the log with --since and --until")
    if settings.target.bulk() is not None:
        raise UsageError("bulk files cannot be written on Spark", "--to kissmetrics, or an https:// address")
    recorded = [persona for persona in personas if persona.is_recorded]
    may_set = any(persona.sets for persona in personas)
    if may_set and len(recorded) > 1 and settings.overlap is Overlap.REPEATS:
        raise UsageError("`set` and --overlap repeats do not go together on Spark", _ALONE)


class Inputs:
    """Opens one input after the other, and gives each its reading.

    `before` are the readings of the receipts; `now` is in seconds since 1970.
    """

    def __init__(self, settings: Settings, before: Sequence[Reading], secret: bytes, now: float) -> None:
        self._settings = portable(settings)
        self._before = tuple(before)
        self._number = max((one.number for one in before), default=0)
        self._secret = secret
        self._now = now
        book = cast(Ledger, Book(before))
        self._openings = Openings(settings, book, seen_under(settings), Tally(), now, no_check)
        self._meanings = Meanings(settings, book, now, no_check)

    def file(self, name: str) -> Input | None:
        """Open a file; return None for an empty one. Raises UsageError and InputError."""
        source = Source(name, format_options=self._settings.format_options)
        if source.is_stdin:
            raise UsageError(
                "the machines of a cluster cannot read standard input", "write it to a file first"
            )
        with closing(open_reader(source)) as opened:
            if opened.empty:
                return None
            if opened.format.holds_rejects:
                raise UsageError(
                    f"{opened.source.name} holds rejects, which cannot be corrected on Spark",
                    "correct the rows in a log of their own",
                )
            mapping = self._openings.mapping(opened)
            look = self._look(opened, mapping)
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
            )

    def frame(self, opened: Opened, name: str) -> Input:
        """Return the input of a DataFrame, of which the first rows are open. Raises InputError.

        A DataFrame continues the reading of the same name, if its rows are read as they were before: another
        part of a stream, or of a table that grows. So its rows get numbers behind those that were read.
        """
        mapping = self._openings.mapping(opened)
        for known in reversed(self._before):
            if (known.source, known.asked, known.mapping) == (name, self._settings.asked, mapping.to_json()):
                return self._of_frame(known._replace(overlap=self._settings.overlap), mapping)
        look = self._look(opened, mapping)
        reading = self._new(opened, mapping)._replace(source=name, as_new=look.as_new)
        return self._of_frame(reading, mapping)._replace(look=look)

    def _new(self, opened: Opened, mapping: Mapping) -> Reading:
        self._number += 1
        return self._openings.new_reading(opened, mapping)._replace(
            number=self._number, token=secrets.token_hex(8), regular=opened.regular
        )

    def _of_frame(self, reading: Reading, mapping: Mapping) -> Input:
        return Input(reading, mapping, self._settings, self._secret, self._now)

    def _look(self, opened: Opened, mapping: Mapping) -> Look:
        """Look at the first rows. Raises InputError if they say that the log is not read as it should be."""
        mapper = self._openings.mapper(opened, mapping)
        items = opened.reader().items()
        ahead = preview(mapper.map(item) if isinstance(item, Row) else item for item in items)
        judge(ahead.first, opened, mapping, self._now)
        found = tuple(doubts(ahead.events, mapping.columns, opened.source.name))
        same = [one for one in self._before if one.start == opened.start]
        as_new = self._meanings.check_same_log(opened, mapping, same, ahead.rows)
        judged = [one.row.line for one in ahead.first if not isinstance(one, Gap)][:MOST_JUDGED]
        return Look(found, as_new, tuple(judged))
