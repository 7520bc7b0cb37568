"""Opening the ledger's file safely: for a run, which writes it, or under a dry run's overlay."""

from __future__ import annotations

import os
import sqlite3
import stat
import tempfile
from contextlib import closing, suppress
from pathlib import Path

from km_cli.errors import LedgerError
from km_cli.ledger.migrations import OLDEST, copy, migrate, migrate_with_backup
from km_cli.ledger.schema import APPLICATION_ID, TABLES, VERSION

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
        version = check_version(database, path, "main")
        if version is not None and version < VERSION:
            migrate_with_backup(database, path, version)
        _make_tables(database)
    except sqlite3.DatabaseError as error:
        database.close()
        raise _unusable(path, error) from None
    except BaseException:
        database.close()
        raise
    return database


def _make_tables(database: sqlite3.Connection) -> None:
    database.executescript("BEGIN IMMEDIATE;" + TABLES.format(schema="main"))
    if database.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.execute("INSERT OR IGNORE INTO meta VALUES ('version', ?)", (str(VERSION),))
    database.execute("COMMIT")


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
        version = check_version(database, path, "known")
        if version is not None and version < VERSION:
            _attach_migrated(database, path)
    except sqlite3.DatabaseError as error:
        database.close()
        raise _unusable(path, error) from None
    except BaseException:
        database.close()
        raise
    has_ledger = database.execute("SELECT 1 FROM known.sqlite_master WHERE name = 'slots'").fetchone()
    return database, ("main", "known") if has_ledger else ("main",)


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


def _attach_migrated(database: sqlite3.Connection, path: Path) -> None:
    """Attach a copy of the ledger in the present format in its place; the copy goes with its last user.

    Its name is removed as soon as it is open, so that a dry run that is killed leaves nothing.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="km-cli-") as folder:
            copied = Path(folder) / "ledger.db"
            copy(database, "known", copied)
            database.execute("DETACH known")
            with closing(sqlite3.connect(copied, isolation_level=None)) as migrating:
                migrating.execute("PRAGMA synchronous = OFF")
                version = check_version(migrating, path, "main")
                if version is not None:
                    migrate(migrating, version)
            database.execute("ATTACH ? AS known", (f"{copied.as_uri()}?mode=ro&immutable=1",))
            database.execute("SELECT 1 FROM known.sqlite_master").fetchone()
    except (OSError, sqlite3.OperationalError) as error:
        raise LedgerError(
            f"the ledger {path} is of an older format, and no copy of it can be made: {error}",
            f"make room in {tempfile.gettempdir()}, or name a folder that has room: TMPDIR=FOLDER",
        ) from None


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


def check_version(database: sqlite3.Connection, path: Path, schema: str) -> int | None:
    """Return the ledger's format, None if it is new. Raises LedgerError for one that can't be read."""
    if not database.execute(f"SELECT 1 FROM {schema}.sqlite_master WHERE name = 'meta'").fetchone():
        return None
    found = database.execute(f"SELECT value FROM {schema}.meta WHERE key = 'version'").fetchone()
    version = int(found[0]) if found else None
    if version is not None and version > VERSION:
        raise LedgerError(
            f"the ledger {path} was written by a newer km-cli (format {version}, this one knows {VERSION})",
            "update km-cli; nothing was changed",
        )
    if version is not None and version < OLDEST:
        raise LedgerError(
            f"the ledger {path} is of a format from before the first release ({version}; now {VERSION})",
            "nothing was changed; begin a new one: --ledger PATH",
        )
    return version


def _unusable(path: Path, error: sqlite3.DatabaseError) -> LedgerError:
    return LedgerError(
        f"the ledger {path} cannot be used: {error}",
        "it is left as it is; bring back a copy of it: under another (--ledger PATH) all is sent again",
    )
