"""One run at a time per ledger, by a lock that the system releases when the process dies (promise 7).

The lock's file also says how the last run ended. It holds the number of the process while a run is at work,
and a word once the ledger was closed properly. If that stood in the ledger, even a run that finds nothing new
would have to write to the ledger.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from enum import Enum
from pathlib import Path

from km_cli.durable import sync
from km_cli.errors import LedgerBusy, LedgerError

_TICK = 0.05
_SIZE = 32
_BUSY = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EINTR})
_ELSEWHERE = "name a folder that you can write to: --ledger PATH, or --to local:PATH"


class Ending(Enum):
    """How the last run ended. The values stand in the lock's file."""

    CLEAN = "closed"
    """The ledger is one file, with nothing beside it."""
    CLEAN_WITH_LOG = "closed, its log is needed"
    """A dry run was reading then, so the run's last writes are still in the write-ahead log."""
    UNKNOWN = ""
    """The run was killed, the power failed, an older km-cli ran last, or the lock's file is new."""


class Lock:
    """An exclusive lock on a file beside the ledger. The ledger itself has SQLite's own locks."""

    def __init__(self, ledger: Path) -> None:
        self._path = lock_of(ledger)
        self._file = -1
        self._found = b""
        self._is_synced = False
        self.ending = Ending.UNKNOWN

    def acquire(self, wait: float = 0.0) -> None:
        """Take the lock, waiting `wait` seconds for it at most.

        Raises LedgerBusy, naming the process that holds it, or LedgerError.
        """
        # `read_holder` may try the lock in this very instant, which is no run.
        until = time.monotonic() + max(wait, _TICK)
        file = self._open()
        try:
            while not self._is_taken(file):
                if time.monotonic() >= until:
                    holder = os.pread(file, _SIZE, 0).decode(errors="replace").strip()
                    raise LedgerBusy(
                        f"another run holds the ledger (process {holder or 'unknown'})",
                        "run again when it has finished",
                    )
                time.sleep(_TICK)
            self._found = os.pread(file, _SIZE, 0)
            self.ending = _ending(self._found)
            _write(file, str(os.getpid()))
        except OSError as error:
            os.close(file)
            raise self.failed(error) from None
        except BaseException:
            os.close(file)
            raise
        self._file = file

    def _open(self) -> int:
        try:
            if self._path.exists() and not stat.S_ISREG(self._path.stat().st_mode):
                raise LedgerError(f"the ledger's lock {self._path} is not a file", _ELSEWHERE)
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise LedgerError(
                f"the ledger's lock {self._path} cannot be opened: {error.strerror}", _ELSEWHERE
            ) from None

    def _is_taken(self, file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _BUSY:
                return False
            raise LedgerError(
                f"the ledger cannot be locked in {self._path.parent}: {error.strerror}",
                "put it on a disk of this machine, where files can be locked: --ledger PATH",
            ) from None
        return True

    def sync(self) -> None:
        """Make it durable that a run is at work, before it first writes to the ledger. Raises OSError."""
        if not self._is_synced:
            os.fsync(self._file)
            self._is_synced = True

    def failed(self, error: OSError) -> LedgerError:
        """Return the error for a lock that cannot be written."""
        return LedgerError(
            f"the ledger's lock {self._path} cannot be written: {error.strerror}",
            "make room or repair the disk, then run the same command again",
        )

    def note(self, ending: Ending) -> None:
        """Note how the run ended. If that fails, the next run checks the whole ledger: no harm is done.

        The log of a run that wrote is gone by now, and first that is made durable: after a power failure the
        note could be there and the log be back, so that it would look like another ledger's.
        """
        try:
            if ending is Ending.CLEAN and (self._is_synced or self.ending is not Ending.CLEAN):
                sync(self._path.parent)
            _write(self._file, ending.value)
        except OSError:
            return

    def note_refused(self) -> None:
        """Put back how the run before ended, since this one did not touch the ledger."""
        if self.ending is not Ending.UNKNOWN:
            self.note(self.ending)

    def release(self) -> None:
        """Release the lock. The file stays: another process could lock it while it is being removed."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def lock_of(ledger: Path) -> Path:
    """Return the path of a ledger's lock."""
    return ledger.with_name(ledger.name + ".lock")


def read_ending(ledger: Path) -> Ending:
    """Return how the last run ended, without taking the lock: a run may be at work."""
    try:
        return _ending(lock_of(ledger).read_bytes()[:_SIZE])
    except OSError:
        return Ending.UNKNOWN


def read_holder(ledger: Path) -> int | None:
    """Return the number of the process that holds the lock; None if there is none.

    A process that was killed leaves its number, which another process may have by now: after a restart, or in
    a new container, perhaps this very one. So the lock itself is tried, shared and for an instant.
    """
    try:
        with lock_of(ledger).open("rb") as file:
            text = file.read(_SIZE).decode("ascii", errors="replace").strip()
            return int(text) if text.isascii() and text.isdigit() and _is_held(file.fileno()) else None
    except OSError:
        return None


def _is_held(file: int) -> bool:
    """Tell whether a process holds the lock. If none does, closing the file gives the try back."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _BUSY
    return False


def _write(file: int, text: str) -> None:
    """Overwrite the file with the same number of bytes: even a full disk has room for that."""
    os.pwrite(file, f"{text:<{_SIZE - 1}}\n".encode(), 0)


def _ending(found: bytes) -> Ending:
    word = found.decode("ascii", errors="replace").strip()
    return next((ending for ending in Ending if word == ending.value), Ending.UNKNOWN)
