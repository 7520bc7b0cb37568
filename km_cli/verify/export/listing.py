"""Turns the tables of the workspace into the result, with names in place of digests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

from km_cli.ledger import Ledger
from km_cli.memory import Remembered
from km_cli.model import NO_EVENT
from km_cli.verify.export.result import (
    MOST_LISTED,
    AbsentCall,
    Aliases,
    DayCount,
    Detail,
    OtherPerson,
    UnknownRecord,
    Verified,
)
from km_cli.verify.export.workspace import Workspace

_MOST_REMEMBERED = 10_000
_COUNTED = frozenset({"found", "absent", "other_person", "pending", "unknown"})

_ADD_DAYS = (
    "INSERT INTO days SELECT second / 86400, event, 'absent', count(*) FROM absent WHERE other IS NULL "
    "GROUP BY 1, 2",
    "INSERT INTO days SELECT second / 86400, event, 'other_person', count(*) FROM absent "
    "WHERE other IS NOT NULL GROUP BY 1, 2",
    "INSERT INTO days SELECT second / 86400, event, 'unknown', count(*) FROM unknown WHERE is_taken = 0 "
    "GROUP BY 1, 2",
)
_ABSENT = """
SELECT a.second, a.event, a.person, a.pairs, a.persona, a.reading, a.line, p.identity,
    a.other, o.identity, a.by_alias, u.file, u.line
FROM absent a LEFT JOIN people p ON p.person = a.person LEFT JOIN people o ON o.person = a.other
LEFT JOIN unknown u ON u.place = a.record ORDER BY a.second, a.event, a.place
"""
_UNKNOWN = """
SELECT u.second, u.event, p.identity, u.file, u.line FROM unknown u
LEFT JOIN people p ON p.person = u.person WHERE u.is_taken = 0 ORDER BY u.second, u.event, u.place
"""
_MOVED = "SELECT reading, line FROM moved WHERE (second, person, event, pairs) = (?, ?, ?, ?)"

_Listed = TypeVar("_Listed", AbsentCall, OtherPerson, UnknownRecord)


class Listing:
    """Lists calls and records. `names` are those of events by digest, `files` those of the export."""

    def __init__(
        self, workspace: Workspace, ledger: Ledger, names: Mapping[bytes, str], files: Sequence[str]
    ) -> None:
        self._workspace = workspace
        self._ledger = ledger
        self._names = names
        self._files = files
        self._sources: Remembered[int, str] = Remembered(_MOST_REMEMBERED)

    def result(self, verified: Verified, take: Callable[[Detail], None] | None) -> Verified:
        """Return the result with its counts and lists. `take` gets all that the lists have, and more."""
        for statement in _ADD_DAYS:
            self._workspace.execute(statement)
        days = tuple(sorted(self._days(), key=itemgetter(0, 1)))
        outcomes = Counter[str]()
        for outcome, calls in self._workspace.execute(
            "SELECT outcome, sum(calls) FROM days GROUP BY outcome"
        ):
            outcomes[outcome] = calls
        unknown = outcomes.pop("unknown", 0)
        absent: list[AbsentCall] = []
        others: list[OtherPerson] = []
        for one in self._absent():
            if take is not None:
                take(one)
            if isinstance(one, OtherPerson):
                _keep(others, one)
            else:
                _keep(absent, one)
        records: list[UnknownRecord] = []
        for record in self._unknown():
            if take is not None:
                take(record)
            _keep(records, record)
        return verified._replace(
            outcomes=dict(sorted(outcomes.items())),
            unknown=unknown,
            days=days,
            absent_calls=tuple(absent),
            other_people=tuple(others),
            unknown_records=tuple(records),
        )

    def aliases(self, *, is_alone: bool) -> Aliases:
        """Return how many aliases each side has. Each stands in the table in both directions.

        If the ledger has several products, those of the ledger count only if the export names their people.
        """
        of_product = (
            "" if is_alone else "AND (is_ours <> 1 OR one IN (SELECT person FROM people WHERE is_ours))"
        )
        query = f"SELECT is_ours, count(*) FROM aliases WHERE one < other {of_product} GROUP BY is_ours"
        found = dict(self._workspace.execute(query).fetchall())
        return Aliases(found.get(2, 0), found.get(1, 0), found.get(0, 0))

    def _days(self) -> Iterator[DayCount]:
        rows = self._workspace.execute("SELECT day, event, outcome, calls FROM days ORDER BY day, event")
        for (day, event), group in groupby(rows, itemgetter(0, 1)):
            calls = {outcome: number for _, _, outcome, number in group}
            unchecked = sum(number for outcome, number in calls.items() if outcome not in _COUNTED)
            yield DayCount(
                day,
                self._name(event),
                calls.get("found", 0),
                calls.get("absent", 0),
                calls.get("other_person", 0),
                unchecked,
                calls.get("pending", 0),
                calls.get("unknown", 0),
            )

    def _absent(self) -> Iterator[AbsentCall | OtherPerson]:
        for row in self._workspace.execute(_ABSENT):
            second, event, person, pairs, persona, reading, line, identity, other, name, way, file, at = row
            if not reading:
                found = self._workspace.first(_MOVED, (second, person, event, pairs))
                reading, line = found or (0, 0)
            call = AbsentCall(second, self._name(event), persona, identity or "", self._source(reading), line)
            if other is None:
                yield call
            else:
                place = self._files[file] if file is not None else ""
                yield OtherPerson(call, name or "", bool(way), place, at or 0)

    def _unknown(self) -> Iterator[UnknownRecord]:
        for second, event, identity, file, line in self._workspace.execute(_UNKNOWN):
            yield UnknownRecord(second, self._name(event), identity or "", self._files[file], line)

    def _name(self, event: bytes) -> str:
        """Return the name of an event, "" for none; its digest if the name is not known."""
        return "" if event == NO_EVENT else self._names.get(event, f"(event {event.hex()})")

    def _source(self, reading: int) -> str:
        if not reading:
            return ""
        known = self._sources.get(reading)
        if known is None:
            found = self._ledger.readings.by_number(reading)
            known = self._sources.remember(reading, found.source if found else "")
        return known


def _keep(listed: list[_Listed], one: _Listed) -> None:
    """Keep an entry of a list, unless the list is full."""
    if len(listed) < MOST_LISTED:
        listed.append(one)
