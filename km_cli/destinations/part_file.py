"""A bulk file that is being written: appended to and synced, and named when it is finished.

Its name ends with `.part` until then, so that no upload takes it. The ledger has its length: all bytes behind
it are of a batch that was not committed.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from zlib import crc32

from km_cli.durable import sync
from km_cli.errors import WriteError

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20


class PartFile:
    """A file that is open. `length` is its length in bytes, and `crc` the check sum of these bytes."""

    def __init__(self, path: Path, file: int) -> None:
        self._path = path
        self._file = file
        self.length = 0
        self.crc = 0

    @classmethod
    def create(cls, path: Path) -> PartFile:
        """Make a new file. Raises WriteError, also if there is one: another run may be writing it."""
        try:
            part = cls(path, os.open(path, _FLAGS | os.O_EXCL, 0o600))
            part._lock()
            sync(path.parent)
        except OSError as error:
            raise _failed(path, error) from None
        return part

    @classmethod
    def resume(cls, path: Path, length: int, crc: int) -> PartFile:
        """Open the file that an earlier run left, and cut it to the length that the ledger has.

        Raises WriteError if it is shorter, or if these bytes are not those that were written.
        """
        try:
            part = cls(path, os.open(path, _FLAGS & ~(os.O_CREAT if length else 0), 0o600))
        except FileNotFoundError:
            raise _gone(path, length) from None
        except OSError as error:
            raise _failed(path, error) from None
        try:
            part._lock()
            part._cut(length, crc)
        except OSError as error:
            part.close()
            raise _failed(path, error) from None
        except WriteError:
            part.close()
            raise
        return part

    def _lock(self) -> None:
        """Keep the runs of other ledgers from writing to the file. Some file systems have no locks."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise WriteError(
                f"the bulk file {self._path} is being written by another run", "wait until it has ended"
            ) from None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                raise

    def _cut(self, length: int, crc: int) -> None:
        if os.fstat(self._file).st_size < length or _crc_of(self._file, length) != crc:
            raise _changed(self._path, length)
        os.ftruncate(self._file, length)
        os.fsync(self._file)
        os.lseek(self._file, length, os.SEEK_SET)
        self.length, self.crc = length, crc

    def append(self, data: bytes) -> None:
        """Append bytes, and wait until they are on the disk. Raises WriteError."""
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
        except OSError as error:
            raise _failed(self._path, error) from None
        self.length += len(data)
        self.crc = crc32(data, self.crc)

    def finish(self, path: Path) -> None:
        """Give the file its name: from now on it is never opened again. Raises WriteError."""
        self.close()
        try:
            if os.path.lexists(path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            os.rename(self._path, path)
            sync(path.parent)
        except OSError as error:
            raise _failed(path, error) from None

    def remove(self) -> None:
        """Remove the file, which holds nothing that counts. Raises WriteError.

        The ledger forgets it next, so that no run would remove it if a power failure brought it back.
        """
        self.close()
        try:
            self._path.unlink()
            sync(self._path.parent)
        except OSError as error:
            raise _failed(self._path, error) from None

    def close(self) -> None:
        """Close the file. The ledger has its length, so that a later run goes on with it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def is_file_of(path: Path, length: int, crc: int) -> bool:
    """Tell whether there is a file with exactly these bytes."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.fstat(file).st_size == length and _crc_of(file, length) == crc
    finally:
        os.close(file)


def check_waiting(path: Path, length: int, crc: int) -> None:
    """Raise WriteError unless a file that waits for its upload has exactly these bytes."""
    if not is_file_of(path, length, crc):
        raise (_changed if os.path.lexists(path) else _gone)(path, length, "an earlier run")


def _crc_of(file: int, length: int) -> int:
    """Return the check sum of the first bytes of a file."""
    crc, at = 0, 0
    while at < length and (data := os.pread(file, min(_CHUNK, length - at), at)):
        crc, at = crc32(data, crc), at + len(data)
    return crc


def _failed(path: Path, error: OSError) -> WriteError:
    return WriteError(
        f"the bulk file {path} cannot be written: {error.strerror}",
        "make room or repair the disk, then run the same command again: it goes on where it stopped",
    )


_CALLS_COUNT = (
    "the ledger counts its calls as sent: put the file back as it was and run again. If it is lost, write "
    "all calls anew, with another --ledger and another --to"
)


_CUT_OFF = "a run that was cut off"


def _gone(path: Path, length: int, whose: str = _CUT_OFF) -> WriteError:
    return WriteError(f"the bulk file {path} is gone: {whose} left {length:,} bytes in it", _CALLS_COUNT)


def _changed(path: Path, length: int, whose: str = _CUT_OFF) -> WriteError:
    return WriteError(
        f"the bulk file {path} has changed since {whose} left {length:,} bytes in it", _CALLS_COUNT
    )
