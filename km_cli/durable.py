"""Folders and files that survive a power failure, for every stage that writes some."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def make_folder(folder: Path, mode: int = 0o700) -> None:
    """Make the folder and its parents, by default for the owner alone; sync their names. Raises OSError."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        one.mkdir(mode=mode, exist_ok=True)
        sync(one.parent)


def sync(path: Path) -> None:
    """Make a file's content, or the names in a folder, durable. Raises OSError."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def sync_tree(folder: Path) -> None:
    """Make a folder durable, with its name and all that is in it. Raises OSError.

    A file that goes meanwhile is left out: it was a temporary one of a task that came too late.
    """
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                sync(Path(place, name))
        sync(Path(place))
    sync(folder.parent)
