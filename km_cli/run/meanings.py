"""Refuses a log that was sent before under another meaning: Kissmetrics would hold all of it twice.

The ledger knows a call by its deed: who did what when. A log that is read with another time zone, column or
name becomes other calls, and the ledger knows none of them. So the first rows are mapped once more, under the
mappings of earlier readings.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, islice
from typing import NamedTuple

from km_cli.config.settings import Settings
from km_cli.errors import InputError
from km_cli.inputs import Opened
from km_cli.kissmetrics import fold_name
from km_cli.ledger import Ledger, Reading
from km_cli.ledger.readings import Meaning
from km_cli.mapping import Mapping, root
from km_cli.model import NANOSECONDS, Persona, Record, Row
from km_cli.planning.keyed import fingerprints_for
from km_cli.run.interpretation import Interpretation, Part, bare, personas_from_json
from km_cli.run.rows_behind import rows_behind

JUDGED_ROWS = 200
"""How many rows of a new log are compared."""

_HARDLY = 10
"""Percent. If the ledger knows more of a log than this, the log is read as it was before."""

_MOST_MEANINGS = 16


class Difference(NamedTuple):
    """A row whose call has changed: its line, the record then and now, and what differs."""

    line: int
    before: Record
    now: Record
    what: str


@dataclass(slots=True)
class KnownRecords:
    """How many records a persona has, how many of them the ledger knows, and from which readings."""

    rows: int = 0
    known: int = 0
    readings: set[int] = field(default_factory=set)


class Meanings:
    """Compares how a log is read now with how logs were read before.

    `check` is called now and then. It may raise an error that ends the run.
    """

    def __init__(self, settings: Settings, ledger: Ledger, now: float, check: Callable[[], None]) -> None:
        self._settings = settings
        self._ledger = ledger
        self._now = now
        self._check = check
        self._fingerprints = fingerprints_for(settings.target.tracker, ledger.secret)
        self._meanings: list[Meaning] | None = None

    def check_same_log(
        self, opened: Opened, mapping: Mapping, same: Sequence[Reading], first: Sequence[Row]
    ) -> tuple[int, ...]:
        """Return the readings that sent this log under another meaning, none if there are none.

        `same` are the readings that begin with the same bytes, `first` are the first rows. Raises InputError
        if there are such readings, unless `--as-new` says that the log is to be sent once more.
        """
        self._check_key(opened, mapping)
        now = self._interpretation(opened, mapping, self._settings.personas)
        for reading in same:
            then = self._then(opened, reading.mapping, reading.personas) if reading.calls else None
            if then is not None and then.key == now.key:
                return reading.as_new  # it was sent under this meaning as well
        found = list(self._of_same_log(opened, same, first, now))
        if not found:
            found = list(self._of_any_log(opened, self._judged(opened, first, now), now))
        if found and not self._settings.as_new:
            raise self._refusal(opened, *found[0])
        return tuple(sorted({reading.number for reading, _ in found}))

    def _check_key(self, opened: Opened, mapping: Mapping) -> None:
        """Raise InputError if earlier logs were hashed under another key, unless `--as-new` is given."""
        key = mapping.columns.hash_key
        if not key or self._settings.as_new:
            return
        for meaning in self._ledger.readings.meanings():
            with self._ledger.decoding("readings"):
                before = Mapping.from_json(meaning.mapping).columns.hash_key
            if before and before != key:
                raise InputError(
                    f"{opened.source.name}: earlier logs were hashed under another key than that of "
                    "columns.hash_key_file (km.toml): the same people would become other people",
                    "use the earlier key; --as-new sends the log under the new one all the same",
                )

    def _interpretation(
        self, opened: Opened, mapping: Mapping, personas: Sequence[Persona]
    ) -> Interpretation:
        return Interpretation(self._settings, opened, mapping, personas, self._now)

    def _then(self, opened: Opened, mapping: str, personas: str) -> Interpretation | None:
        """Return how an earlier reading would read this log, None if the log lacks its columns."""
        with self._ledger.decoding("readings"):
            known = Mapping.from_json(mapping)
            people = personas_from_json(personas) if personas else self._people_of_old(known)
        is_tabular = opened.format.is_tabular
        named = (*bare(known.columns).taken, *(one.column for one in known.columns.where))
        if not people or (is_tabular and not all(root(name, opened.columns) for name in named)):
            return None
        try:
            return self._interpretation(opened, known, people)
        except (InputError, LookupError, OSError, ValueError):
            return None  # this machine does not know its time zone any more, or has another key for `hash`

    def _people_of_old(self, known: Mapping) -> tuple[Persona, ...]:
        """Return today's personas for a reading of format 2, which recorded only their names."""
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
            # Only the rows behind the cursor were sent; later rows may well differ.
            behind = islice(first, reading.rows)
            rows = chain(behind, rows_behind(opened, len(first), reading.rows, self._check))
            if difference := self._difference(rows, then, now, reading):
                yield reading, difference

    def _difference(
        self, rows: Iterable[Row], then: Interpretation, now: Interpretation, reading: Reading
    ) -> Difference | None:
        """Return the first row that became one record in an earlier reading and becomes another one now.

        A record that exists only then or only now is no difference: a persona was added or taken away.
        """
        tracker, sent = self._settings.target.tracker, dict(reading.calls)
        for row in rows:
            records = now.records(row)
            for part, before in (then.records(row) if records else {}).items():
                record = records.get(part)
                # A reading of format 2 counts all of a tracker's calls together.
                if record is None or not (sent.get(f"{tracker} {' '.join(part)}") or sent.get(tracker)):
                    continue
                if what := _difference_of(before, record):
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
        calls = sum(sent)
        message = (
            f"{name}: this log was sent to the site {site!r} already{since}{where} "
            f"({calls:,} call{'s' * (calls != 1)}), with {difference.what}"
        )
        before, now = _described(difference.before), _described(difference.now)
        return InputError(
            f"{message}: line {difference.line:,} was {before} then, and is {now} now",
            "import it with the same settings as then, or add --as-new to send all of it once more",
            plain=message,
        )

    # Other bytes

    def _judged(self, opened: Opened, first: Sequence[Row], now: Interpretation) -> Sequence[Row]:
        """Return the first rows of a log, of those that the ledger may know: not those before its horizon."""
        horizon = self._ledger.horizon

        def is_known(row: Row) -> bool:
            return all(record.second >= horizon.second for record in now.records(row).values())

        if not horizon.is_set or all(map(is_known, first[:JUDGED_ROWS])):
            return first[:JUDGED_ROWS]
        rows = chain(first, rows_behind(opened, len(first), sys.maxsize, self._check))
        return list(islice(filter(is_known, rows), JUDGED_ROWS))

    def _of_any_log(
        self, opened: Opened, first: Sequence[Row], now: Interpretation
    ) -> Iterator[tuple[Reading, Difference]]:
        """Look for a meaning under which the ledger knows a log that it hardly knows as it is read now."""
        if not first:
            return
        if self._meanings is None:
            # Looked up once, as the readings of this run itself have the present meaning.
            self._meanings = self._ledger.readings.meanings()[:_MOST_MEANINGS]
        meanings = self._meanings
        others = [(one, then) for one in meanings if (then := self._then(opened, *one[:2])) is not None]
        others = [(one, then) for one, then in others if then.key != now.key]
        if not others:
            return
        known_now = self._known(first, now)
        for meaning, then in others:
            if readings := _known_only(known_now, self._known(first, then, meaning)):
                for reading in self._ledger.readings.with_meaning(meaning):
                    difference = self._difference(first, then, now, reading)
                    if reading.number in readings and difference:
                        yield reading, difference

    def _known(
        self, rows: Sequence[Row], meaning: Interpretation, span: Meaning | None = None
    ) -> dict[Part, KnownRecords]:
        """Return how much the ledger knows of the records under a meaning, within the times of `span`."""
        found: dict[Part, KnownRecords] = {}
        for row in rows:
            for part, record in meaning.records(row).items():
                known = found.setdefault(part, KnownRecords())
                known.rows += 1
                if span is None or span.first <= record.second <= span.last:
                    holders = set(self._holders(record))
                    known.known += bool(holders)
                    known.readings |= holders
        return found

    def _holders(self, record: Record) -> Iterator[int]:
        fingerprint = self._fingerprints.fingerprint_call(record)
        for known_call in self._ledger.slots.slot(fingerprint.person, fingerprint.second).known:
            if known_call.deed == fingerprint.deed:
                yield from (claim.reading for claim in known_call.claims)


def _known_only(now: dict[Part, KnownRecords], then: dict[Part, KnownRecords]) -> set[int]:
    """Return the readings that know half of some persona's records as read then and hardly any now."""
    found: set[int] = set()
    for part, before in then.items():
        at_present = now.get(part, KnownRecords())
        is_known_now = at_present.known * 100 > at_present.rows * _HARDLY
        if before.known and before.known * 2 >= before.rows and at_present.rows and not is_known_now:
            found |= before.readings
    return found


def _difference_of(before: Record, now: Record) -> str:
    """Name the part of the deed in which two records differ, "" if they do not."""
    if before.moment != now.moment:
        return "other times"
    if fold_name(before.event) != fold_name(now.event):
        return "other names of events"
    if before.identity != now.identity:
        return f"other identities of the {now.persona}"
    return "another persona or column as the actor" if before.actor != now.actor else ""


def _described(record: Record) -> str:
    moment = datetime.fromtimestamp(record.moment // NANOSECONDS, UTC)
    actor = f" (by {record.actor!r})" if record.actor not in ("", record.identity) else ""
    return f"{record.identity!r} {record.event!r}{actor} {moment:%Y-%m-%d %H:%M:%S} UTC"
