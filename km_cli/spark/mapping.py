"""Rows of one input → rows of the table MAPPED: the same events and sequences as on one machine."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any, NamedTuple

from km_cli.config.settings import Settings
from km_cli.errors import InputError
from km_cli.inputs import Source, open_reader
from km_cli.ledger import Reading
from km_cli.mapping import (
    WITHHELD,
    AmbiguousTime,
    BadRow,
    BadTime,
    LeftOut,
    Mapper,
    Mapping,
    Times,
    cell_readers,
    time_reader,
)
from km_cli.model import NANOSECONDS, Alias, Event, Finding, Gap, Record, Reject, Row, Sequence
from km_cli.planning.keyed import KeyedFingerprints
from km_cli.rules import Rules
from km_cli.run.hashed_rows import as_hashed
from km_cli.run.row_findings import ONE_COLUMN, RowFindings
from km_cli.run.row_planner import left_out_plan
from km_cli.run.unseen import seen_under
from km_cli.run.unused_accounts import UnusedAccounts
from km_cli.spark.following import Follower
from km_cli.spark.limiting import Limit, Limiter
from km_cli.spark.names import ROW_RULES, NamesSeen
from km_cli.spark.parts import pack_part
from km_cli.spark.readings import fits
from km_cli.spark.tables import SEEN, WITHHELD_ROW
from km_cli.strategies import EventLists, Expansion

Mapped = dict[str, Any]
"""A row of the table MAPPED; columns that it lacks are null."""


class Look(NamedTuple):
    """What the first rows of an input say: findings, and the readings that sent the log as another one.

    `judged` are the lines of the rows that are judged once more when they are planned.
    """

    findings: tuple[Finding, ...] = ()
    as_new: tuple[int, ...] = ()
    judged: tuple[int, ...] = ()


class Input(NamedTuple):
    """One input of a job, as its tasks need it. `now` is in seconds since 1970, for times in the future.

    `settings` hold no environment: it has the API keys. `file` is the path or address, "" for a DataFrame.
    `before` are the readings of the receipts that a file may begin with.
    """

    reading: Reading
    mapping: Mapping
    settings: Settings
    secret: bytes
    now: float
    file: str = ""
    tabular: bool = False
    before: tuple[Reading, ...] = ()
    look: Look = Look()
    limit: Limit | None = None


class RowMapper:
    """Maps the rows of one input, in order."""

    def __init__(self, task: Input, limiter: Limiter | None = None) -> None:
        settings, reading = task.settings, task.reading
        self._number = reading.number
        self._limiter = limiter or Limiter(None)
        self._normalised: defaultdict[str, int] = defaultdict(int)
        columns = task.mapping.columns
        self._members = settings.members
        self._seen = seen_under(settings)
        self._first = self._last = self._event_line = 0
        self._mapper = Mapper(
            columns,
            reading.columns,
            tabular=task.tabular,
            personas=settings.personas,
            time_options=task.mapping.time_options,
            allowed=settings.allowed,
            now=task.now,
            normalised=self._normalised,
            selection=settings.selection,
            members=settings.members,
            hasher=settings.hasher,
            seen=self._seen,
        )
        self._source = reading.source
        self._written = (reading.columns, reading.delimiter) if settings.hasher else None
        self._expansion = Expansion(settings.personas)
        self._lists = EventLists(settings.personas)
        self._rules = Rules(ROW_RULES)
        self._names = NamesSeen()
        accounts = UnusedAccounts(columns, settings.personas, reading.columns)
        self._row_findings = RowFindings(columns, reading.source, settings.spread, accounts, seeks_ids=False)
        self._fingerprints = KeyedFingerprints(settings.target.tracker, task.secret)
        self._times = Times(task.mapping.time_options, task.now)
        self._time = time_reader(columns, cell_readers(reading.columns, tabular=task.tabular))

    def map(self, item: Row | Reject | Gap) -> Iterator[Mapped]:
        """Yield the rows of MAPPED that an item of an input becomes."""
        if not isinstance(item, Gap):
            self._last = (item if isinstance(item, Row) else item.row).line
            self._first = self._first or self._last
            yield from self._map(item)

    def end(self, also_met: dict[str, int] | None = None) -> Iterator[Mapped]:
        """Yield what shows at the end of an input. `also_met` are unusual forms that its reader has met.

        It is passed over with the row that it names, if an earlier job has read that.
        """
        unit = "" if self._limiter.has_cut else self._mapper.unit
        if unit not in ("", "seconds"):
            message = f"times are {unit} since 1970, by their magnitude"
            yield self._at_end(Finding("time-unit", message, self._source, 0), 0)
        for at, finding in enumerate(self._row_findings.end()):
            yield self._at_end(finding, at)
        yield {
            "kind": SEEN,
            "reading": self._number,
            "row": self._first,
            "text": json.dumps(self._seen.notes()),
        }
        for lacked in self._lists.lacked:
            yield {
                "kind": "lacked",
                "reading": self._number,
                "row": lacked.line,
                "text": lacked.name,
                "number": lacked.rows,
                "owed": [str(place) for place in sorted(lacked.personas)],
            }
        for counts in (self._normalised, also_met or {}):
            for code, number in counts.items():
                yield {
                    "kind": "count",
                    "reading": self._number,
                    "row": self._last,
                    "code": code,
                    "number": number,
                }

    def _map(self, item: Row | Reject) -> Iterator[Mapped]:
        one = self._mapper.map(item) if isinstance(item, Row) else item
        self._limiter.count(one)
        if isinstance(one, Event):
            yield from self._expanded(one)
        elif isinstance(one, Reject):
            yield self._row(one.row, "rejected", *self._second_of(one.row))
            yield self._reject(one)
        else:
            yield from self._left_out(one)

    def _left_out(self, one: LeftOut) -> Iterator[Mapped]:
        outcome = WITHHELD_ROW if one.code == WITHHELD else "left-out"
        yield self._row(one.row, outcome, *self._second_of(one.row))
        for at, finding in enumerate(left_out_plan(one).findings):
            yield self._finding(finding, at)

    def _second_of(self, row: Row) -> tuple[int, bool] | tuple[()]:
        """Return the second of a row that is no event, if it has one: it counts in the span of its log."""
        if row.values is None:
            return ()
        with suppress(BadRow, BadTime, AmbiguousTime):
            text = self._time(row.values)
            return self._times.parse(text) // NANOSECONDS, self._times.is_date(text)
        return ()

    def _expanded(self, event: Event) -> Iterator[Mapped]:
        """Yield the parts of an event, its rejects and its findings, in the order of one machine."""
        row, second = event.row, event.moment // NANOSECONDS
        found = [*event.findings, *self._row_findings.look(event)]
        sequence = self._expansion.expand(event)
        if isinstance(sequence, Reject):
            yield self._row(row, "event", second, event.is_date)
            yield self._reject(sequence)
        else:
            if undone := self._lists.look(event):
                found.append(undone)
            yield self._row(row, "event" if sequence.calls else "undone", second, event.is_date)
            if sequence.calls:
                found += self._rules.look(event)
                yield from self._new_names(event, sequence)
                yield from self._parts(sequence)
                yield from self._aliased(sequence)
                if self._members is not None:
                    yield self._member(event, sequence)
        before, self._event_line = self._event_line, row.line
        for at, finding in enumerate(found):
            mapped = self._finding(finding, at)
            yield {**mapped, "number": before} if finding.code == ONE_COLUMN else mapped

    def _new_names(self, event: Event, sequence: Sequence) -> Iterator[Mapped]:
        """Yield the names that are new in this task, for the rules that look at those of all logs."""
        for kind, site, persona, name, part in self._names.look(event, sequence):
            yield {
                **self._place(event.row, part),
                "kind": "name",
                "site": site,
                "persona": persona,
                "code": kind,
                "text": name,
            }

    def _parts(self, sequence: Sequence) -> Iterator[Mapped]:
        """Yield the part of each person in a row. What stays home is in it for a reject alone."""
        raw = None
        if self._written is not None:
            raw, row = sequence.row.raw, as_hashed(sequence.row, *self._written)
            sequence = sequence._replace(row=row)
        people: dict[bytes, list[int]] = {}
        for place, call in enumerate(sequence.calls):
            person, _ = self._fingerprints.digest_person(call.site, call.identity)
            people.setdefault(person, []).append(place)
        for person, places in people.items():
            calls = [sequence.calls[place] for place in places]
            call = calls[0]
            _, spelling = self._fingerprints.digest_person(call.site, call.identity)
            ids = [
                self._fingerprints.digest_id(one.site, one.persona, one.id).hex()
                for one in calls
                if type(one) is Record and one.id
            ]
            yield {
                **self._place(sequence.row, places[0]),
                "kind": "part",
                "site": call.site,
                "persona": call.persona,
                "person": person,
                "spelling": spelling,
                "ids": ids,
                "number": len(sequence.calls),
                "blob": pack_part(sequence, places, raw),
            }

    def _aliased(self, sequence: Sequence) -> Iterator[Mapped]:
        """Yield the two people of each alias: they are planned with all other people of aliases."""
        for place, call in enumerate(sequence.calls):
            for identity in (call.identity, call.other) if isinstance(call, Alias) else ():
                person, _ = self._fingerprints.digest_person(call.site, identity)
                yield {**self._place(sequence.row, place), "kind": "alias", "person": person}

    def _member(self, event: Event, sequence: Sequence) -> Mapped:
        """Return the personas that do an event, to be compared with those whose calls are planned."""
        done = {call.persona for call in sequence.calls if type(call) is Record}
        who = event.parts[0].identity
        return {**self._place(event.row), "kind": "member", "owed": sorted(done), "who": who}

    def _place(self, row: Row, part: int = 0) -> Mapped:
        line = row.line
        return {"reading": self._number, "row": line, "part": part, "source": row.source, "line": line}

    def _row(self, row: Row, outcome: str, second: int | None = None, dated: bool = False) -> Mapped:
        return {**self._place(row), "kind": "row", "code": outcome, "second": second, "dated": dated}

    def _reject(self, reject: Reject) -> Mapped:
        row, code, reason, owed = reject
        return {
            **self._place(row),
            "kind": "reject",
            "raw": row.raw,
            "code": code,
            "text": reason,
            "owed": list(owed),
        }

    def _at_end(self, finding: Finding, part: int) -> Mapped:
        """Return a finding about all rows. It has no line, and the row is the last one."""
        return {**self._finding(finding, part), "row": self._last}

    def _finding(self, finding: Finding, part: int) -> Mapped:
        code, message, source, line, who = finding
        return {
            "kind": "finding",
            "reading": self._number,
            "row": line,
            "part": part,
            "source": source,
            "line": line,
            "code": code,
            "text": message,
            "who": who,
        }


def map_file(task: Input) -> Iterator[Mapped]:
    """Yield the rows of MAPPED of a file, read by the tool's own readers. Raises UsageError, InputError."""
    source = Source(task.file, format_options=task.settings.format_options)
    with closing(open_reader(source)) as opened:
        if opened.empty:
            return
        if opened.columns != task.reading.columns or opened.start != task.reading.start:
            raise InputError(
                f"{source.name}: the file is another one on this machine of the cluster",
                "give a path that all machines of the cluster read the same file from",
            )
        limiter, reader = Limiter(task.limit), opened.reader()
        follower = Follower(task.reading.number, reader.preamble, task.before)
        mapper, seen = RowMapper(task, limiter), len(follower.found)
        for item in follower.follow(limiter.cut(reader.items())):
            yield from mapper.map(item)
            if len(follower.found) > seen:
                if any(_continues(task, known) for known in follower.found[seen:]):
                    mapper = RowMapper(task, limiter)  # what was met so far is of rows that were read before
                    opened.normalised.clear()
                seen = len(follower.found)
        yield from mapper.end(opened.normalised)
        yield from follower.rows()


def _continues(task: Input, known: Reading) -> bool:
    return fits(known, task.mapping.to_json(), task.settings)


def portable(settings: Settings) -> Settings:
    """Return settings that may travel to other machines: without the environment, which has the keys."""
    return replace(settings, environment={})
