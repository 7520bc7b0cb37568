"""The queries of a journal for calls: by id, person, event, site and text, each by an index."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from km_cli.standin.schema import ALIAS, EVENT
from km_cli.standin.views import Fact, KeptCall
from km_cli.standin.wire import fold

_KINDS: Final = ("event", "set", "alias", "ignored")
_AT_ONCE: Final = 500  # ids in one query

_SELECT: Final = f"""SELECT c.id, c.arrived, o.key, c.kind, p.identity, s.text, a.identity, c.second,
c.properties FROM kept_calls c
LEFT JOIN kept_products o ON o.id = c.product LEFT JOIN kept_people p ON p.id = c.person
LEFT JOIN kept_spellings s ON c.kind = {EVENT} AND s.id = c.name
LEFT JOIN kept_people a ON c.kind = {ALIAS} AND a.id = c.name"""
_FACTS: Final = """SELECT id, rule, what, certain, detail, call, other FROM kept_facts
WHERE call IN ({0}) ORDER BY id"""

# All identities of a person in each site.
_PERSON: Final = """SELECT q.id FROM kept_products o
CROSS JOIN kept_people p ON p.product = o.id AND p.identity = ?
JOIN kept_people q ON q.id = coalesce(p.leader, p.id) OR q.leader = coalesce(p.leader, p.id)"""
_SPELLINGS: Final = """SELECT s.id FROM kept_products o
CROSS JOIN kept_names n ON n.product = o.id AND n.kind = 'event' AND n.folded = ?
JOIN kept_spellings s ON s.name = n.id"""

Condition = tuple[str, tuple[Any, ...]]


class Wanted(NamedTuple):
    """What is asked for: ids between the two of `span`, and the filters of `Journal.calls`."""

    span: tuple[int, int]
    limit: int
    newest: bool
    person: str | None = None
    event: str | None = None
    site: str | None = None
    text: str | None = None


def calls(db: sqlite3.Connection, wanted: Wanted) -> list[KeptCall]:
    """Return the calls that match, in order of arrival."""
    shared = list(_shared(db, wanted))
    order = "DESC" if wanted.newest else ""
    rows: dict[int, Any] = {}
    for source, values in _sources(db, wanted):
        where = " AND ".join(["c.id > ? AND c.id < ?", source, *(text for text, _ in shared)])
        parameters = [*wanted.span, *values, *(value for _, more in shared for value in more), wanted.limit]
        query = f"{_SELECT} WHERE {where} ORDER BY c.id {order} LIMIT ?"
        rows |= {row[0]: row for row in db.execute(query, parameters)}
    ids = sorted(rows)
    ids = ids[-wanted.limit :] if wanted.newest else ids[: wanted.limit]
    return _with_facts(db, [rows[id_] for id_ in ids])


def calls_by_id(db: sqlite3.Connection, ids: list[int]) -> list[KeptCall]:
    """Return the calls of these ids that there are, in order."""
    rows: list[Any] = []
    for some in _portions(ids):
        rows += db.execute(f"{_SELECT} WHERE c.id IN ({_marks(some)}) ORDER BY c.id", some)
    return _with_facts(db, rows)


def facts_of(db: sqlite3.Connection, ids: list[int]) -> Iterator[Fact]:
    """Yield the facts that happened to these calls."""
    for some in _portions(ids):
        yield from map(fact_of, db.execute(_FACTS.format(_marks(some)), some))


def fact_of(row: tuple[Any, ...]) -> Fact:
    """Return the fact of a row of `kept_facts`."""
    return Fact._make((*row[:3], bool(row[3]), *row[4:]))


def identities_of(db: sqlite3.Connection, identity: str) -> list[int]:
    """Return the ids of all identities that are one person with this one, of all sites."""
    return [id_ for (id_,) in db.execute(_PERSON, (fold(identity),))]


def _sources(db: sqlite3.Connection, wanted: Wanted) -> Iterator[Condition]:
    """Yield the conditions that are each found by one index; a call may match several."""
    if wanted.person is not None:
        for identity in identities_of(db, wanted.person):
            yield "c.person = ?", (identity,)
            yield f"c.kind = {ALIAS} AND c.name = ?", (identity,)
    elif wanted.event is not None:
        for spelling in _spellings(db, wanted.event):
            yield f"c.kind = {EVENT} AND c.name = ?", (spelling,)
    else:
        yield "true", ()


def _shared(db: sqlite3.Connection, wanted: Wanted) -> Iterator[Condition]:
    """Yield the conditions that the calls of all sources have to meet."""
    if wanted.person is not None and wanted.event is not None:
        spellings = _spellings(db, wanted.event)
        yield f"+c.kind = {EVENT} AND +c.name IN ({_marks(spellings)})", tuple(spellings)
    if wanted.site is not None:
        yield "o.key = ?", (wanted.site,)
    if wanted.text:
        plain, encoded = pattern(wanted.text), pattern(json.dumps(wanted.text, ensure_ascii=False)[1:-1])
        columns = ("p.identity", "s.text", "a.identity", "c.properties")
        text = " OR ".join(f"{column} LIKE ? ESCAPE '\\'" for column in columns)
        yield f"({text})", (plain, plain, plain, encoded)


def _spellings(db: sqlite3.Connection, event: str) -> list[int]:
    return [id_ for (id_,) in db.execute(_SPELLINGS, (fold(event).casefold(),))]


def pattern(text: str) -> str:
    """Return the LIKE pattern for a part of a text; its escape is a backslash."""
    for special in "\\%_":
        text = text.replace(special, "\\" + special)
    return f"%{text}%"


def _with_facts(db: sqlite3.Connection, rows: Iterable[Any]) -> list[KeptCall]:
    rows = list(rows)
    facts: defaultdict[int, list[Fact]] = defaultdict(list)
    for fact in facts_of(db, [row[0] for row in rows]):
        facts[fact.call].append(fact)
    return [_call(row, tuple(facts[row[0]])) for row in rows]


def _call(row: tuple[Any, ...], facts: tuple[Fact, ...]) -> KeptCall:
    id_, arrived, site, kind, identity, spelling, other, second, properties = row
    pairs = tuple((name, value) for name, value in json.loads(properties)) if properties else ()
    name = spelling if kind == EVENT else other if kind == ALIAS else ""
    return KeptCall(id_, arrived, site or "", _KINDS[kind], identity or "", name, second, pairs, facts)


def _marks(values: list[int]) -> str:
    return ", ".join("?" * len(values))


def _portions(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]
