"""A part of the step to format 4, in which only the instances of busy people are counted one by one (D7).

A ledger of format 3 has the number of all instances of everybody. For a person who has few of each, the
largest of these numbers stands for the number of its calls: no event or property has more instances.
"""

from __future__ import annotations

import sqlite3

from km_cli.ledger.counts import BUSY_FROM

_NEW_TABLE = """
CREATE TABLE calls_by_person (
    person BLOB PRIMARY KEY, calls INTEGER NOT NULL, is_busy INTEGER NOT NULL) WITHOUT ROWID
"""

_FILL = """
INSERT INTO calls_by_person
    SELECT person, CASE WHEN most < :busy_from THEN most ELSE 0 END, most >= :busy_from
    FROM (SELECT substr(name, 1, 8) AS person, max(0, max(n)) AS most FROM instances GROUP BY 1)
"""

_DROP = """
DELETE FROM instances
    WHERE substr(name, 1, 8) IN (SELECT person FROM calls_by_person WHERE NOT is_busy)
"""


def step(database: sqlite3.Connection) -> None:
    """Count the calls of people instead of their instances, within the open transaction."""
    database.execute(_NEW_TABLE)
    database.execute(_FILL, {"busy_from": BUSY_FROM})
    database.execute(_DROP)
