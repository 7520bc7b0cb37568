"""How many calls were sent, by the run that planned them, site, persona, event and day.

A call is counted when it is planned, and taken back if its destination refuses it. So these are the calls
that were acknowledged, and those that are pending.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from km_cli.ledger.damage import decoding, expect
from km_cli.ledger.runs import NO_RUN
from km_cli.model import PlannedCall, Record, RowPlan, Wired
from km_cli.model.making import maker

_DAY = 86_400
_ADDING = "ON CONFLICT (run, tracker, site, persona, event, day) DO UPDATE SET calls = calls + excluded.calls"


class Sent(NamedTuple):
    """A kind of call that is counted.

    `event` is the event's name in clear, "" for calls that record none. `day` is the UTC day of the second
    that the call is sent with, in days since 1970; an alias has none, and so 0.
    """

    site: str
    persona: str
    event: str
    day: int

    @classmethod
    def of_pending(cls, planned_call: PlannedCall) -> Sent:
        """Return the kind of a call in the outbox, the same as when it was planned."""
        day = planned_call.taken // _DAY
        return cls(planned_call.site, planned_call.persona, planned_call.event, day)


_sent = maker(Sent)


def kind_of(call: Wired, taken: int) -> Sent:
    """Return the kind of a call that is planned for the second `taken`."""
    event = call.event if type(call) is Record else ""
    return _sent((call.site, call.persona, event, taken // _DAY))


class SentToSite(NamedTuple):
    """All calls that were planned for one site. `first` and `last` are the UTC days of its events, as `day`.

    Both are 0 if no call records an event.
    """

    tracker: str
    site: str
    calls: int
    first: int
    last: int


class SentTable:
    """The numbers of calls of a ledger."""

    def __init__(self, database: sqlite3.Connection, schemas: tuple[str, ...]) -> None:
        self._database = database
        self._schema = schemas[-1]

    def add(self, run: int, tracker: str, counted: Mapping[Sent, int]) -> None:
        """Add calls of a run; the caller's transaction makes it durable."""
        self._database.executemany(
            f"INSERT INTO main.sent VALUES (?, ?, ?, ?, ?, ?, ?) {_ADDING}",
            [(run, tracker, *kind, calls) for kind, calls in counted.items()],
        )

    def add_plans(self, run: int, tracker: str, plans: Iterable[RowPlan]) -> None:
        """Add the calls that rows were planned as; durable as `add`."""
        kinds = [
            kind_of(call, planned.taken)
            for plan in plans
            for planned, call in zip(plan.planned, plan.calls, strict=True)
        ]
        self.add(run, tracker, Counter(kinds))

    def take_back(self, run: int, tracker: str, refused: Iterable[PlannedCall]) -> None:
        """Take back calls that `run` planned and their destination refused; durable as `add`."""
        for kind, calls in Counter(map(Sent.of_pending, refused)).items():
            for number in (run, NO_RUN):
                found = self._database.execute(
                    "UPDATE main.sent SET calls = calls - ? WHERE (run, tracker, site, persona, event, day) "
                    "= (?, ?, ?, ?, ?, ?)",
                    (calls, number, tracker, *kind),
                )
                if found.rowcount:
                    break

    def take_from(self, run: int, tracker: str, kind: Sent, calls: int) -> int:
        """Take back at most `calls` of a run and a kind; return how many it had. Durable as `add`."""
        key = (run, tracker, *kind)
        where = "WHERE (run, tracker, site, persona, event, day) = (?, ?, ?, ?, ?, ?)"
        found = self._database.execute(f"SELECT calls FROM main.sent {where}", key).fetchone()
        taken = max(0, min(calls, found[0])) if found else 0
        self._database.execute(f"UPDATE main.sent SET calls = calls - ? {where}", (taken, *key))
        return taken

    def merge_until(self, run: int) -> None:
        """Count the calls of all runs up to this one as those of NO_RUN; durable as `add`."""
        self._database.execute(
            "INSERT INTO main.sent SELECT ?, tracker, site, persona, event, day, sum(calls) FROM main.sent "
            f"WHERE run > ? AND run <= ? GROUP BY tracker, site, persona, event, day {_ADDING}",
            (NO_RUN, NO_RUN, run),
        )
        self._database.execute("DELETE FROM main.sent WHERE run > ? AND run <= ?", (NO_RUN, run))

    def trackers(self, run: int) -> list[str]:
        """Return the trackers that a run planned calls for, sorted."""
        query = f"SELECT DISTINCT tracker FROM {self._schema}.sent WHERE run = ? ORDER BY tracker"
        with decoding(self._database, "sent"):
            found = self._database.execute(query, (run,)).fetchall()
            for row in found:
                expect(row, str)
            return [row[0] for row in found]

    def by_site(self) -> list[SentToSite]:
        """Return the calls to each site, sorted by tracker and site."""
        query = (
            "SELECT tracker, site, sum(calls), coalesce(min(CASE WHEN event <> '' THEN day END), 0), "
            f"coalesce(max(CASE WHEN event <> '' THEN day END), 0) FROM {self._schema}.sent "
            "WHERE calls > 0 GROUP BY tracker, site ORDER BY tracker, site"
        )
        with decoding(self._database, "sent"):
            found = self._database.execute(query).fetchall()
            for row in found:
                expect(row, str, str, int, int, int)
            return [SentToSite(*row) for row in found]

    def by_run(self) -> Iterator[tuple[str, Sent, int]]:
        """Yield tracker, kind and run of all calls that are counted. NO_RUN is among the runs."""
        query = f"SELECT tracker, site, persona, event, day, run FROM {self._schema}.sent WHERE calls > 0"
        with decoding(self._database, "sent"):
            for row in self._database.execute(query):
                expect(row, str, str, str, str, int, int)
                yield row[0], Sent(*row[1:5]), row[5]

    def runs_by_kind(self, tracker: str) -> dict[Sent, tuple[int, ...]]:
        """Return the runs that sent calls of each kind to a tracker, NO_RUN among them."""
        query = (
            f"SELECT site, persona, event, day, run FROM {self._schema}.sent "
            "WHERE tracker = ? AND calls > 0 ORDER BY site, persona, event, day, run"
        )
        found: dict[Sent, tuple[int, ...]] = {}
        with decoding(self._database, "sent"):
            for row in self._database.execute(query, (tracker,)):
                expect(row, str, str, str, int, int)
                kind = Sent(*row[:4])
                found[kind] = (*found.get(kind, ()), row[4])
        return found

    def total(self, tracker: str, run: int | None = None) -> dict[Sent, int]:
        """Return the numbers of calls to a tracker, of one run or of all, in the order of their kinds."""
        where, values = ("", ()) if run is None else ("AND run = ?", (run,))
        query = (
            f"SELECT site, persona, event, day, sum(calls) FROM {self._schema}.sent WHERE tracker = ? "
            f"{where} GROUP BY site, persona, event, day "
            "HAVING sum(calls) > 0 ORDER BY site, persona, event, day"
        )
        found: dict[Sent, int] = {}
        with decoding(self._database, "sent"):
            for row in self._database.execute(query, (tracker, *values)):
                expect(row, str, str, str, int, int)
                found[Sent(*row[:4])] = row[4]
        return found
