"""Reads small files that configure a run, within a bound and without waiting for a writer."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from km_cli.errors import UsageError
from km_cli.file_limit import check_limit

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
"""O_NONBLOCK: a FIFO without a writer must not hold up the run."""

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe (FIFO)",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def read_small(path: Path, most: int, label: str, hint: str) -> bytes:
    """Return the content of a regular file of at most `most` bytes.

    Raises UsageError for any other file; its message begins with `label`. Raises Exhausted if this process
    can open no more files.
    """
    try:
        file = os.open(path, _FLAGS)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError):
            check_limit(str(path), error)
        raise UsageError(f"{label} cannot be read: {why_unread(path, error)}", hint) from None
    try:
        if kind := kind_of(os.fstat(file).st_mode):
            raise UsageError(f"{label} is {kind}, not a regular file", hint)
        content = _read(file, most + 1)
    except OSError as error:
        raise UsageError(f"{label} cannot be read: {error.strerror}", hint) from None
    finally:
        os.close(file)
    if len(content) > most:
        raise UsageError(f"{label} is too large: it has more than {most:,} bytes", hint)
    return content


def kind_of(mode: int) -> str:
    """Return the kind of file of a mode of `stat`, in words; "" for a regular file."""
    return "" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "a special file")


def why_unread(path: Path, error: OSError | ValueError) -> str:
    """Return the reason why a file could not be opened. A broken link is described as such."""
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        return f"it is a link to {os.path.realpath(path)}, which does not exist"
    return getattr(error, "strerror", None) or str(error)


def is_open_to_all(path: Path) -> bool:
    """Whether everyone on this machine can read a file, as is usual for mounted secrets."""
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def expanded(text: str, label: str) -> Path:
    """Return a path with `~` expanded. Raises UsageError, which begins with `label`, for an unknown user."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UsageError(f"{label} {text}: there is no such user", "write the whole path") from None


def _read(file: int, size: int) -> bytes:
    content = b""
    while len(content) < size and (data := os.read(file, size - len(content))):
        content += data
    return content
