"""Brings a ledger of an older format to this one, by a chain of steps from each format to the next.

Each step is one transaction, which also notes the new format. Whenever a run is killed, the ledger has one
format or the other, and the next run goes on from there.

The ledger is copied before the first step. A transaction protects against a crash, not against a bug in a
step or a user who must go back to the older km-cli; and a ledger that is lost or wrong means that all is
sent twice, which cannot be undone (D10).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from km_cli.errors import LedgerError
from km_cli.ledger import from_2_to_3, from_3_to_4, from_3_to_4_counts
from km_cli.ledger.durable import put_in_place, remove_database
from km_cli.ledger.schema import APPLICATION_ID, TABLES, VERSION

Step = Callable[[sqlite3.Connection], None]
"""Changes the tables of `main` within the open transaction. It must use `run`: `executescript` commits."""


def run(database: sqlite3.Connection, script: str) -> None:
    """Run the statements of a script within the open transaction."""
    statement = ""
    for part in script.split(";"):
        statement += part + ";"
        if sqlite3.complete_statement(statement):
            if statement.strip(" \n;"):
                database.execute(statement)
            statement = ""


def _from_2_to_3(database: sqlite3.Connection) -> None:
    run(database, f"PRAGMA application_id = {APPLICATION_ID}")
    run(database, from_2_to_3.TABLES)
    from_2_to_3.step(database)


def _from_3_to_4(database: sqlite3.Connection) -> None:
    from_3_to_4.step(database)
    from_3_to_4_counts.step(database)
    # A run may be killed before the next step: then format 4 must have all its tables. One more does no harm.
    run(database, TABLES.format(schema="main"))


def _from_4_to_5(database: sqlite3.Connection) -> None:
    """Make the new table. It gets the values that format 4 has in slots as they are asked for."""
    run(database, TABLES.format(schema="main"))


def _from_5_to_6(_database: sqlite3.Connection) -> None:
    """Change nothing: two tables are new. A km-cli that does not know them would send pruned rows again."""


STEPS: Mapping[int, Step] = {2: _from_2_to_3, 3: _from_3_to_4, 4: _from_4_to_5, 5: _from_5_to_6}
"""Steps by the format that they begin with. Tables that are new in this format are made after the last."""

OLDEST = min(STEPS)
"""The oldest format that can be brought to this one."""


def migrate(database: sqlite3.Connection, version: int, steps: Mapping[int, Step] = STEPS) -> None:
    """Bring the ledger from this version to the present one. Raises sqlite3.Error; finished steps stand."""
    while version in steps:
        database.execute("BEGIN IMMEDIATE")
        try:
            steps[version](database)
            assert database.in_transaction, f"the step from {version} committed by itself"
            version += 1
            if version == VERSION:
                run(database, TABLES.format(schema="main"))
            database.execute("UPDATE meta SET value = ? WHERE key = 'version'", (str(version),))
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise


def backup_of(path: Path, version: int) -> Path:
    """Return the path of the copy that is kept in this format.

    Its name warns: to restore it after calls were sent would send them again.
    """
    return path.with_name(f"{path.name}.format-{version}-do-not-restore-after-sending")


def migrate_with_backup(database: sqlite3.Connection, path: Path, version: int) -> None:
    """Copy the ledger to a file beside it, then bring it to the present format.

    Raises LedgerError if that fails, for example on a full disk. The ledger then still holds all that it
    held.
    """
    try:
        back_up(database, backup_of(path, version))
        migrate(database, version)
    except (OSError, sqlite3.Error) as error:
        size = max(1, path.stat().st_size // 1_000_000)
        raise LedgerError(
            f"the ledger {path} cannot be brought from format {version} to {VERSION}: {error}",
            f"nothing of it is lost; make room for about {3 * size:,} MB in {path.parent}, then run again",
        ) from None


def back_up(database: sqlite3.Connection, kept: Path, schema: str = "main") -> None:
    """Copy the ledger. The copy gets its name once it is whole: half of one must not look like a ledger.

    Raises OSError, sqlite3.Error.
    """
    part = kept.with_name(kept.name + ".part")
    remove_database(part)
    try:
        copy(database, schema, part)
        put_in_place(part, kept)
    except BaseException:
        remove_database(part)
        raise


def copy(database: sqlite3.Connection, schema: str, path: Path) -> None:
    """Copy a ledger, its write-ahead log included, into a new file that only its owner can read.

    The caller makes it durable. Raises OSError, sqlite3.Error.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(path, isolation_level=None)) as target:
        target.execute("PRAGMA synchronous = OFF")
        database.backup(target, name=schema)
        target.execute("PRAGMA journal_mode = DELETE")  # One file, with nothing beside it.
