"""Checks whether a file may be used as a ledger. Nothing here writes: it may be another program's file."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from km_cli.errors import LedgerError
from km_cli.ledger import from_2_to_3
from km_cli.ledger.damage import KEPT, damaged
from km_cli.ledger.lock import Ending, lock_of
from km_cli.ledger.migrations import OLDEST
from km_cli.ledger.schema import APPLICATION_ID, KEYED_VERSION, TABLES, VERSION

_ELSEWHERE = "give another place: --ledger PATH"
_MAGIC = b"SQLite format 3\0"
_LOG_MAGICS = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
_HEADER = 100
_ID_AT = 68  # where a file's application_id stands (https://www.sqlite.org/fileformat.html, 1.3)
_BESIDE = ("-journal", "-wal", "-shm")
_TABLES_OF_2 = frozenset({"meta", "sites", "readings", "slots", "outbox", "outbox_rows"})
_TABLES_NOW = frozenset(re.findall(r"TABLE IF NOT EXISTS \{schema\}\.(\w+)", TABLES))
_TABLES = {
    2: _TABLES_OF_2,
    3: _TABLES_OF_2 | set(re.findall(r"TABLE IF NOT EXISTS (\w+)", from_2_to_3.TABLES)),
    4: _TABLES_NOW - {"property_values", "horizons", "bulk_parts"},
    5: _TABLES_NOW - {"horizons", "bulk_parts"},
    VERSION: _TABLES_NOW,
    KEYED_VERSION: _TABLES_NOW,
}
"""The tables that a ledger must have, by its format."""
_STORE = "kept_"
"""The beginning of the names of the local store's tables, which may be in the file before the ledger's."""


def check_name(path: Path) -> None:
    """Raise LedgerError for a path that cannot name a file."""
    if not path.name or path.name in ("..", ":memory:") or "\0" in str(path):
        raise LedgerError(
            f"the ledger {str(path)!r} is not a file: km-cli would forget what it has sent",
            "name a file: --ledger PATH",
        )


def check_file(path: Path) -> bool:
    """Tell whether there is a file. Raises LedgerError if it must not be used as a ledger."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise LedgerError(f"the ledger {path} cannot be read: {error.strerror}", _ELSEWHERE) from None
    if stat.S_ISLNK(found.st_mode):
        raise LedgerError(
            f"the ledger {path} is a link to elsewhere", f"name the file itself: --ledger {path.resolve()}"
        )
    if not stat.S_ISREG(found.st_mode):
        raise LedgerError(
            f"the ledger {path} is {_kind(found.st_mode)}, not a file", "name a file: --ledger PATH"
        )
    if found.st_mode & 0o022:
        raise LedgerError(f"the ledger {path} can be written by others", f"forbid that: chmod go-w {path}")
    if not found.st_size:
        raise LedgerError(
            f"the ledger {path} is empty: its content is lost",
            "restore a copy of it; if it never held anything, remove it and run again",
        )
    return True


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a pipe" if stat.S_ISFIFO(mode) else "a device"


def check_beside(path: Path, *, is_there: bool, ending: Ending) -> Ending:
    """Raise LedgerError for a journal or a log that is not the ledger's, though it has the right name.

    SQLite knows such files by their names alone, and would write their content into the ledger. Return how
    the file was left: `km-cli serve` may have written to a store's file since the last run ended.
    """
    for suffix in _BESIDE:
        beside = path.with_name(path.name + suffix)
        try:
            found = beside.lstat()
        except OSError:
            continue
        if not stat.S_ISREG(found.st_mode):
            raise LedgerError(f"{beside} is not a file; the ledger needs that name", "move it away")
        if not is_there and found.st_size and suffix != "-shm":
            raise LedgerError(
                f"the ledger {path} is gone, but {beside} is there and may hold a part of it",
                "restore the ledger; to begin anew, remove that file as well",
            )
        if suffix == "-journal" and _is_hot(beside):
            raise LedgerError(
                f"{beside} does not belong to the ledger, which never has such a journal",
                "move it away: SQLite would write it into the ledger",
            )
        if suffix == "-wal" and found.st_size and ending is Ending.CLEAN:
            if not _has_store(path):
                raise _of_another_ledger(path, beside)
            ending = Ending.UNKNOWN
    return ending


def _of_another_ledger(path: Path, log: Path) -> LedgerError:
    return LedgerError(
        f"{log} does not belong to the ledger, which was closed and has no log",
        f"move it away; if a program that you know wrote it to this ledger, remove {lock_of(path)}",
    )


def _has_store(path: Path) -> bool:
    """Tell whether a local store is in the ledger's file, without its log."""
    place = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(place, uri=True)) as database:
            return any(name.startswith(_STORE) for name in _tables(database, "main"))
    except sqlite3.Error:
        return False


def _is_hot(journal: Path) -> bool:
    """Tell whether SQLite would roll the journal back: not if it is empty or begins with a zero byte."""
    try:
        with journal.open("rb") as file:
            return file.read(1) not in (b"", b"\0")
    except OSError:
        return True


def check_header(path: Path) -> bool:
    """Tell whether the file's header marks it as a ledger. Format 2 has no mark, nor has a local store alone.

    A header that a power failure has torn stands in the log, if the log was written; SQLite reads it there.
    Raises LedgerError if the header is another program's, or the file is not SQLite's.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        header = os.pread(file, _HEADER, 0)
        os.close(file)
    except OSError as error:
        raise LedgerError(f"the ledger {path} cannot be read: {error.strerror}", _ELSEWHERE) from None
    if not header.startswith(_MAGIC) or len(header) < _HEADER:
        if _has_log(path):
            return False
        raise LedgerError(f"{path} is not a ledger, or it is damaged: it is not an SQLite file", KEPT)
    found = int.from_bytes(header[_ID_AT : _ID_AT + 4])
    if found not in (0, APPLICATION_ID):
        raise _of_another_program(path)
    return found == APPLICATION_ID


def _has_log(path: Path) -> bool:
    """Tell whether a log of SQLite is beside the file (https://www.sqlite.org/fileformat.html, 4.1)."""
    try:
        with path.with_name(path.name + "-wal").open("rb") as file:
            return file.read(4) in _LOG_MAGICS
    except OSError:
        return False


def _of_another_program(path: Path) -> LedgerError:
    return LedgerError(
        f"the ledger {path} is another program's file; it is left as it is", "name another: --ledger PATH"
    )


def check_tables(database: sqlite3.Connection, path: Path, schema: str, *, is_marked: bool) -> int | None:
    """Return the ledger's format; None for a local store that has no ledger in its file yet.

    `is_marked` is the answer of `check_header`. Raises LedgerError, sqlite3.DatabaseError.
    """
    tables = _tables(database, schema)
    if not tables:
        raise LedgerError(
            f"the ledger {path} has no tables: its content is lost",
            "restore a copy of it; if it never held anything, remove it and run again",
        )
    if not is_marked and all(name.startswith(_STORE) for name in tables):
        return None
    version = _version(database, schema) if "meta" in tables else None
    if version is None:
        raise damaged(database, "meta", "it names no format") if is_marked else _of_another_program(path)
    _check_version(version, path)
    if missing := _TABLES[version] - tables:
        raise damaged(database, min(missing), "it is gone") if is_marked else _of_another_program(path)
    return version


def _tables(database: sqlite3.Connection, schema: str) -> set[str]:
    query = f"SELECT name FROM {schema}.sqlite_master WHERE type = 'table'"
    return {str(name) for (name,) in database.execute(query) if not str(name).startswith("sqlite_")}


def _version(database: sqlite3.Connection, schema: str) -> int | None:
    try:
        found = database.execute(f"SELECT value FROM {schema}.meta WHERE key = 'version'").fetchone()
        return int(found[0]) if found else None
    except (sqlite3.OperationalError, TypeError, ValueError):
        return None


def _check_version(version: int, path: Path) -> None:
    if version > KEYED_VERSION:
        raise LedgerError(
            f"the ledger {path} was written by a newer km-cli "
            f"(format {version}, this one knows {KEYED_VERSION})",
            "update km-cli; nothing was changed",
        )
    if version < OLDEST:
        raise LedgerError(
            f"the ledger {path} is of a format from before the first release ({version}; now {VERSION})",
            "nothing was changed; begin a new one: --ledger PATH",
        )


def check_content(database: sqlite3.Connection, path: Path) -> None:
    """Read the whole ledger and check its structure. Raises LedgerError, sqlite3.DatabaseError."""
    (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        problem = str(found).replace("\n", " ")
        raise LedgerError(f"the ledger {path} is damaged: {problem}", KEPT)
