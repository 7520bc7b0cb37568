"""The ledger's tables, and what it takes to open one safely."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path

from km_cli.errors import LedgerError

VERSION = 3

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
    overlap TEXT NOT NULL DEFAULT 'ask', as_new TEXT NOT NULL DEFAULT '[]');
CREATE TABLE IF NOT EXISTS {schema}.rows (
    first INTEGER PRIMARY KEY, count INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS {schema}.files (
    file BLOB PRIMARY KEY, size INTEGER NOT NULL, time INTEGER NOT NULL, seen INTEGER NOT NULL
    ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {schema}.pauses (
    tracker TEXT PRIMARY KEY, until REAL NOT NULL, failures INTEGER NOT NULL, reason TEXT NOT NULL
    ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {schema}.untold (path TEXT PRIMARY KEY, rows INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {schema}.slots (
    second INTEGER NOT NULL, person BLOB NOT NULL, calls BLOB NOT NULL,
    PRIMARY KEY (second, person)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {schema}.persons (
    person BLOB PRIMARY KEY, persona TEXT NOT NULL, identity BLOB NOT NULL, leader BLOB NOT NULL
    ) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS {schema}.persons_led ON persons (leader) WHERE leader <> x'';
CREATE TABLE IF NOT EXISTS {schema}.ids (
    id BLOB PRIMARY KEY, person BLOB NOT NULL, second INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {schema}.instances (name BLOB PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {schema}.spellings (alike BLOB PRIMARY KEY, person BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {schema}.names (
    site TEXT NOT NULL, kind TEXT NOT NULL, name BLOB NOT NULL, PRIMARY KEY (site, kind, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {schema}.totals (
    site TEXT NOT NULL, persona TEXT NOT NULL, people INTEGER NOT NULL, events INTEGER NOT NULL,
    properties INTEGER NOT NULL, PRIMARY KEY (site, persona)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {schema}.changed (
    reading INTEGER NOT NULL, person BLOB NOT NULL, second INTEGER NOT NULL,
    deed BLOB NOT NULL, alike BLOB NOT NULL, source TEXT NOT NULL, line INTEGER NOT NULL,
    call TEXT NOT NULL, PRIMARY KEY (reading, person, second, deed, alike)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {schema}.changed_rows (
    reading INTEGER NOT NULL, source TEXT NOT NULL, line INTEGER NOT NULL, raw BLOB NOT NULL,
    PRIMARY KEY (reading, source, line)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {schema}.outbox_rows (
    row INTEGER PRIMARY KEY, reading INTEGER NOT NULL, source TEXT NOT NULL, line INTEGER NOT NULL,
    raw BLOB NOT NULL, origin TEXT);
CREATE TABLE IF NOT EXISTS {schema}.outbox (
    call INTEGER PRIMARY KEY, row INTEGER NOT NULL, tracker TEXT NOT NULL, site TEXT NOT NULL,
    persona TEXT NOT NULL, payload BLOB NOT NULL, person BLOB NOT NULL, second INTEGER NOT NULL,
    taken INTEGER NOT NULL, deed BLOB NOT NULL, alike BLOB NOT NULL);
"""
"""One ledger, the site in every key. slots begin with the second, so that inserts stay local."""

_PRAGMAS = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA cache_size = -32768;
PRAGMA temp_store = FILE;
"""


def open_ledger(path: Path) -> sqlite3.Connection:
    """Open or create the ledger for writing. Raises LedgerError if it cannot be used."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise LedgerError(
            f"the ledger {path} cannot be written: {error.strerror}",
            "give another place: --ledger PATH",
        ) from None
    check_safe(path)
    database = sqlite3.connect(path, isolation_level=None, timeout=30)
    try:
        database.executescript(_PRAGMAS)
        check_version(database, path, "main")
        database.executescript("BEGIN IMMEDIATE;" + TABLES.format(schema="main"))
        database.execute("INSERT OR IGNORE INTO meta VALUES ('version', ?)", (str(VERSION),))
        database.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        database.close()
        raise _unusable(path, error) from None
    except LedgerError:
        database.close()
        raise
    return database


def open_overlay(path: Path) -> tuple[sqlite3.Connection, tuple[str, ...]]:
    """Open a temporary database over the ledger at `path`, which is only read, if it is there at all."""
    database = sqlite3.connect("", isolation_level=None, uri=True)
    database.executescript(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + TABLES.format(schema="main")
    )
    if not path.exists() or not path.stat().st_size:
        return database, ("main",)
    check_safe(path)
    try:
        _attach(database, path)
        check_version(database, path, "known")
    except sqlite3.DatabaseError as error:
        database.close()
        raise _unusable(path, error) from None
    except LedgerError:
        database.close()
        raise
    has_ledger = database.execute("SELECT 1 FROM known.sqlite_master WHERE name = 'slots'").fetchone()
    return database, ("main", "known") if has_ledger else ("main",)


def that_have(database: sqlite3.Connection, schemas: tuple[str, ...], table: str) -> list[str]:
    """Return the schemas with this table; an older ledger gets it when it is written."""
    return [
        name
        for name in schemas
        if database.execute(f"SELECT 1 FROM {name}.sqlite_master WHERE name = ?", (table,)).fetchone()
    ]


def _attach(database: sqlite3.Connection, path: Path) -> None:
    """Attach read-only; in a folder that can't be written, as a file that nobody changes."""
    place = path.resolve().as_uri()
    try:
        database.execute("ATTACH ? AS known", (f"{place}?mode=ro",))
        database.execute("SELECT 1 FROM known.sqlite_master").fetchone()
    except sqlite3.OperationalError:
        if os.access(path.parent, os.W_OK):
            raise
        if any(name == "known" for _, name, _ in database.execute("PRAGMA database_list")):
            database.execute("DETACH known")
        database.execute("ATTACH ? AS known", (f"{place}?mode=ro&immutable=1",))


def leave_no_trace(path: Path) -> None:
    """Remove the empty side files that reading a ledger at rest brings about; SQLite knows if it may.

    Only the last connection to close removes them, and only one that could write does.
    """
    if path.exists() and path.stat().st_size and os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        database = sqlite3.connect(path, timeout=0)
        with suppress(sqlite3.Error):
            database.execute("SELECT 1 FROM sqlite_master").fetchone()
        database.close()


def check_safe(path: Path) -> None:
    """Raise LedgerError for a ledger that others can write, or that is a link to elsewhere."""
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise LedgerError(
            f"the ledger {path} is a link to elsewhere", f"name the file itself: --ledger {path.resolve()}"
        )
    if found.st_mode & 0o022:
        raise LedgerError(f"the ledger {path} can be written by others", f"take that away: chmod go-w {path}")


def check_version(database: sqlite3.Connection, path: Path, schema: str) -> None:
    """Raise LedgerError for a ledger of another format than this km-cli's."""
    if not database.execute(f"SELECT 1 FROM {schema}.sqlite_master WHERE name = 'meta'").fetchone():
        return
    found = database.execute(f"SELECT value FROM {schema}.meta WHERE key = 'version'").fetchone()
    if found and int(found[0]) > VERSION:
        raise LedgerError(
            f"the ledger {path} was written by a newer km-cli (format {found[0]}, this one knows {VERSION})",
            "update km-cli; nothing was changed",
        )
    if found and int(found[0]) < VERSION:
        raise LedgerError(
            f"the ledger {path} is of a format from before the first release ({found[0]}; now {VERSION})",
            "nothing was changed; begin a new one: --ledger PATH",
        )


def _unusable(path: Path, error: sqlite3.DatabaseError) -> LedgerError:
    return LedgerError(
        f"the ledger {path} cannot be used: {error}",
        "it is left as it is; bring back a copy of it: under another (--ledger PATH) all is sent again",
    )
