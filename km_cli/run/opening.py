"""Finds the reading that an input continues, or begins a new one, and the mapping of its rows."""

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
    Columns,
    EventsSeen,
    Mapper,
    Mapping,
    Times,
    cell_readers,
    recognise_columns,
    time_reader,
)
from km_cli.model import NANOSECONDS, Overlap, Row
from km_cli.run.elsewhere import Elsewhere, is_read_alike, origin_of, way_on
from km_cli.run.exported import (
    account_of,
    asked_for,
    export_hint,
    has_aliases_as_asked,
    with_aliases_as_asked,
)
from km_cli.run.interpretation import personas_to_json
from km_cli.run.overlaps import Span
from km_cli.run.tally import Tally

if TYPE_CHECKING:
    from hashlib import _Hash


class Opening(NamedTuple):
    """The reading that an input continues, or a new one, with its mapping.

    `state` is the hash of the bytes before the reading's cursor. For a new reading, `behind` are the readings
    whose bytes the input begins with, and `same` are those and all others that begin with the same 64 KiB.
    """

    reading: Reading
    mapping: Mapping
    state: _Hash
    behind: tuple[Reading, ...] = ()
    same: tuple[Reading, ...] = ()


class Openings:
    """Finds the readings of inputs. `check` is called now and then; an error that it raises ends the run."""

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
        self._accounts: dict[str, tuple[str, ...]] = {}

    def opening_for(self, opened: Opened) -> Opening:
        """Return the reading that an input continues, or a new one (promise 5).

        A file is known by the bytes already read under the same mapping, whatever its name. A rejects file
        continues no reading, since its rows belong to the readings that they came from. Raises InputError if
        the columns are not recognised.
        """
        asked, source = self._settings.asked, opened.source
        heads: list[tuple[Head, _Hash]] = []
        if not source.is_stdin and not opened.format.holds_rejects:
            heads = self._heads(opened)
            for head, state in heads:
                if head.asked == asked and (known := self._continued(head, opened)):
                    return Opening(_refreshed(known, opened), self.known_mapping(known), state)
        mapping = self.mapping(opened)
        readings = self._ledger.readings
        numbers = {head.number: None for head, _ in heads if head.rows}
        behind = tuple(self._ledger.reading_of(number) for number in numbers)
        others = tuple(one for one in readings.beginning(opened.start) if one.number not in numbers)
        reading = readings.begin(self.new_reading(opened, mapping))
        return Opening(reading, mapping, sha256(), behind, behind + others)

    def _continued(self, head: Head, opened: Opened) -> Reading | None:
        """Return the reading of a head, None if the file has to be read from its start all the same.

        It is read again if a flag decides otherwise on conflicts, so that rows that were rejected are judged
        anew. (Without a flag the last decision stays in force.) It is read again with --as-new if it has rows
        that are older than the ledger's horizon; if aliases were withheld and
        --allow-alias is given now, or the other way round; if a file without a row turns out to be an export;
        if the account of an export is found; and if the
        reading is of format 2, which has no fingerprints of its rows.
        """
        reading = self._ledger.reading_of(head.number)
        overlap = self._settings.overlap
        is_known = overlap in (Overlap.ASK, reading.overlap) and not reading.is_of_format_2
        if not is_known or self._may_have_pruned(reading):
            return None
        columns = self.known_mapping(reading).columns
        if not has_aliases_as_asked(self._settings, columns):
            return None
        if not head.rows and asked_for(self._settings, opened).column_options.export != columns.export:
            return None
        return None if columns.export and self._has_found_account(opened, columns) else reading

    def _may_have_pruned(self, reading: Reading) -> bool:
        """Tell whether --as-new is to send rows of a reading that were older than the horizon."""
        return self._settings.as_new and reading.first < self._ledger.horizon.second

    def _has_found_account(self, opened: Opened, known: Columns) -> bool:
        """Tell whether the file of an export has its account in a column that was not known yet."""
        before = account_of(known)
        if len(before) == 1:
            return False
        now = account_of(self._recognised(opened).columns)
        return bool(now) and set(now).isdisjoint(before)

    def _heads(self, opened: Opened) -> list[tuple[Head, _Hash]]:
        """Return the readings that the file begins with, under any settings, the longest first."""
        heads = self._ledger.readings.heads
        known = reversed(opened.source.hashes_at(heads.lengths, self._check))
        return [(head, state) for length, state in known for head in heads.matching(length, state.digest())]

    def new_reading(self, opened: Opened, mapping: Mapping) -> Reading:
        """Return a new reading of an input. It has no number yet."""
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
        """Return the mapping of an input. A rejects file has that of the reading that its rows came from."""
        if opened.token:
            known = self._ledger.readings.by_token(opened.token)
            if known is not None:
                return self._of_rejects(opened, self.known_mapping(known))
        return self._recognised(opened)

    def _of_rejects(self, opened: Opened, first: Mapping) -> Mapping:
        """Return the mapping of a rejects file, given that of its first row's reading.

        If that is one of another [[backfill]], later rows may still be of the one that is in force.
        """
        if self.is_of_source(first):
            return self.overridden(opened, first)
        try:
            return self._recognised(opened)
        except InputError:
            sources = self._settings.sources
            place = f"{opened.source.name}: its first reject comes from {origin_of(first, sources)}"
            raise InputError(place, way_on(first, sources)) from None

    def _recognised(self, opened: Opened) -> Mapping:
        settings = self._settings
        asked = asked_for(settings, opened, self._accounts_before)
        column_options, personas, time_options = asked
        try:
            columns = recognise_columns(
                column_options,
                personas,
                opened.columns,
                opened.source.name,
                tabular=opened.format.is_tabular,
                members=settings.members.personas if settings.members else frozenset(),
                named_at=settings.named_at,
            )
        except InputError as error:
            if hint := export_hint(asked, opened):
                error.hint = error.plain_hint = hint
            raise
        if account := account_of(columns):
            self._accounts[columns.export.partition(" ")[0]] = account
        return Mapping(columns, time_options, settings.people.digest, settings.source)

    def _accounts_before(self, export: str) -> tuple[str, ...]:
        """Return the account columns of the last file of an export that was read with these settings."""
        if export not in self._accounts:
            self._accounts[export] = ()
            for meaning in self._ledger.readings.meanings():
                with self._ledger.decoding("readings"):
                    columns = Mapping.from_json(meaning.mapping).columns
                is_same = columns.export.partition(" ")[0] == export and account_of(columns)
                if is_same and self._ledger.reading_of(meaning.reading).asked == self._settings.asked:
                    self._accounts[export] = account_of(columns)
                    break
        return self._accounts[export]

    def known_mapping(self, reading: Reading) -> Mapping:
        """Return the mapping of a reading. Raises LedgerError if it is damaged."""
        with self._ledger.decoding("readings"):
            return Mapping.from_json(reading.mapping)

    def overridden(self, opened: Opened, known: Mapping) -> Mapping:
        """Return the mapping of a reading that corrected rejects come from, overridden by the settings.

        Raises InputError if the personas have changed: the calls owed would go to other people or sites.
        """
        settings = self._settings
        if known.people != settings.people.digest:
            raise InputError(
                f"{opened.source.name}: its rejects come from an import with other personas",
                "import it with the --strategy, --site and --config that the log was imported with",
            )
        columns, personas = with_aliases_as_asked(settings, known.columns)
        return known._replace(columns=columns).overridden(
            settings.column_options,
            personas,
            settings.time_options,
            opened.columns,
            opened.source.name,
        )

    def is_of_source(self, known: Mapping) -> bool:
        """Tell whether a reading was read in the way that is in force: km.toml's, or that of its source."""
        return is_read_alike(known, self._settings)

    def elsewhere(self, known: Mapping) -> Elsewhere:
        """Return the substitute for the mapper of a reading that was read in another way."""
        return Elsewhere(known, self._settings.sources)

    def reading_by_token(self, token: str) -> Reading | None:
        """Return the reading that a reject names by its token."""
        return self._ledger.readings.by_token(token)

    def mapper(self, opened: Opened, mapping: Mapping, *, with_cells: bool = True) -> Mapper:
        """Return the mapper of an input's rows. Without cells, its events cannot be compared with others."""
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
            hasher=settings.hasher,
            seen=self._seen,
            with_cells=with_cells,
        )


def _refreshed(known: Reading, opened: Opened) -> Reading:
    """Return a reading with its file's present name and columns. Later objects may have more columns."""
    columns = tuple(dict.fromkeys((*known.columns, *opened.columns)))
    regular = tuple(name for name in known.regular if name in opened.regular)
    if opened.format.is_tabular:
        columns, regular = opened.columns, opened.columns
    return known._replace(source=opened.source.name, columns=columns, regular=regular)


class Mappers:
    """The mapper of an input, and the mappers of the readings that corrected rejects come from."""

    def __init__(self, openings: Openings, opened: Opened, mapping: Mapping) -> None:
        self._openings = openings
        self._opened = opened
        self._mapping = mapping
        self._known: dict[str, tuple[Mapper | Elsewhere, int]] = {}
        self.own = openings.mapper(opened, mapping)

    def mapper_for(self, row: Row) -> Mapper | Elsewhere:
        """Return the mapper of a row. A corrected reject has its reading's, with the present settings."""
        return self._entry(row.origin.reading)[0] if row.origin else self.own

    def reading_of(self, row: Row) -> int:
        """Return the number of the reading that a corrected reject belongs to; 0 for any other row."""
        return self._entry(row.origin.reading)[1] if row.origin else 0

    def _entry(self, token: str) -> tuple[Mapper | Elsewhere, int]:
        found = self._known.get(token)
        if found is None:
            found = self._known[token] = self._make_entry(token)
        return found

    def _make_entry(self, token: str) -> tuple[Mapper | Elsewhere, int]:
        """Return the mapper and the number of a reading; 0 if the ledger does not know the reading."""
        reading = self._openings.reading_by_token(token)
        if reading is None:
            return self._openings.mapper(self._opened, self._mapping), 0
        known = self._openings.known_mapping(reading)
        if not self._openings.is_of_source(known):
            return self._openings.elsewhere(known), reading.number
        mapping = self._openings.overridden(self._opened, known)
        return self._openings.mapper(self._opened, mapping), reading.number


def span_of(
    source: Source, mapping: Mapping, place: Place | None, now: float, check: Callable[[], None]
) -> Span:
    """Return the span of all rows of a file from a place on. `check` may raise an error that ends the run.

    Rows without a time are passed over, and an error ends the span: the import itself will report both.
    """
    span = Span()
    times = Times(mapping.time_options, now)
    with suppress(InputError, ReadError), closing(open_reader(source)) as again:
        readers = cell_readers(again.columns, tabular=again.format.is_tabular)
        cell = time_reader(mapping.columns, readers)
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
