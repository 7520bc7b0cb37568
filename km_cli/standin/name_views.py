"""The names of a site: how often each event or property is kept, and when it was used and sent."""

from __future__ import annotations

import sqlite3
from typing import Final, Literal, NamedTuple

from km_cli.standin.schema import EVENT, IGNORED

NameKind = Literal["event", "property"]

_COUNTED: Final = """n.shown, count(DISTINCT coalesce(p.leader, p.id) || ' ' || c.second),
min(c.second), max(c.second), min(c.arrived), max(c.arrived)"""
_CALLS: Final = """FROM kept_products o CROSS JOIN kept_calls c ON c.product = o.id
JOIN kept_people p ON p.id = c.person"""
_ASKED: Final = "o.key = ? AND c.arrived <= ? AND c.second IS NOT NULL"
_QUERIES: Final[dict[NameKind, str]] = {
    "event": f"""SELECT {_COUNTED} {_CALLS}
    JOIN kept_spellings s ON s.id = c.name JOIN kept_names n ON n.id = s.name
    WHERE {_ASKED} AND c.kind = {EVENT} GROUP BY n.id ORDER BY n.folded""",
    "property": f"""SELECT {_COUNTED} {_CALLS} CROSS JOIN json_each(c.properties) j
    JOIN kept_names n ON n.product = c.product AND n.kind = 'property'
    JOIN kept_spellings s ON s.name = n.id AND s.text = j.value ->> 0
    WHERE {_ASKED} AND c.kind <> {IGNORED} GROUP BY n.id ORDER BY n.folded""",
}


class NameView(NamedTuple):
    """An event or property of a site, as it was first spelled (D4).

    `total` counts a person's second once (D1, D2). `first_used` and `last_used` are the times of the calls
    themselves, `first_sent` and `last_sent` those of their arrival; all are UTC Unix seconds.
    """

    name: str
    total: int
    first_used: int
    last_used: int
    first_sent: int
    last_sent: int


def names(db: sqlite3.Connection, kind: NameKind, site: str, until: int) -> list[NameView]:
    """Return the names in calls that arrived by then, sorted. It reads all calls of the site."""
    return [NameView._make(row) for row in db.execute(_QUERIES[kind], (site, until))]
