"""Notices that the ledger's file was moved or replaced while a run writes to it."""

from __future__ import annotations

import os
from pathlib import Path

from km_cli.errors import LedgerFailed


class Presence:
    """The file that was opened.

    A file that was removed can be written as long as it is open, so no error would show the loss. At the end
    of the run everything that was written would be gone.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        found = path.stat()
        self._file, self._size = (found.st_dev, found.st_ino), found.st_size
        self._log_file: tuple[int, int] | None = None

    def lost(self) -> LedgerFailed | None:
        """Return the error to end the run with if the file is gone, another one or shorter; else None.

        The write-ahead log must be there too: SQLite makes it as soon as anything is read.
        """
        try:
            found, log = os.stat(self._path), os.stat(self._log)
        except OSError:
            return self._error("was removed")
        if (found.st_dev, found.st_ino) != self._file:
            return self._error("was replaced by another file")
        if found.st_size < self._size:
            return self._error("was cut short")
        if self._log_file not in (None, (log.st_dev, log.st_ino)):
            return self._error("has another write-ahead log")
        self._size, self._log_file = found.st_size, (log.st_dev, log.st_ino)
        return None

    def _error(self, fate: str) -> LedgerFailed:
        return LedgerFailed(
            f"the ledger {self._path} {fate} while a run used it",
            "restore it as it was: with a new or an older ledger, calls that were sent are sent again",
        )
