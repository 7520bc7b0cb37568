"""The ledger's tables."""

from __future__ import annotations

VERSION = 6
"""The format of the tables. To change it takes a step in `migrations`."""

KEYED_VERSION = 7
"""The format of a ledger with the same tables whose digests are keyed (`Ledger.secret`).

It has a number of its own, because a km-cli that knew only VERSION would look for bare digests, find none,
and send everything again. The next format takes the number after it, and a step from both.
"""

APPLICATION_ID = 0x6B6D6C67
"""SQLite's `application_id` of a ledger, "kmlg": another program's file does not have it."""

TABLES = """
CREATE TABLE IF NOT EXISTS {schema}.meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {schema}.sites (
    site INTEGER PRIMARY KEY, tracker TEXT NOT NULL, name TEXT NOT NULL,
    salt BLOB NOT NULL, fingerprint BLOB NOT NULL, UNIQUE (tracker, name));
CREATE TABLE IF NOT EXISTS {schema}.readings (
    reading INTEGER PRIMARY KEY, token TEXT NOT NULL UNIQUE, asked TEXT NOT NULL, mapping TEXT NOT NULL,
    source TEXT NOT NULL, columns TEXT NOT NULL, delimiter TEXT NOT NULL,
    length INTEGER NOT NULL, line INTEGER NOT NULL, rows INTEGER NOT NULL, rejected INTEGER NOT NULL,
    digest BLOB NOT NULL, refused INTEGER NOT NULL DEFAULT 0, actor TEXT NOT NULL,
    begun INTEGER NOT NULL DEFAULT 0, first INTEGER NOT NULL DEFAULT 0, last INTEGER NOT NULL DEFAULT 0,
    dated INTEGER NOT NULL DEFAULT 0, start BLOB NOT NULL DEFAULT x'', regular TEXT NOT NULL DEFAULT '[]',
    personas TEXT NOT NULL DEFAULT '', calls TEXT NOT NULL DEFAULT '{{}}',
    overlap TEXT NOT NULL DEFAULT 'ask', as_new TEXT NOT NULL DEFAULT '[]', sum INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS {schema}.readings_start ON readings (start);
CREATE TABLE IF NOT EXISTS {schema}.rows (
    first INTEGER PRIMARY KEY, count INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS {schema}.files (
    file BLOB PRIMARY KEY, size INTEGER NOT NULL, time INTEGER NOT NULL, seen INTEGER NOT NULL
    ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {schema}.pauses (
    tracker TEXT PRIMARY KEY, until REAL NOT NULL, failures INTEGER NOT NULL, reason TEXT NOT NULL
    ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {schema}.unreported_rejects (
    path TEXT PRIMARY KEY, rows INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {schema}.slots (
    second INTEGER NOT NULL, person BLOB NOT NULL, calls BLOB NOT NULL,
    PRIMARY KEY (second, person)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {schema}.owners (
    person BLOB PRIMARY KEY, persona TEXT NOT NULL, identity BLOB NOT NULL, leader BLOB NOT NULL
    ) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS {schema}.owners_led ON owners (leader) WHERE leader <> x'';
CREATE TABLE IF NOT EXISTS {schema}.ids (
    id BLOB PRIMARY KEY, person BLOB NOT NULL, second INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {schema}.property_values (
    property BLOB NOT NULL, moment INTEGER NOT NULL, place INTEGER NOT NULL, first INTEGER NOT NULL,
    last INTEGER NOT NULL, taken INTEGER NOT NULL, value BLOB NOT NULL, sum INTEGER NOT NULL,
    PRIMARY KEY (property, moment, place)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {schema}.instances (name BLOB PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {schema}.calls_by_person (
    person BLOB PRIMARY KEY, calls INTEGER NOT NULL, is_busy INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {schema}.spellings (spelling BLOB PRIMARY KEY, person BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {schema}.names (
    site TEXT NOT NULL, kind TEXT NOT NULL, name BLOB NOT NULL, PRIMARY KEY (site, kind, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {schema}.totals (
    site TEXT NOT NULL, persona TEXT NOT NULL, people INTEGER NOT NULL, events INTEGER NOT NULL,
    properties INTEGER NOT NULL, PRIMARY KEY (site, persona)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {schema}.changed_calls (
    reading INTEGER NOT NULL, person BLOB NOT NULL, second INTEGER NOT NULL,
    deed BLOB NOT NULL, total BLOB NOT NULL, source TEXT NOT NULL, line INTEGER NOT NULL,
    call TEXT NOT NULL, PRIMARY KEY (reading, person, second, deed, total)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {schema}.changed_rows (
    reading INTEGER NOT NULL, source TEXT NOT NULL, line INTEGER NOT NULL, raw BLOB NOT NULL,
    PRIMARY KEY (reading, source, line)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {schema}.outbox (
    record INTEGER PRIMARY KEY, tracker TEXT NOT NULL, site TEXT NOT NULL, pending INTEGER NOT NULL,
    body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS {schema}.outbox_aliases (
    record INTEGER PRIMARY KEY, tracker TEXT NOT NULL, site TEXT NOT NULL, pending INTEGER NOT NULL,
    body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS {schema}.runs (
    run INTEGER PRIMARY KEY, command TEXT NOT NULL, began REAL NOT NULL, ended REAL, exit INTEGER,
    is_killed INTEGER NOT NULL, counts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS {schema}.sent (
    run INTEGER NOT NULL, tracker TEXT NOT NULL, site TEXT NOT NULL, persona TEXT NOT NULL,
    event TEXT NOT NULL, day INTEGER NOT NULL, calls INTEGER NOT NULL,
    PRIMARY KEY (run, tracker, site, persona, event, day)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {schema}.horizons (
    second INTEGER PRIMARY KEY, noted REAL NOT NULL, calls INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS {schema}.bulk_parts (
    series TEXT NOT NULL, site TEXT NOT NULL, number INTEGER NOT NULL, layout TEXT NOT NULL,
    length INTEGER NOT NULL, crc INTEGER NOT NULL, calls INTEGER NOT NULL, is_open INTEGER NOT NULL,
    sum INTEGER NOT NULL, PRIMARY KEY (series, site, number)) WITHOUT ROWID;
"""
"""One ledger for all sites: the site is in every key. Slots begin with the second, see `slots`."""
