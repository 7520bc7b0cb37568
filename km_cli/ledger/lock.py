"""One run at a time per ledger, by a lock that the system releases when the process dies (promise 7)."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from km_cli.errors import LedgerBusy, LedgerError


class Lock:
    """An exclusive lock beside the ledger. Not the ledger itself: SQLite's own locks live there."""

    def __init__(self, ledger: Path) -> None:
        self._path = ledger.with_name(ledger.name + ".lock")
        self._file = -1

    def acquire(self) -> None:
        """Take the lock or raise LedgerBusy, naming the process that holds it."""
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise LedgerError(
                f"the ledger's lock {self._path} cannot be opened: {error.strerror}",
                "give a ledger in a folder that you can write to: --ledger PATH",
            ) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(file, 32).decode(errors="replace").strip()
            os.close(file)
            raise LedgerBusy(
                f"another run holds the ledger (process {holder or 'unknown'})",
                "run again when it has finished",
            ) from None
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())
        self._file = file

    def release(self) -> None:
        """Let go; the file stays, so that nobody locks one that is being removed."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
