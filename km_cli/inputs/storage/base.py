"""What every storage promises: how a file or an object is known, found, kept and read.

A storage has files by name. It finds those of a pattern, says how a file is known again, and holds a file for
reading: all readers of a held file read the same content, from any place in it. `tests/test_storage.py` runs
one suite over every storage.
"""

from __future__ import annotations

import io
import os
from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from km_cli.errors import ReadError, Rewritten
from km_cli.inputs.base import Check, no_check


class Stamp(NamedTuple):
    """Device, inode, size in bytes and time in ns since 1970: a file that keeps them was not touched.

    For an object, a digest of its address and ETag stands for device and inode, and the time is 0: the ETag
    says whether the content is the same.
    """

    device: int
    inode: int
    size: int
    time: int

    @classmethod
    def from_stat(cls, found: os.stat_result) -> Stamp:
        """Return the stamp of a file."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


class Found(NamedTuple):
    """A file or an object as it is now. `modified` is in seconds since 1970."""

    stamp: Stamp
    modified: float


class Window(NamedTuple):
    """The times that are asked for, in ns since 1970; None for no bound. Partitions by date are in `zone`."""

    since: int | None
    until: int | None
    zone: ZoneInfo


class Missing(NamedTuple):
    """A pattern that matches no file, or of which some files may be missing.

    `unreadable` if the reason is a folder that can't be read.
    """

    pattern: str
    hint: str
    unreadable: bool = False


class Matches(NamedTuple):
    """The files of a pattern. `outside` are files and folders whose period is not asked for."""

    files: frozenset[str]
    outside: frozenset[str]
    missing: tuple[Missing, ...]


class Content(io.RawIOBase):
    """The bytes of a held file, from a place on."""

    def readable(self) -> bool:
        """Return True."""
        return True

    @abstractmethod
    def place(self) -> int:
        """Return the place in the file, in bytes, that reading has come to."""


class Held(Protocol):
    """A file or an object that is kept as it is, for any number of readers."""

    @property
    def found(self) -> Found:
        """The file as it was when it was opened."""

    @property
    def is_fixed(self) -> bool:
        """Whether its content can never change: an object is replaced as a whole."""

    def open(self, offset: int = 0) -> Content:
        """Return its bytes from a place on. Reading raises Rewritten if the file was changed meanwhile."""

    def was_touched(self) -> bool:
        """Tell whether the file was changed since it was opened."""

    def close(self) -> None:
        """Let it go."""


class Storage(Protocol):
    """A place for files. Errors about names are UsageErrors, and name the next step."""

    def shown(self, name: str) -> str:
        """Return a name for messages and the ledger, without control characters that are no text."""

    def check(self, name: str, check: Check = no_check) -> None:
        """Raise UsageError if there is no such file, or it is a folder."""

    def stat(self, name: str, check: Check = no_check) -> Found | None:
        """Return a file as it is now, without opening it; None if it does not exist. Raises UsageError."""

    def hold(self, name: str, check: Check = no_check) -> Held | None:
        """Open a file; None if it does not exist or can be read only once. Raises UsageError.

        `check` is called while an answer is awaited, then and later. It may raise the error that ends the
        run.
        """

    def expand(self, pattern: str) -> Sequence[str]:
        """Return the files that a glob matches, sorted; a name that exists is taken as it is.

        Raises UsageError if there is none.
        """

    def search(self, pattern: str, window: Window, check: Check = no_check) -> Matches:
        """Return the files of a pattern of km.toml: it may be a folder, and have dates (%Y, %m, %d, %H)."""


def unreadable(name: str, offset: int, reason: str) -> ReadError:
    """Return the error about a file that cannot be read any further."""
    return ReadError(
        f"{name}: cannot be read after {offset:,} bytes: {reason}",
        "all rows before that place are dealt with; run again when the file can be read",
    )


def rewritten(name: str, offset: int, change: str = "truncated or rewritten") -> Rewritten:
    """Return the error about a file that was changed while it was read."""
    return Rewritten(
        f"{name}: was {change} while it was read, after {offset:,} bytes",
        "run again: all rows before that place are dealt with, and no row is sent twice",
    )
