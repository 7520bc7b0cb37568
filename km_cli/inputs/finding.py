"""Finds files by names and patterns, in every storage."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import NamedTuple
from zoneinfo import ZoneInfo

from km_cli.errors import UsageError
from km_cli.inputs.base import Check, no_check
from km_cli.inputs.discovery import named
from km_cli.inputs.storage.base import Held, Missing, Window
from km_cli.inputs.storage.registry import storage_of


class FoundFiles(NamedTuple):
    """The files that were found, each once, in the order in which they are read.

    `outside` counts the files and folders that were left out because their period is not asked for.
    """

    files: tuple[str, ...]
    missing: tuple[Missing, ...]
    outside: int


def find_files(
    patterns: Iterable[str], since: int | None, until: int | None, timezone: str, check: Check = no_check
) -> FoundFiles:
    """Return the files of each pattern of km.toml, sorted by name. `timezone` "" is UTC.

    A name that exists is taken as it is; a folder means all data files at any depth below it. Partitions by
    date (`%Y`, `%m`, `%d`, `%H`) are left out if they lie more than a day before `since` or after `until`,
    which are in nanoseconds since 1970. `check` is called while an object store is awaited. Raises UsageError
    for a pattern that makes no sense.
    """
    window = Window(since, until, ZoneInfo(timezone or "UTC"))
    files: dict[str, None] = {}
    outside: set[str] = set()
    missing: list[Missing] = []
    for pattern in patterns:
        found = storage_of(pattern).search(pattern, window, check)
        files.update(dict.fromkeys(sorted(found.files)))
        outside |= found.outside
        missing += found.missing
    return FoundFiles(tuple(map(named, files)), tuple(missing), len(outside.difference(files)))


def expand(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names, each pattern that the shell did not expand replaced by its files, sorted.

    `**` is any depth. A name that exists is taken as it is. Raises UsageError for a pattern that matches no
    file.
    """
    found: list[str] = []
    known: set[str] = set()
    for name in names:
        files = [name] if name == "-" else storage_of(name).expand(name)
        # A file that was named before is not read twice.
        found += files if files == [name] else [file for file in files if file not in known]
        known.update(files)
    return tuple(found)


def open_bytes(name: str, check: Check = no_check) -> io.BufferedReader:
    """Return the bytes of a file or an object as they are, to be read once and closed.

    Raises UsageError if it does not exist, and ReadError while it is read.
    """
    storage = storage_of(name)
    held = storage.hold(name, check)
    if held is None:
        storage.check(name, check)
        raise UsageError(f"{storage.shown(name)} is no regular file", "name a file that can be read")
    return _Bytes(held)


class _Bytes(io.BufferedReader):
    """The bytes of a held file. It is let go when they are closed."""

    def __init__(self, held: Held) -> None:
        super().__init__(held.open())
        self._held: Held | None = held

    def close(self) -> None:
        """Close the bytes, and let the file go."""
        super().close()
        held, self._held = self._held, None
        if held is not None:
            held.close()
