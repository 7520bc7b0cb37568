"""Finds absent calls under other people, and through aliases, in the workspace."""

from __future__ import annotations

from collections.abc import Collection
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from km_cli.model import NO_EVENT
from km_cli.verify.export.pairing import Offered, Wanted, pair
from km_cli.verify.export.workspace import Workspace

_MOST_LINKED = 1_000
"""People of one chain of aliases that are looked at."""

_ABSENT = """
SELECT second, event, place, person, pairs FROM absent ORDER BY second, event, place
"""
_UNKNOWN = "SELECT place, person, pairs, loose FROM unknown WHERE second = ? AND event = ? ORDER BY place"
_FOUND_UNDER = "UPDATE absent SET other = ?, record = ?, by_alias = ? WHERE place = ?"


class _Group(NamedTuple):
    """The absent calls of one second and event: their places, and what is wanted."""

    second: int
    event: bytes
    places: tuple[int, ...]
    wanted: tuple[Wanted, ...]


class Matcher:
    """Matches the tables `absent` and `unknown`."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._has_aliases = workspace.first("SELECT 1 FROM aliases LIMIT 1", ()) is not None

    def match(self) -> None:
        """Note for each absent call the person under which it stands.

        A call that stands there by an alias of the ledger itself is found.
        """
        workspace = self._workspace
        workspace.execute("CREATE INDEX unknown_places ON unknown (second, event)")
        for (second, event), group in groupby(workspace.execute(_ABSENT), itemgetter(0, 1)):
            found = list(group)
            places = tuple([row[2] for row in found])
            wanted = tuple([Wanted(row[3], row[4]) for row in found])
            self._match_group(_Group(second, event, places, wanted))
        workspace.flush()
        self._take_out_own_aliases()

    def _match_group(self, group: _Group) -> None:
        rows = self._workspace.execute(_UNKNOWN, (group.second, group.event)).fetchall()
        if not rows and not self._has_aliases:
            return
        offered = [Offered(*row[1:]) for row in rows]
        pairs = {one.call: one for one in pair(group.wanted, offered, self._linked)}
        for at, place in enumerate(group.places):
            person = group.wanted[at].person
            if one := pairs.get(at):
                record, other = rows[one.record][:2]
                self._workspace.add("UPDATE unknown SET is_taken = 1 WHERE place = ?", (record,))
                self._note(place, other, record, self._way(person, other, by_alias=one.by_alias))
            elif other := self._merged(person, group.second, group.event):
                self._note(place, other, None, self._way(person, other, by_alias=True))

    def _note(self, place: int, other: bytes, record: int | None, way: int) -> None:
        self._workspace.add(_FOUND_UNDER, (other, record, way, place))

    def _way(self, person: bytes, other: bytes, *, by_alias: bool) -> int:
        """Return 0 for a person who is only another one, 1 for an unknown alias, 2 for one of the ledger."""
        if not by_alias:
            return 0
        return 2 if other in self._linked(person, is_ours=1) else 1

    def _merged(self, person: bytes, second: int, event: bytes) -> bytes | None:
        """Return a person whom an alias makes one with this one, and who has the event then (D1)."""
        if event == NO_EVENT:
            return None
        linked = sorted(self._linked(person))
        return next((one for one in linked if self._workspace.has_held(second, one, event)), None)

    def _linked(self, person: bytes, is_ours: int = 0) -> Collection[bytes]:
        """Return the people whom aliases make one with this one; with `is_ours` only those of the ledger."""
        if not self._has_aliases:
            return ()
        query = "SELECT other FROM aliases WHERE one = ? AND is_ours >= ?"
        found, left = {person}, [person]
        while left and len(found) < _MOST_LINKED:
            for (other,) in self._workspace.execute(query, (left.pop(), is_ours)):
                if other not in found:
                    found.add(other)
                    left.append(other)
        return found - {person}

    def _take_out_own_aliases(self) -> None:
        self._workspace.execute(
            "INSERT INTO days SELECT second / 86400, event, 'found', count(*) FROM absent WHERE by_alias = 2 "
            "GROUP BY 1, 2 ON CONFLICT (day, event, outcome) DO UPDATE SET calls = calls + excluded.calls"
        )
        self._workspace.execute("DELETE FROM absent WHERE by_alias = 2")
