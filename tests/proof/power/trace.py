"""The record of a run: the changes of its disk, the syncs, and the calls that arrived, all in one order."""

from __future__ import annotations

from typing import NamedTuple

ROOT = 1
"""The number of the disk's topmost folder."""
GONE = 0
"""Stands for a file in a change of names: the name is free from now on."""


class Wrote(NamedTuple):
    """Bytes were written to a file."""

    node: int
    offset: int
    data: bytes


class Resized(NamedTuple):
    """A file was cut, or made longer with zeros."""

    node: int
    size: int


class Named(NamedTuple):
    """Names were given or taken, in one step: a file was made, renamed or removed."""

    changes: tuple[tuple[int, str, int], ...]
    """Folder, name, and the file or folder that has this name from now on (GONE: none)."""


class Synced(NamedTuple):
    """A file or folder was synced."""

    node: int


class Arrived(NamedTuple):
    """The tracker got a request, before it answered: the number of requests that it had by then."""

    requests: int


Step = Wrote | Resized | Named | Synced | Arrived


class Kind(NamedTuple):
    """A file or folder, with its permissions."""

    is_folder: bool
    mode: int


class Trace(NamedTuple):
    """The steps of a run in their order, and what is known of each file and folder by its number."""

    steps: list[Step]
    kinds: dict[int, Kind]


def overwrite(content: bytearray, offset: int, data: bytes) -> None:
    """Write bytes; a gap before them is filled with zeros."""
    if offset > len(content):
        content += bytes(offset - len(content))
    content[offset : offset + len(data)] = data


def resize(content: bytearray, size: int) -> None:
    """Cut bytes, or add zeros."""
    if size < len(content):
        del content[size:]
    else:
        content += bytes(size - len(content))
