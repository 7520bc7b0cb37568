"""The same log under another meaning: with other times, names or people all of it would be there twice.

A call is known by who did what when. Read with another time zone, column or name, a log that was sent becomes
other calls, and nothing of it is known. So its rows are mapped once more, as they were by earlier readings.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, islice
from typing import NamedTuple

from km_cli.config import Settings
from km_cli.errors import InputError, ReadError
from km_cli.inputs import Opened, open_reader
from km_cli.kissmetrics import fold_name
from km_cli.ledger import Ledger, Reading
from km_cli.ledger.readings import Meaning
from km_cli.mapping import Columns, Mapper, Mapping
from km_cli.model import NANOSECONDS, Event, Finding, Persona, Record, Row
from km_cli.model import Sequence as Calls
from km_cli.planning.fingerprints import Fingerprints
from km_cli.strategies import Expansion

JUDGED_ROWS = 200
"""How many first rows of a new log are looked up."""

_HARDLY = 10
"""Percent; a log of which more is known is read as it was before."""

_MOST_MEANINGS = 16

Selection = tuple[str, str]
"""Site and persona."""


class Difference(NamedTuple):
    """A row whose call was another one before: its line, the record then and now, and what differs."""

    line: int
    before: Record
    now: Record
    what: str


@dataclass(slots=True)
class Known:
    """Of how many rows a persona has a record, how many of those are known, and by which readings."""

    rows: int = 0
    known: int = 0
    readings: set[int] = field(default_factory=set)


class Meanings:
    """Compares how a log is read now with how logs were read before. `check` may raise what ends the run."""

    def __init__(self, settings: Settings, ledger: Ledger, now: float, check: Callable[[], None]) -> None:
        self._settings = settings
        self._ledger = ledger
        self._now = now
        self._check = check
        self._fingerprints = Fingerprints(settings.target.tracker)
        self._meanings: list[Meaning] | None = None

    def refused(
        self, opened: Opened, mapping: Mapping, same: Sequence[Reading], first: Sequence[Row]
    ) -> tuple[int, ...]:
        """Return the readings of this log, if it was sent under another meaning and `--as-new` says so.

        `same` are readings that begin with the same bytes, `first` are the first rows. Raises InputError if
        it was, and --as-new does not say that it is meant.
        """
        now = self._interpretation(opened, mapping, self._settings.personas)
        for reading in same:
            then = self._then(opened, reading.mapping, reading.personas) if reading.calls else None
            if then is not None and then.key == now.key:
                return reading.as_new  # it was sent under this meaning, too
        found = list(self._of_same_log(opened, same, first, now))
        if not found:
            found = list(self._of_any_log(opened, first[:JUDGED_ROWS], now))
        if found and not self._settings.as_new:
            raise self._refusal(opened, *found[0])
        return tuple(sorted({reading.number for reading, _ in found}))

    def _interpretation(
        self, opened: Opened, mapping: Mapping, personas: Sequence[Persona]
    ) -> Interpretation:
        return Interpretation(self._settings, opened, mapping, personas, self._now)

    def _then(self, opened: Opened, mapping: str, personas: str) -> Interpretation | None:
        """Return how an earlier reading would read this log; None if it has not the columns for that."""
        with self._ledger.decoding("readings"):
            known = Mapping.from_json(mapping)
            people = personas_from_json(personas) if personas else self._people_of_old(known)
        is_tabular = opened.format.is_tabular
        if not people or (is_tabular and not _bare(known.columns).taken <= set(opened.columns)):
            return None
        try:
            return self._interpretation(opened, known, people)
        except (LookupError, OSError, ValueError):
            return None  # its time zone is not known here any more

    def _people_of_old(self, known: Mapping) -> tuple[Persona, ...]:
        """Return the personas of a reading of format 2, which has their names alone, as they are now."""
        now = {persona.name: persona for persona in self._settings.personas}
        names = [who.persona for who in known.columns.personas]
        return tuple(now[name] for name in names) if set(names) <= set(now) else ()

    # The same bytes

    def _of_same_log(
        self, opened: Opened, same: Iterable[Reading], first: Sequence[Row], now: Interpretation
    ) -> Iterator[tuple[Reading, Difference]]:
        seen: set[tuple[str, str]] = set()
        for reading in same:
            if not reading.calls or (reading.mapping, reading.personas) in seen:
                continue
            seen.add((reading.mapping, reading.personas))
            then = self._then(opened, reading.mapping, reading.personas)
            if then is None or then.key == now.key:
                continue
            # What is behind the cursor alone was sent; a meaning may differ only in what came later.
            behind = islice(first, reading.rows)
            rows = chain(behind, self._rows_behind(opened, len(first), reading.rows))
            if difference := self._difference(rows, then, now, reading):
                yield reading, difference

    def _rows_behind(self, opened: Opened, skipped: int, most: int) -> Iterator[Row]:
        """Yield the rows of a file behind the first ones, as far as a reading got."""
        if opened.source.stamp is None or most <= skipped:
            return
        try:
            with closing(open_reader(opened.source)) as again:
                for at, item in enumerate(again.reader().items()):
                    if at >= most:
                        return
                    if at % 1000 == 0:
                        self._check()
                    if at >= skipped and type(item) is Row:
                        yield item
        except (InputError, ReadError):
            return  # It is met again, and said, by who reads it in earnest.

    def _difference(
        self, rows: Iterable[Row], then: Interpretation, now: Interpretation, reading: Reading
    ) -> Difference | None:
        """Return the first row of which a persona's call, sent by an earlier reading, is another one now.

        One that a persona did not do then, or does not do now, is only added or taken away.
        """
        tracker, sent = self._settings.target.tracker, dict(reading.calls)
        for row in rows:
            records = now.records(row)
            for part, before in (then.records(row) if records else {}).items():
                record = records.get(part)
                # A reading of format 2 counts all of a tracker's calls together.
                if record is None or not (sent.get(f"{tracker} {' '.join(part)}") or sent.get(tracker)):
                    continue
                if what := _what(before, record):
                    return Difference(row.line, before, record, what)
        return None

    def _refusal(self, opened: Opened, reading: Reading, difference: Difference) -> InputError:
        tracker, site = self._settings.target.tracker, difference.now.site
        sent = [
            count for part, count in reading.calls if part == tracker or part.startswith(f"{tracker} {site} ")
        ]
        name, since = opened.source.name, ""
        if reading.begun:
            since = f" on {datetime.fromtimestamp(reading.begun, UTC):%Y-%m-%d}"
        where = "" if reading.source == name else f" as {reading.source}"
        said = (
            f"{name}: this log was sent to the site {site!r} before{since}{where}, {sum(sent):,} calls, with "
            f"{difference.what}"
        )
        before, now = _said(difference.before), _said(difference.now)
        return InputError(
            f"{said}: line {difference.line:,} was {before}, and is {now} now",
            "import it as it was imported then; or, if all of it is to be there once more, say --as-new",
            plain=said,
        )

    # Other bytes

    def _of_any_log(
        self, opened: Opened, first: Sequence[Row], now: Interpretation
    ) -> Iterator[tuple[Reading, Difference]]:
        """Look for a meaning under which a log is known of which hardly anything is known as it is read."""
        if not first:
            return
        if self._meanings is None:
            # Looked up once: what this run itself reads is read as it is now.
            self._meanings = self._ledger.readings.meanings()[:_MOST_MEANINGS]
        meanings = self._meanings
        others = [(one, then) for one in meanings if (then := self._then(opened, *one[:2])) is not None]
        others = [(one, then) for one, then in others if then.key != now.key]
        if not others:
            return
        known_now = self._known(first, now)
        for meaning, then in others:
            if readings := _known_only(known_now, self._known(first, then, meaning)):
                for reading in self._ledger.readings.meaning(meaning):
                    difference = self._difference(first, then, now, reading)
                    if reading.number in readings and difference:
                        yield reading, difference

    def _known(
        self, rows: Sequence[Row], meaning: Interpretation, span: Meaning | None = None
    ) -> dict[Selection, Known]:
        """Return what is known of each persona's records, if rows are read so; only within a `span`."""
        found: dict[Selection, Known] = {}
        for row in rows:
            for part, record in meaning.records(row).items():
                known = found.setdefault(part, Known())
                known.rows += 1
                if span is None or span.first <= record.second <= span.last:
                    holders = set(self._holders(record))
                    known.known += bool(holders)
                    known.readings |= holders
        return found

    def _holders(self, record: Record) -> Iterator[int]:
        mark = self._fingerprints.of(record)
        for known_call in self._ledger.slots.slot(mark.person, mark.second).known:
            if known_call.deed == mark.deed:
                yield from (claim.reading for claim in known_call.claims)


def _known_only(now: dict[Selection, Known], then: dict[Selection, Known]) -> set[int]:
    """Return the readings by which half of some persona's records are known then, and hardly any now."""
    found: set[int] = set()
    for part, before in then.items():
        at_present = now.get(part, Known())
        is_known_now = at_present.known * 100 > at_present.rows * _HARDLY
        if before.known and before.known * 2 >= before.rows and at_present.rows and not is_known_now:
            found |= before.readings
    return found


class Interpretation:
    """What rows become under some mapping and personas: the records alone, without properties.

    `key` is the same for two that differ in nothing that a call is known by.
    """

    def __init__(
        self,
        settings: Settings,
        opened: Opened,
        mapping: Mapping,
        personas: Sequence[Persona],
        now: float,
    ) -> None:
        columns = _bare(mapping.columns)
        plain = [(one.name, one.site, one.events, one.rename, one.prefix) for one in personas]
        self.key = json.dumps([columns, mapping.time_options, plain])
        self._expansion = Expansion(personas)
        self._mapper = Mapper(
            columns,
            opened.columns,
            tabular=opened.format.is_tabular,
            personas=personas,
            time_options=mapping.time_options,
            allowed=settings.allowed,
            now=now,
            note=_pass,
            normalised=defaultdict(int),
            members=settings.members,
        )

    def records(self, row: Row) -> dict[Selection, Record]:
        """Return the record of each persona in each site; none of a row that would be rejected."""
        try:
            event = self._mapper.map(row)
        except InputError:
            return {}
        sequence = self._expansion.expand(event) if type(event) is Event else None
        if type(sequence) is not Calls:
            return {}
        return {(call.site, call.persona): call for call in sequence.calls if type(call) is Record}


def _pass(_: Finding) -> None:
    """Let a finding pass: it is noted when the row is read in earnest."""


def _bare(columns: Columns) -> Columns:
    """Return columns without what no call is known by: properties, links, what is set, aliases, ids."""
    people = tuple(who._replace(alias="", properties=(), sets=()) for who in columns.personas)
    return columns._replace(personas=people, id="", properties=(), exclude=(), flatten=False, ignore=())


def _what(before: Record, now: Record) -> str:
    """Say in which of what it is known by a call differs; "" for nothing."""
    if before.moment != now.moment:
        return "other times"
    if fold_name(before.event) != fold_name(now.event):
        return "other names of events"
    if before.identity != now.identity:
        return f"other identities of the {now.persona}"
    return "another persona or column as the actor" if before.actor != now.actor else ""


def _said(record: Record) -> str:
    moment = datetime.fromtimestamp(record.moment // NANOSECONDS, UTC)
    actor = f" (by {record.actor!r})" if record.actor not in ("", record.identity) else ""
    return f"{record.identity!r} {record.event!r}{actor} {moment:%Y-%m-%d %H:%M:%S} UTC"


def personas_to_json(personas: Sequence[Persona]) -> str:
    """Return personas as text for the ledger."""
    return json.dumps(personas)


def personas_from_json(text: str) -> tuple[Persona, ...]:
    """Return personas that `personas_to_json` was called on, as far as calls are known by them."""
    return tuple(
        Persona(
            name,
            site,
            None if events is None else tuple((event, called) for event, called in events),
            rename,
            (),
            prefix,
        )
        for name, site, events, rename, _link, prefix, *_ in json.loads(text)
    )
