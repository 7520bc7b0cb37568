"""Small files that configure a run: read as a whole, within a bound, and never waited for."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from km_cli.errors import UsageError

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
"""O_NONBLOCK: a FIFO that has no writer must not hold up the run."""

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe (FIFO)",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def read_small(path: Path, most: int, said: str, cure: str) -> bytes:
    """Return the bytes of a regular file that has at most `most`.

    `said` begins the message of the UsageError that is raised for any other file, `cure` is its hint.
    """
    try:
        file = os.open(path, _FLAGS)
    except (OSError, ValueError) as error:
        raise UsageError(f"{said} cannot be read: {why_unread(path, error)}", cure) from None
    try:
        if kind := kind_of(os.fstat(file).st_mode):
            raise UsageError(f"{said} is {kind}, not a regular file", cure)
        content = _read(file, most + 1)
    except OSError as error:
        raise UsageError(f"{said} cannot be read: {error.strerror}", cure) from None
    finally:
        os.close(file)
    if len(content) > most:
        raise UsageError(f"{said} is too large: it has more than {most:,} bytes", cure)
    return content


def kind_of(mode: int) -> str:
    """Return the kind of file that a mode of `stat` tells, "" for a regular file."""
    return "" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "a special file")


def why_unread(path: Path, error: OSError | ValueError) -> str:
    """Return why a file could not be opened; a link that leads nowhere is named as such."""
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        return f"it is a link to {os.path.realpath(path)}, which does not exist"
    return getattr(error, "strerror", None) or str(error)


def expanded(text: str, said: str) -> Path:
    """Return a path with `~` expanded. Raises UsageError, begun with `said`, for a user that is not known."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UsageError(f"{said} {text}: there is no such user", "write the whole path") from None


def _read(file: int, size: int) -> bytes:
    content = b""
    while len(content) < size and (data := os.read(file, size - len(content))):
        content += data
    return content
