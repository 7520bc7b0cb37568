"""One run at a time per ledger, by a lock that the system releases when the process dies (promise 7)."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from km_cli.errors import LedgerBusy, LedgerError

_TICK = 0.05


class Lock:
    """An exclusive lock beside the ledger. Not the ledger itself: SQLite's own locks live there."""

    def __init__(self, ledger: Path) -> None:
        self._path = ledger.with_name(ledger.name + ".lock")
        self._file = -1

    def acquire(self, wait: float = 0.0) -> None:
        """Take the lock, waiting so many seconds for it.

        Raises LedgerBusy, naming the process that holds it, or LedgerError.
        """
        until = time.monotonic() + wait
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise LedgerError(
                f"the ledger's lock {self._path} cannot be opened: {error.strerror}",
                "give a ledger in a folder that you can write to: --ledger PATH",
            ) from None
        while not _locked(file):
            if time.monotonic() < until:
                time.sleep(_TICK)
                continue
            holder = os.pread(file, 32, 0).decode(errors="replace").strip()
            os.close(file)
            raise LedgerBusy(
                f"another run holds the ledger (process {holder or 'unknown'})",
                "run again when it has finished",
            )
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())
        self._file = file

    def release(self) -> None:
        """Let go; the file stays, so that nobody locks one that is being removed."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
