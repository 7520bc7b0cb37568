"""The file that a run writes its rejects to."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from km_cli.durable import make_folder, sync
from km_cli.errors import LedgerFailed, UsageError
from km_cli.model import Origin, Reject
from km_cli.rejects.line import BEGINNING, format_reject

CORRECT_LINES = "correct `raw` in each line of that file, then import it"

_MOST_ZEROS = 1 << 20

_OTHER_PATH = "give another path: --rejects PATH"


class RejectsFile:
    """Holds a run's rejects. It is made with the first of them; an existing file is appended to.

    `name` is its absolute path as text, `count` how many rejects this run wrote. `cure` says how to correct
    them.

    Another run may write to the same file, so each write holds a lock on it, and mends the end that a crash
    left.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = absolute_name(path)
        self.count = 0
        self._file = -1
        self._size = -1

    @property
    def place(self) -> str:
        """The file that this run wrote to, for people."""
        return str(self.path)

    @property
    def by_file(self) -> dict[str, int]:
        """How many rejects this run wrote to each file, by the file's absolute path as text."""
        return {self.name: self.count} if self.count else {}

    @property
    def cure(self) -> str:
        """How to correct the rejects that this run wrote."""
        return CORRECT_LINES

    def format(self, reject: Reject, origin: Origin) -> bytes:
        """Return the line of a reject; `origin` is that of the reading in which its row was read."""
        return format_reject(reject, origin)

    def write(self, lines: Sequence[bytes]) -> None:
        """Append lines and wait until they are on the disk. Raises LedgerFailed if they are not.

        A batch is committed to the ledger after its rejects are here, so that no crash loses a rejected row.
        If writing fails the file is cut back to its length before, so that no half line stays.
        """
        if lines:
            with self._locked() as file:
                write_all(file, b"".join(lines))
        self.count += len(lines)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Open and lock the file, and sync it at the end. Raises LedgerFailed.

        If that fails, the file is cut back to its length before, so that no half line stays.
        """
        self._size = -1
        try:
            if self._file < 0:
                self._file = self._open()
            with _lock(self._file):
                try:
                    self._mend(self._file)
                    self._size = os.lseek(self._file, 0, os.SEEK_END)
                    yield self._file
                    os.fsync(self._file)
                except (OSError, LedgerFailed):
                    self._cut()
                    raise
        except OSError as error:
            raise LedgerFailed(
                f"the rejects file {self.path} cannot be written: {error.strerror}",
                "make room or give another place with --rejects PATH, then run the same command again",
            ) from None

    def _cut(self) -> None:
        """Cut the file back to its length before the last write, so that no half line stays."""
        if self._size >= 0:
            with suppress(OSError):  # a pipe or a device cannot be cut
                os.ftruncate(self._file, self._size)

    def _open(self) -> int:
        """Make the file, readable by its owner alone."""
        make_folder(self.path.parent)
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not os.lseek(file, 0, os.SEEK_END):
            sync(self.path.parent)
        return file

    def _mend(self, file: int) -> None:
        """Give a last line that a crash cut off its line end, and take away zeros that are no content."""
        if os.pread(file, 1, 0) == b"\0" and is_blank(os.pread(file, _MOST_ZEROS, 0)):
            os.ftruncate(file, 0)
        size = os.lseek(file, 0, os.SEEK_END)
        if size and os.pread(file, 1, size - 1) != b"\n":
            os.write(file, b"\n")

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def absolute_name(path: Path) -> str:
    """Return the absolute path as text. Bytes that are not UTF-8 are escaped."""
    return os.fsencode(path.absolute()).decode(errors="backslashreplace")


@contextmanager
def _lock(file: int) -> Iterator[None]:
    """Keep other runs from writing to a file. Some file systems have no locks, and do without."""
    try:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)


def write_all(file: int, data: bytes) -> None:
    """Write all bytes. Raises OSError."""
    while data:
        data = data[os.write(file, data) :]


def check_path(path: Path) -> None:
    """Raise UsageError if rejects cannot be written to this path.

    It is checked before the run, because other rows are already sent when the first reject is written.
    """
    if os.path.lexists(path):
        if not os.path.isfile(path):
            raise UsageError(f"--rejects {path} is not a regular file", _OTHER_PATH)
        if not os.access(path, os.R_OK | os.W_OK):
            raise UsageError(f"--rejects {path}: this user may not write to it", _OTHER_PATH)
        return
    folder = path.absolute().parent
    while not os.path.lexists(folder):  # missing folders are made with the file
        folder = folder.parent
    if not os.path.isdir(folder):
        raise UsageError(f"--rejects {path}: {folder} is not a folder", _OTHER_PATH)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"--rejects {path}: this user may not write to {folder}", _OTHER_PATH)


def check_content(path: Path) -> None:
    """Raise UsageError if the file exists and does not begin with a reject: it is not km-cli's."""
    try:
        if not path.is_file():
            return
        with path.open("rb") as file:
            beginning = file.read(_MOST_ZEROS)
    except OSError:
        return  # `RejectsFile.write` reports this error
    if beginning and not beginning.startswith(BEGINNING) and not is_blank(beginning):
        raise UsageError(f"--rejects {path} exists and does not hold rejects", _OTHER_PATH)


def is_blank(content: bytes) -> bool:
    """Tell whether a file has only zeros: after a power failure it may have its size without its content.

    More zeros than a power failure leaves may be a disk image, so such a file is another program's.
    """
    return 0 < len(content) < _MOST_ZEROS and not content.strip(b"\0")
