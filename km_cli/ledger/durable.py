"""Files that are put in their place or removed as a whole, whenever the power fails."""

from __future__ import annotations

import os
from pathlib import Path

from km_cli.durable import sync


def put_in_place(made: Path, path: Path) -> None:
    """Give a finished file its name, so that a crash leaves all of it or nothing. Raises OSError."""
    sync(made)
    os.replace(made, path)
    sync(path.parent)


def remove_database(path: Path) -> None:
    """Remove a database and the files that SQLite keeps beside it, if they are there. Raises OSError."""
    for ending in ("-wal", "-shm", "-journal", ""):
        path.with_name(path.name + ending).unlink(missing_ok=True)
