"""Opens the ledger's file safely: for a run, which writes it, or under a dry run's overlay."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from km_cli.errors import LedgerError
from km_cli.ledger.checks import check_beside, check_content, check_file, check_header, check_tables
from km_cli.ledger.damage import KEPT, SPOILED, Database, code_of
from km_cli.ledger.durable import put_in_place, remove_database
from km_cli.ledger.lock import Ending, Lock, read_ending
from km_cli.ledger.migrations import copy, migrate, migrate_with_backup, run
from km_cli.ledger.schema import APPLICATION_ID, KEYED_VERSION, TABLES, VERSION

_PRAGMAS = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA cache_size = -32768;
PRAGMA temp_store = FILE;
"""

_NO_ROOM = "make room or repair the disk, then run again"
_HINTS = {
    sqlite3.SQLITE_FULL: _NO_ROOM,
    sqlite3.SQLITE_IOERR: _NO_ROOM,
    sqlite3.SQLITE_CANTOPEN: "raise the limit of open files (ulimit -n) if it is low, and let this user "
    "write to the ledger's folder; then run again",
}
"""Errors of SQLite that say nothing about the ledger itself: it need not be restored."""


def open_ledger(path: Path, lock: Lock) -> Database:
    """Open or create the ledger for writing. The caller has taken its lock.

    Raises LedgerError if it cannot be used; then it is left as it was.
    """
    ending = lock.ending
    is_there = check_file(path)
    ending = check_beside(path, is_there=is_there, ending=ending)
    if not is_there:
        _create(path)
        ending = Ending.CLEAN
    with _refusing(path):
        is_marked = check_header(path)
        if not is_marked:  # It may be another program's: check it before anything is written.
            with closing(_connect(path, "?mode=ro")) as database:
                check_tables(database, path, "main", is_marked=False)
        database = _connect(path)
        try:
            _make_ready(database, path, lock, is_marked=is_marked, is_unchecked=ending is Ending.UNKNOWN)
        except BaseException:
            database.close()
            raise
    return database


def _connect(path: Path, query: str = "") -> Database:
    place = path.absolute().as_uri() + query
    database = sqlite3.connect(place, isolation_level=None, timeout=30, uri=True, factory=Database)
    database.path = path
    return database


def _make_ready(database: Database, path: Path, lock: Lock, *, is_marked: bool, is_unchecked: bool) -> None:
    """Check the ledger, and bring it to the present format."""
    if database.execute("PRAGMA journal_mode").fetchone() != ("wal",):  # A copy that was put in its place.
        _note_work(lock)
        # The header alone changes. A journal of that would look like another ledger's after a power failure.
        database.execute("PRAGMA journal_mode = OFF")
    database.executescript(_PRAGMAS)
    version = check_tables(database, path, "main", is_marked=is_marked)
    if is_unchecked or version not in (VERSION, KEYED_VERSION):
        check_content(database, path)
    if version != VERSION:
        _note_work(lock)
    if version is None:
        database.execute("BEGIN IMMEDIATE")
        _make_tables(database)
        database.execute("COMMIT")
    elif version < VERSION:
        migrate_with_backup(database, path, version)


def _note_work(lock: Lock) -> None:
    """Make it durable that a run is at work, before it first writes to the ledger. Raises LedgerError."""
    try:
        lock.sync()
    except OSError as error:
        raise lock.failed(error) from None


def _make_tables(database: sqlite3.Connection) -> None:
    run(database, TABLES.format(schema="main"))
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.execute("INSERT INTO meta VALUES ('version', ?)", (str(VERSION),))


def _create(path: Path) -> None:
    """Create a ledger. It gets its name when it is whole: an empty file of that name means a lost ledger.

    Its write-ahead log is begun last, and stays empty: `close()` moves it into the file, and
    hides a full disk.
    """
    part = path.with_name(path.name + ".new")
    try:
        remove_database(part)
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        with closing(_connect(part)) as database:
            database.execute("BEGIN IMMEDIATE")
            _make_tables(database)
            database.execute("COMMIT")
            database.execute("PRAGMA journal_mode = WAL")
        put_in_place(part, path)
    except (OSError, sqlite3.Error) as error:
        with suppress(OSError):
            remove_database(part)
        problem = error.strerror if isinstance(error, OSError) else error
        raise LedgerError(
            f"the ledger {path} cannot be created: {problem}",
            "make room, or give another place: --ledger PATH",
        ) from None


def open_overlay(path: Path) -> tuple[Database, tuple[str, ...]]:
    """Open a temporary database over the ledger, which is only read and need not exist."""
    is_there = check_file(path)
    check_beside(path, is_there=is_there, ending=_settled_ending(path))
    database = sqlite3.connect("", isolation_level=None, uri=True, factory=Database)
    database.path = path
    try:
        database.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + TABLES.format(schema="main")
        )
        if not is_there:
            return database, ("main",)
        with _refusing(path):
            is_marked = check_header(path)
            _attach(database, path)
            version = check_tables(database, path, "known", is_marked=is_marked)
            if version is not None and version < VERSION:
                _attach_migrated(database, path)
    except BaseException:
        database.close()
        raise
    return database, ("main",) if version is None else ("main", "known")


def _settled_ending(path: Path) -> Ending:
    """Return how the last run ended, UNKNOWN if that may have changed meanwhile.

    A dry run has no lock, so another run may begin or end meanwhile; then a log beside the ledger is its own.
    """
    log = path.with_name(path.name + "-wal")
    before = read_ending(path)
    return before if log.exists() and read_ending(path) is before else Ending.UNKNOWN


def _attach(database: sqlite3.Connection, path: Path) -> None:
    """Attach the ledger read-only; in a folder that cannot be written, as a file that never changes."""
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
    """Attach a copy of the ledger in its place, brought to the present format.

    The copy loses its name as soon as it is open, so that a dry run that is killed leaves no file behind.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="km-cli-") as folder:
            copied = Path(folder) / "ledger.db"
            copy(database, "known", copied)
            database.execute("DETACH known")
            with closing(_connect(copied)) as migrating:
                migrating.path = path
                migrating.execute("PRAGMA synchronous = OFF")
                version = check_tables(migrating, path, "main", is_marked=False)
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
    """Remove the empty files that reading has put beside a ledger at rest.

    SQLite removes them when the last connection closes, if that one may write. So one is opened for that.
    """
    if path.exists() and path.stat().st_size and os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        database = sqlite3.connect(path, timeout=0)
        with suppress(sqlite3.Error):
            database.execute("SELECT 1 FROM sqlite_master").fetchone()
        database.close()


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn an error of SQLite into a LedgerError with a hint."""
    try:
        yield
    except sqlite3.Error as error:
        hint = _HINTS.get(code_of(error), KEPT)
        raise LedgerError(f"the ledger {path} cannot be used: {error}", hint) from None
    except SPOILED as error:
        # Decoding an old format failed. The error's text is left out, as it may quote bytes that are no text.
        raise LedgerError(f"the ledger {path} is damaged: {type(error).__name__}", KEPT) from error
