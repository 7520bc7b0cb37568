"""Values from a ledger are checked: a bit may have flipped, or a person may have edited the file."""

from __future__ import annotations

import sqlite3
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from km_cli.errors import LedgerError, LedgerFailed
from km_cli.ledger.presence import Presence

SPOILED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    sqlite3.DatabaseError,
    struct.error,
    zlib.error,
)
"""The errors that decoding a damaged value gives."""

_NOT_DAMAGE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})

KEPT = "it is left as it is; restore a copy of it (with another ledger, --ledger PATH, all is sent again)"
"""What to do about a ledger that cannot be used."""


# The module asks each value of type bytes for an adapter, in vain, which takes longer than writing it.
# An adapter that is registered is found at once, and a bytearray is written as it is.
sqlite3.register_adapter(bytes, bytearray)


class Database(sqlite3.Connection):
    """A connection that knows the path of its ledger, and whether a value in it was found damaged.

    A run that writes has a `presence`: a file that was cut short meanwhile looks damaged.
    """

    path: Path = Path()
    presence: Presence | None = None
    is_damaged: bool = False


def code_of(error: BaseException) -> int:
    """Return SQLite's primary result code, 0 if the error has none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def is_damage(error: sqlite3.Error) -> bool:
    """Tell whether SQLite found the file itself damaged."""
    return code_of(error) in _DAMAGE


def damaged(database: sqlite3.Connection, table: str, error: BaseException | str) -> LedgerError:
    """Return the error for a value that is damaged or cannot be read. `table` is "" if not known."""
    path = database.path if isinstance(database, Database) else Path()
    if isinstance(error, BaseException) and code_of(error) in _NOT_DAMAGE:
        return LedgerFailed(
            f"the ledger {path} cannot be read: {error}",
            "make room or repair the disk, then run the same command again: it goes on where the ledger ends",
        )
    if isinstance(database, Database):
        database.is_damaged = True
        if database.presence and (lost := database.presence.lost()):
            return lost
    where = (
        f"a value in its table {table!r} is not what km-cli wrote there ({error})" if table else str(error)
    )
    return LedgerError(f"the ledger {path} is damaged: {where}", KEPT)


class decoding:  # noqa: N801 - it is used as a function, and a class costs a fifth of a generator
    """A context for reading and decoding values: their errors become a LedgerError that names the table.

    Nothing else belongs inside it, else a bug of km-cli would be reported as damage.
    """

    __slots__ = ("_database", "_table")

    def __init__(self, database: sqlite3.Connection, table: str) -> None:
        self._database = database
        self._table = table

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and isinstance(error, SPOILED):
            raise damaged(self._database, self._table, error) from error


def expect(row: Sequence[object], *kinds: type | tuple[type, ...]) -> None:
    """Check the types of a row's values, as SQLite keeps any type in any column. Raises TypeError."""
    for value, kind in zip(row, kinds, strict=True):
        if not isinstance(value, kind):
            raise TypeError(f"{type(value).__name__} for {kind}")


def expect_size(value: bytes, *sizes: int) -> None:
    """Check how many bytes a digest has. Raises ValueError."""
    if len(value) not in sizes:
        raise ValueError(f"{len(value)} bytes")
