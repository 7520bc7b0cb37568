"""Reading the journal of a store: each call as it arrived, and each merge, change and drop as a fact."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import Any, Final, Self

from km_cli.standin import call_queries
from km_cli.standin.call_queries import Wanted
from km_cli.standin.looking import Looker, open_to_read
from km_cli.standin.name_views import NameKind, NameView, names
from km_cli.standin.people_views import newest_people, person_view
from km_cli.standin.reading import MOST_INSTANCES
from km_cli.standin.views import EventView, Fact, KeptCall, PersonRow, PersonView, Summary

_LAST: Final = "SELECT coalesce((SELECT max(id) FROM kept_calls), before) FROM kept_journal"
_RECEIVED: Final = "SELECT coalesce(sum(n), 0) FROM kept_counts WHERE kind = 'received'"
_MOST: Final = 1 << 62
_FACTS: Final = """SELECT id, rule, what, certain, detail, call, other FROM kept_facts
WHERE id > ? AND id < ? {rule} ORDER BY id {order} LIMIT ?"""
_EVENTS: Final = f"""SELECT o.key, n.shown, i.person, min(i.n, {MOST_INSTANCES}) FROM kept_instances i
JOIN kept_names n ON n.id = i.name JOIN kept_products o ON o.id = n.product
WHERE n.kind = 'event' AND i.n > 0 ORDER BY o.key, n.folded, i.person"""
_TOO_OLD: Final = f"""SELECT CASE n.kind WHEN 'event' THEN 'D7' ELSE 'D7-property' END,
sum(i.n - {MOST_INSTANCES}) FROM kept_instances i JOIN kept_names n ON n.id = i.name
WHERE i.n > {MOST_INSTANCES} GROUP BY n.kind"""


class Journal:
    """Reads a store that may be in use. It never writes to the file, and several threads may share it.

    Each method sees one state of the file, the newest. A file of an earlier version has no journal: then
    there are no calls and no facts, and `missing()` tells how many calls the file received before.
    """

    def __init__(self, path: Path) -> None:
        """Open the file. Raises sqlite3.Error if there is no store in it."""
        self._lock = threading.Lock()
        self._db = open_to_read(path)
        self._is_there = False
        try:
            self._db.execute("SELECT 1 FROM kept_instances LIMIT 1").fetchone()
        except sqlite3.Error:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, and end a query of another thread. It may be called again."""
        with suppress(sqlite3.ProgrammingError):  # it is closed already
            self._db.interrupt()
        with self._lock:  # a statement that runs in another thread must not lose its connection
            self._db.close()

    @contextmanager
    def _state(self) -> Iterator[bool]:
        """Look at one state of the file; tell whether it has a journal."""
        with self._lock:
            self._db.execute("BEGIN")
            try:
                if not self._is_there:  # another process may have made it since
                    query = "SELECT count(*) FROM sqlite_master WHERE name = 'kept_journal'"
                    self._is_there = bool(self._db.execute(query).fetchone()[0])
                yield self._is_there
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def last_id(self) -> int:
        """Return the id of the newest call; 0 if nothing ever arrived."""
        with self._state() as is_there:
            return self._number(_LAST) if is_there else 0

    def missing(self) -> int:
        """Return how many calls arrived before the file had a journal."""
        with self._state() as is_there:
            return self._number("SELECT missing FROM kept_journal" if is_there else _RECEIVED)

    def sites(self) -> list[str]:
        """Return the names of all sites that calls or keys named, sorted."""
        query = "SELECT key FROM kept_products ORDER BY key"
        with self._state() as is_there:
            if is_there:
                query = "SELECT key FROM kept_products UNION SELECT name FROM kept_sites ORDER BY 1"
            return [name for (name,) in self._db.execute(query)]

    def calls(
        self,
        since: int = 0,
        limit: int = 100,
        *,
        person: str | None = None,
        event: str | None = None,
        site: str | None = None,
        text: str | None = None,
        before: int | None = None,
        newest: bool = False,
    ) -> list[KeptCall]:
        """Return calls with an id above `since` and below `before`, in order of arrival, `limit` at most.

        `person` is one identity of a person: the calls of all identities that aliases joined to it are
        found. `event` is a name in any spelling. `text` is a part of an identity, name or property, in any
        case (of letters A to Z). With `newest` the last calls that match are returned instead of the first
        ones.
        """
        span = (since, _MOST if before is None else before)
        wanted = Wanted(span, limit, newest, person, event, site, text)
        with self._state() as is_there:
            return call_queries.calls(self._db, wanted) if is_there else []

    def call(self, id_: int) -> KeptCall | None:
        """Return one call; None if the journal does not have it."""
        return self.calls_by_id({id_}).get(id_)

    def calls_by_id(self, ids: set[int]) -> dict[int, KeptCall]:
        """Return those of these calls that the journal has."""
        with self._state() as is_there:
            found = call_queries.calls_by_id(self._db, sorted(ids)) if is_there else []
        return {call.id: call for call in found}

    def facts(
        self,
        rule: str | None = None,
        since: int = 0,
        limit: int = 100,
        *,
        before: int | None = None,
        newest: bool = False,
    ) -> list[Fact]:
        """Return facts with an id above `since` and below `before`, in the order in which they happened."""
        span = (since, _MOST if before is None else before)
        only, values = ("AND rule = ?", (rule,)) if rule else ("", ())
        query = _FACTS.format(rule=only, order="DESC" if newest else "")
        with self._state() as is_there:
            rows = self._db.execute(query, (*span, *values, limit)).fetchall() if is_there else []
        return sorted(map(call_queries.fact_of, rows))

    def summary(self) -> Summary:
        """Return the counts. It reads no call, so that it is quick however many there are."""
        with self._state() as is_there:
            received = self._number(_RECEIVED)
            facts = (
                self._db.execute("SELECT what, rule, n FROM kept_fact_counts").fetchall() if is_there else []
            )
            too_old = dict(self._db.execute(_TOO_OLD).fetchall())
        counts: dict[str, dict[str, int]] = {
            what: {rule: n for kind, rule, n in sorted(facts) if kind == what}
            for what in ("merged", "changed", "dropped", "ignored")
        }
        counts["dropped"] |= too_old
        lost = sum(counts["merged"].get(rule, 0) for rule in ("D1", "repeat"))
        kept = received - counts["ignored"].get("", 0) - lost - too_old.get("D7", 0)
        return Summary(received, kept, counts["merged"], counts["changed"], counts["dropped"])

    def people(self, text: str = "", limit: int = 100, site: str | None = None) -> list[PersonRow]:
        """Return people who have an event or a property, newest first. `text` is a part of an identity."""
        with self._state():
            return newest_people(self._db, text, limit, site)

    def person(self, identity: str, site: str | None = None) -> list[PersonView]:
        """Return the person of this identity in each site that has it. Commas and colons are blanks (D4)."""
        with self._state() as is_there:
            looker = Looker.over(self._db)
            found = [one for one in looker.find(identity) if site in (None, one.product)]
            return [person_view(self._db, looker, one, has_journal=is_there) for one in found]

    def events(self) -> list[EventView]:
        """Return the events of all sites, by site and name. It takes long for a store of many people."""
        with self._state():
            rows = self._db.execute(_EVENTS).fetchall()
        return [_event(key, list(group)) for key, group in groupby(rows, key=lambda row: row[:2])]

    def names(self, kind: NameKind, site: str, until: int) -> list[NameView]:
        """Return the events or properties of a site in calls that arrived by then (UTC Unix second), sorted.

        It reads all calls of the site. Those that came before the journal do not count.
        """
        with self._state() as is_there:
            return names(self._db, kind, site, until) if is_there else []

    def _number(self, query: str) -> int:
        return int(self._db.execute(query).fetchone()[0])


def _event(key: tuple[str, str], rows: list[Any]) -> EventView:
    """Return the view of one event, of rows with a person and a count each."""
    return EventView(*key, sum(row[3] for row in rows), tuple(row[2] for row in rows))
