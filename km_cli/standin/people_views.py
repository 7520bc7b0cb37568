"""One person with all that is kept, and the list of people."""

from __future__ import annotations

import sqlite3
from typing import Final

from km_cli.standin.call_queries import calls_by_id, fact_of, pattern
from km_cli.standin.looking import KeptPerson, Looker, Moment
from km_cli.standin.reading import MOST_INSTANCES
from km_cli.standin.schema import ALIAS
from km_cli.standin.views import EventOfPerson, Fact, KeptCall, PersonRow, PersonView, PropertyOfPerson

_MOST_FACTS: Final = 1000

_ALL: Final = "SELECT id FROM kept_people WHERE id = ?1 OR leader = ?1"
_ALIASES: Final = f"""SELECT id FROM kept_calls WHERE kind = {ALIAS} AND name IN ({_ALL})
UNION SELECT id FROM kept_calls WHERE +kind = {ALIAS} AND person IN ({_ALL}) ORDER BY id"""
_FACTS: Final = f"""SELECT f.id, f.rule, f.what, f.certain, f.detail, f.call, f.other
FROM kept_calls c CROSS JOIN kept_facts f ON f.call = c.id WHERE c.person IN ({_ALL})
ORDER BY f.id DESC LIMIT {_MOST_FACTS}"""
_NEWEST: Final = """SELECT p.id, o.key FROM kept_people p JOIN kept_products o ON o.id = p.product
WHERE p.leader IS NULL AND EXISTS (SELECT 1 FROM kept_minutes WHERE person = p.id) {0}
ORDER BY p.id DESC LIMIT ?"""
_MATCHES: Final = r"""AND (p.identity LIKE ? ESCAPE '\' OR EXISTS (
SELECT 1 FROM kept_people q WHERE q.leader = p.id AND q.identity LIKE ? ESCAPE '\'))"""
_NAMES: Final = "SELECT identity FROM kept_people WHERE id = ?1 OR leader = ?1 ORDER BY identity"
_TIMES: Final = f"""SELECT coalesce(sum(min(i.n, {MOST_INSTANCES})), 0) FROM kept_instances i
JOIN kept_names n ON n.id = i.name AND n.kind = 'event' WHERE i.person = ?"""
_LAST: Final = """SELECT max(second) FROM (
SELECT second FROM kept_events WHERE second BETWEEN ?1 * 60 AND ?1 * 60 + 59 AND person = ?2
UNION ALL SELECT second FROM kept_properties WHERE second BETWEEN ?1 * 60 AND ?1 * 60 + 59 AND person = ?2)"""


def newest_people(db: sqlite3.Connection, text: str, limit: int, site: str | None) -> list[PersonRow]:
    """Return the people who have something, those who came last first."""
    conditions, values = "", []
    if text:
        conditions, values = _MATCHES, [pattern(text)] * 2
    if site is not None:
        conditions, values = f"{conditions} AND o.key = ?", [*values, site]
    rows = db.execute(_NEWEST.format(conditions), (*values, limit)).fetchall()
    return [_row(db, number, product) for number, product in rows]


def _row(db: sqlite3.Connection, number: int, product: str) -> PersonRow:
    names = tuple(identity for (identity,) in db.execute(_NAMES, (number,)))
    (times,) = db.execute(_TIMES, (number,)).fetchone()
    (minute,) = db.execute("SELECT max(minute) FROM kept_minutes WHERE person = ?", (number,)).fetchone()
    (last,) = db.execute(_LAST, (minute, number)).fetchone()
    return PersonRow(number, product, names, times, last)


def person_view(
    db: sqlite3.Connection, looker: Looker, person: KeptPerson, *, has_journal: bool
) -> PersonView:
    """Return all that is kept of a person."""
    timeline = tuple(looker.timeline(person.number))
    aliases: tuple[KeptCall, ...] = ()
    facts: tuple[Fact, ...] = ()
    if has_journal:
        key = (person.number,)
        aliases = tuple(calls_by_id(db, [id_ for (id_,) in db.execute(_ALIASES, key)]))
        facts = tuple(sorted(map(fact_of, db.execute(_FACTS, key))))
    events, properties = _events(timeline), _properties(timeline)
    return PersonView(
        person.number, person.product, person.identities, aliases, events, properties, timeline, facts
    )


def _events(timeline: tuple[Moment, ...]) -> tuple[EventOfPerson, ...]:
    """Return the events of a timeline by name."""
    found: dict[str, EventOfPerson] = {}
    for moment in timeline:
        for name in moment.events:
            before = found.get(name) or EventOfPerson(name, 0, moment.second, 0)
            found[name] = before._replace(times=before.times + 1, last=moment.second)
    return tuple(found[name] for name in sorted(found))


def _properties(timeline: tuple[Moment, ...]) -> tuple[PropertyOfPerson, ...]:
    """Return the properties of a timeline by name, with the last value of each."""
    found: dict[str, PropertyOfPerson] = {}
    for moment in timeline:
        for name, value in moment.properties:
            values = found[name].values + 1 if name in found else 1
            found[name] = PropertyOfPerson(name, value, moment.second, values)
    return tuple(found[name] for name in sorted(found))
