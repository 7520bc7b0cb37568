"""What an input is: which reading it goes on with, and how its rows are mapped."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from km_cli.config.settings import Settings
from km_cli.errors import InputError, ReadError
from km_cli.inputs import Opened, Place, Source, open_reader
from km_cli.ledger import Head, Ledger, Reading
from km_cli.mapping import (
    AmbiguousTime,
    BadRow,
    BadTime,
    EventsSeen,
    Mapper,
    Mapping,
    Times,
    cell_readers,
    recognise_columns,
)
from km_cli.model import NANOSECONDS, Overlap, Row
from km_cli.run.meanings import personas_to_json
from km_cli.run.overlaps import Span
from km_cli.run.tally import Tally

if TYPE_CHECKING:
    from hashlib import _Hash


class Opening(NamedTuple):
    """A reading that an input goes on with (or a new one), its mapping, and the hash of what is behind it.

    Of a new one, `behind` are readings that it begins with to the byte, and `same` all of the same log.
    """

    reading: Reading
    mapping: Mapping
    state: _Hash
    behind: tuple[Reading, ...] = ()
    same: tuple[Reading, ...] = ()


class Openings:
    """Knows inputs again, and recognises what is new. `check` may raise what ends the run."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        seen: EventsSeen,
        tally: Tally,
        now: float,
        check: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._seen = seen
        self._tally = tally
        self._now = now
        self._check = check

    def of(self, opened: Opened) -> Opening:
        """Know a file again by the bytes already read under the same mapping, whatever its name (promise 5).

        A rejects file has no reading to go on with: its rows belong to the readings they came from. Raises
        InputError if the columns are not understood.
        """
        asked, source = self._settings.asked, opened.source
        heads: list[tuple[Head, _Hash]] = []
        if source.path is not None and not opened.format.holds_rejects:
            heads = self._heads(opened)
            for head, state in heads:
                if head.asked == asked and (known := self._gone_on_with(head)):
                    return Opening(_refreshed(known, opened), self.known_mapping(known), state)
        mapping = self.mapping(opened)
        readings = self._ledger.readings
        numbers = {head.number: None for head, _ in heads if head.rows}
        behind = tuple(self._ledger.reading_of(number) for number in numbers)
        others = tuple(one for one in readings.beginning(opened.start) if one.number not in numbers)
        reading = readings.begin(self._new(opened, mapping))
        return Opening(reading, mapping, sha256(), behind, behind + others)

    def _gone_on_with(self, head: Head) -> Reading | None:
        """Return the reading of a head, if it is gone on with.

        It is not if a flag decides otherwise on conflicts: then rows that were rejected are judged anew.
        Without a flag the last decision stays in force. Nor is a reading of format 2, which has no
        fingerprints of its rows: the file is read from its start, and known by its rows from now on.
        """
        reading = self._ledger.reading_of(head.number)
        overlap = self._settings.overlap
        is_known = overlap in (Overlap.ASK, reading.overlap) and not reading.is_of_format_2
        return reading if is_known else None

    def _heads(self, opened: Opened) -> list[tuple[Head, _Hash]]:
        """Return the readings that the file begins with, however asked for, the longest first."""
        heads = self._ledger.readings.heads
        known = reversed(opened.source.hashes_at(heads.lengths, self._check))
        return [(head, state) for length, state in known for head in heads.matching(length, state.digest())]

    def _new(self, opened: Opened, mapping: Mapping) -> Reading:
        """Return a reading of an input that is not known, but for its number."""
        settings = self._settings
        return Reading(
            0,
            "",
            settings.asked,
            mapping.to_json(),
            opened.source.name,
            opened.columns,
            opened.delimiter,
            begun=int(self._now),
            start=opened.start,
            regular=opened.regular,
            personas=personas_to_json(settings.personas),
            overlap=settings.overlap,
        )

    def mapping(self, opened: Opened) -> Mapping:
        """Recognise the columns; those of a rejects file are known from the readings it came from."""
        if opened.token:
            known = self._ledger.readings.by_token(opened.token)
            if known is not None:
                return self.under(opened, self.known_mapping(known))
        settings = self._settings
        columns = recognise_columns(
            settings.column_options,
            settings.personas,
            opened.columns,
            opened.source.name,
            tabular=opened.format.is_tabular,
            members=settings.members.personas if settings.members else frozenset(),
        )
        return Mapping(columns, settings.time_options, settings.people.digest)

    def known_mapping(self, reading: Reading) -> Mapping:
        """Return the mapping of a reading. Raises LedgerError for one that is not what was written."""
        with self._ledger.decoding("readings"):
            return Mapping.from_json(reading.mapping)

    def under(self, opened: Opened, known: Mapping) -> Mapping:
        """Lay what is asked for over the mapping of a reading that corrected rejects come from.

        Raises InputError if other personas would do what is owed: it would go to other people or sites.
        """
        settings = self._settings
        if known.people != settings.people.digest:
            raise InputError(
                f"{opened.source.name}: its rejects come from an import with other personas",
                "import it with the --strategy, --site and --config that the log was imported with",
            )
        return known.overridden(
            settings.column_options,
            settings.personas,
            settings.time_options,
            opened.columns,
            opened.source.name,
        )

    def of_token(self, token: str) -> Reading | None:
        """Return the reading that a reject names."""
        return self._ledger.readings.by_token(token)

    def mapper(self, opened: Opened, mapping: Mapping) -> Mapper:
        """Return what maps an input's rows."""
        settings = self._settings
        return Mapper(
            mapping.columns,
            opened.columns,
            tabular=opened.format.is_tabular,
            personas=settings.personas,
            time_options=mapping.time_options,
            allowed=settings.allowed,
            now=self._now,
            normalised=self._tally.normalised,
            selection=settings.selection,
            members=settings.members,
            seen=self._seen,
        )


def _refreshed(known: Reading, opened: Opened) -> Reading:
    """Return a reading with its file's name and columns as they are now: later objects may have others."""
    columns = tuple(dict.fromkeys((*known.columns, *opened.columns)))
    regular = tuple(name for name in known.regular if name in opened.regular)
    if opened.format.is_tabular:
        columns, regular = opened.columns, opened.columns
    return known._replace(source=opened.source.name, columns=columns, regular=regular)


class Mappers:
    """The mapper of an input, and those of the readings that corrected rejects come from."""

    def __init__(self, openings: Openings, opened: Opened, mapping: Mapping) -> None:
        self._openings = openings
        self._opened = opened
        self._mapping = mapping
        self._known: dict[str, tuple[Mapper, int]] = {}
        self.own = openings.mapper(opened, mapping)

    def of(self, row: Row) -> Mapper:
        """Return the mapper for a row; what is asked for goes before what its reading knew."""
        return self._of(row.origin.reading)[0] if row.origin else self.own

    def reading_of(self, row: Row) -> int:
        """Return the reading that a corrected reject belongs to; 0 for rows of this one."""
        return self._of(row.origin.reading)[1] if row.origin else 0

    def _of(self, token: str) -> tuple[Mapper, int]:
        found = self._known.get(token)
        if found is None:
            found = self._known[token] = self._made(token)
        return found

    def _made(self, token: str) -> tuple[Mapper, int]:
        reading = self._openings.of_token(token)
        if reading is None:
            return self._openings.mapper(self._opened, self._mapping), 0
        before = self._openings.known_mapping(reading)
        mapping = self._openings.under(self._opened, before)
        return self._openings.mapper(self._opened, mapping), reading.number


def span_of(
    source: Source, mapping: Mapping, place: Place | None, now: float, check: Callable[[], None]
) -> Span:
    """Return the seconds of all rows of a file from a place on. `check` may raise what ends the run.

    What can't be read or is no time is passed over: it is met again by who reads it in earnest.
    """
    span = Span()
    times = Times(mapping.time_options, now)
    with suppress(InputError, ReadError), closing(open_reader(source)) as again:
        cell = cell_readers(again.columns, tabular=again.format.is_tabular)(mapping.columns.timestamp)
        for at, item in enumerate(again.reader(place, check).items()):
            if at % 1000 == 0:
                check()
            if type(item) is not Row:
                continue
            with suppress(BadRow, BadTime, AmbiguousTime):
                text = cell(item.values)
                second = times.parse(text) // NANOSECONDS
                span = span.joined(Span(second, second, times.is_date(text)))
    return span
