"""Transactions that are durable as a whole or leave the ledger as it was."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from km_cli.errors import LedgerError, LedgerFailed
from km_cli.ledger.damage import Database, damaged, is_damage
from km_cli.ledger.lock import Lock


class Transactions:
    """The transactions of one open ledger. `failed` is the error of one that failed: none may follow it.

    `finish` writes the end of each transaction that changes something, `discard` forgets the changes that a
    failed one has in memory. Without a lock it is a dry run, and nothing has to be durable.
    """

    def __init__(
        self,
        path: Path,
        database: Database,
        lock: Lock | None,
        finish: Callable[[], object],
        discard: Callable[[], object],
    ) -> None:
        self._path = path
        self._database = database
        self._lock = lock
        self._finish = finish
        self._discard = discard
        self.failed: LedgerFailed | None = None

    @contextmanager
    def begin(self) -> Iterator[None]:
        """Write all or nothing. Raises LedgerError.

        After a failure no more transactions are possible: memory may be ahead of the file.
        """
        if self.failed:
            raise self.failed
        before = self._database.total_changes
        try:
            self._database.execute("BEGIN IMMEDIATE")
            yield
            if self._database.total_changes != before:
                self._finish()
                self._check_durable()
            self._database.execute("COMMIT")
        except BaseException as error:
            failed = self._failure(error)
            if self._database.in_transaction:
                with suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
            self._discard()
            if failed is error or not isinstance(error, sqlite3.Error | OSError):
                raise
            raise failed from None

    def _check_durable(self) -> None:
        """Check that the next run will find the file that is written. Raises LedgerFailed, OSError."""
        if self._lock and self._database.presence:
            if lost := self._database.presence.lost():
                raise lost
            self._lock.sync()

    def _failure(self, error: BaseException) -> LedgerError:
        """Return the error that a failed transaction ends with, and forbid further ones."""
        self.failed = LedgerFailed(
            f"the ledger {self._path} cannot be written: {error}",
            "make room or repair the disk, then run the same command again: it goes on where the ledger ends",
        )
        if isinstance(error, LedgerFailed):
            self.failed = error
        if isinstance(error, sqlite3.Error) and is_damage(error):
            return damaged(self._database, "", error)
        return self.failed
