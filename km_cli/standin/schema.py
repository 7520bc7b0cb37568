"""The tables of a store, and files of earlier versions brought to the present form.

Names and people are small integers. The keys of events and properties begin with the second, so that a log in
order of time is appended at the end. `kept_minutes` lists the minutes in which a person has data, so that an
alias reads only those.

`kept_calls` and `kept_facts` are the journal: each call as it arrived, and what happened to it. A call refers
to the identity that it was sent with, also after an alias, so that no row of the journal is written again.
"""

import sqlite3
from typing import Final

from km_cli.standin.facts import RULE_OF_REASON
from km_cli.standin.reading import MOST_INSTANCES

EVENT, SET, ALIAS, IGNORED = range(4)
"""The kinds of `kept_calls`."""

_SCHEMA: Final = f"""
CREATE TABLE IF NOT EXISTS kept_products (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS kept_people (
    id INTEGER PRIMARY KEY, product INTEGER NOT NULL, identity TEXT NOT NULL,
    leader INTEGER, -- the id that holds the data of all its aliases; null if it is this one
    UNIQUE (product, identity));
CREATE INDEX IF NOT EXISTS kept_people_leader ON kept_people (leader) WHERE leader IS NOT NULL;
CREATE TABLE IF NOT EXISTS kept_names (
    id INTEGER PRIMARY KEY, product INTEGER NOT NULL, kind TEXT NOT NULL, folded TEXT NOT NULL,
    shown TEXT NOT NULL, UNIQUE (product, kind, folded));
CREATE TABLE IF NOT EXISTS kept_events (
    second INTEGER, person INTEGER, name INTEGER, PRIMARY KEY (second, person, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept_properties (
    second INTEGER, person INTEGER, name INTEGER, value TEXT NOT NULL,
    PRIMARY KEY (second, person, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept_instances (
    person INTEGER, name INTEGER, n INTEGER NOT NULL, PRIMARY KEY (person, name)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS kept_instances_many ON kept_instances (n) WHERE n > {MOST_INSTANCES};
CREATE TABLE IF NOT EXISTS kept_minutes (
    person INTEGER, minute INTEGER, PRIMARY KEY (person, minute)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept_counts (
    kind TEXT, what TEXT, n INTEGER NOT NULL, PRIMARY KEY (kind, what)) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS kept_calls (
    id INTEGER PRIMARY KEY, -- counts the calls in order of arrival
    arrived INTEGER NOT NULL, product INTEGER, kind INTEGER NOT NULL,
    person INTEGER, -- the identity, not its leader
    name INTEGER, -- of an event its spelling, of an alias the other identity
    second INTEGER,
    properties TEXT); -- JSON: pairs of name and value as sent
CREATE INDEX IF NOT EXISTS kept_calls_person ON kept_calls (person, second) WHERE person IS NOT NULL;
CREATE INDEX IF NOT EXISTS kept_calls_event ON kept_calls (name) WHERE kind = {EVENT};
CREATE INDEX IF NOT EXISTS kept_calls_alias ON kept_calls (name) WHERE kind = {ALIAS};
CREATE TABLE IF NOT EXISTS kept_spellings (
    id INTEGER PRIMARY KEY, name INTEGER NOT NULL, text TEXT NOT NULL,
    call INTEGER, -- the first call with it; null if that came before the journal
    UNIQUE (name, text));
CREATE TABLE IF NOT EXISTS kept_facts (
    id INTEGER PRIMARY KEY, rule TEXT NOT NULL, what TEXT NOT NULL, certain INTEGER NOT NULL,
    detail TEXT NOT NULL, call INTEGER NOT NULL, other INTEGER);
CREATE INDEX IF NOT EXISTS kept_facts_call ON kept_facts (call);
CREATE INDEX IF NOT EXISTS kept_facts_rule ON kept_facts (rule);
CREATE TABLE IF NOT EXISTS kept_fact_counts (
    what TEXT, rule TEXT, n INTEGER NOT NULL, PRIMARY KEY (what, rule)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept_sites (
    name TEXT PRIMARY KEY, salt BLOB NOT NULL, fingerprint BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept_journal (
    before INTEGER NOT NULL, -- the id of the call before the first one of the journal
    missing INTEGER NOT NULL, -- the calls that are kept but came before the journal
    facts INTEGER NOT NULL); -- the id of the fact before the first one
"""

# A file of an earlier version has no counts yet.
_COUNT_INSTANCES: Final = """INSERT INTO kept_instances
SELECT person, name, count(*) FROM kept_events GROUP BY person, name
UNION ALL SELECT person, name, count(*) FROM kept_properties GROUP BY person, name"""

_BEGIN_JOURNAL: Final = (
    """INSERT INTO kept_journal SELECT n, n, 0 FROM (
    SELECT coalesce(sum(n), 0) AS n FROM kept_counts WHERE kind = 'received')""",
    "INSERT INTO kept_spellings (name, text) SELECT id, shown FROM kept_names",
    """INSERT INTO kept_fact_counts
    SELECT CASE what WHEN 'D4' THEN 'changed' ELSE 'merged' END, what, n
    FROM kept_counts WHERE kind = 'merged'
    UNION ALL SELECT 'merged', 'I2', n FROM kept_counts WHERE kind = 'alias'""",
)
_OF_PROPERTIES: Final = ("property name", "value over", "no property name")
_COUNT_DROPPED: Final = """INSERT INTO kept_fact_counts VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET n = n + excluded.n"""

_TABLES: Final = "SELECT name FROM sqlite_master WHERE name IN ('kept_instances', 'kept_journal')"


def make_tables(db: sqlite3.Connection) -> None:
    """Make the missing tables, count the data of a file of an earlier version, and begin its journal."""
    if len(db.execute(_TABLES).fetchall()) == 2:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        before = {name for (name,) in db.execute(_TABLES)}  # another process may have made them
        for statement in _statements(_SCHEMA):
            db.execute(statement)
        if "kept_instances" not in before:
            db.execute(_COUNT_INSTANCES)
        if "kept_journal" not in before:
            _begin_journal(db)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite undoes one by itself if a write fails
            db.execute("ROLLBACK")
        raise


def _begin_journal(db: sqlite3.Connection) -> None:
    """Count the calls that came before the journal, and take over their counts."""
    for statement in _BEGIN_JOURNAL:
        db.execute(statement)
    for reason, n in db.execute("SELECT what, n FROM kept_counts WHERE kind = 'ignored'").fetchall():
        db.execute(_COUNT_DROPPED, ("dropped", RULE_OF_REASON.get(reason, "W2"), n))
        if not reason.startswith(_OF_PROPERTIES):
            db.execute(_COUNT_DROPPED, ("ignored", "", n))


def _statements(script: str) -> list[str]:
    """Split a script into statements: executescript would commit the transaction."""
    found, rest = [], ""
    for line in script.splitlines(keepends=True):
        rest += line
        if sqlite3.complete_statement(rest):
            found.append(rest)
            rest = ""
    return found
