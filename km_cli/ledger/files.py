"""Files that were read to their end. If such a file was not touched since, it is not opened again.

This only saves work. A file that is not listed here is recognised by its bytes, and its calls one by one.
"""

from __future__ import annotations

import sqlite3
from struct import Struct

from km_cli.ledger.damage import decoding, expect

_FILE = Struct(">QQ16s")
_DAY = 86_400
_KEPT = 30 * _DAY
_REFRESHED = 7 * _DAY


class FileTable:
    """Files that were read to their end, each with a digest of the settings (`asked`).

    A file is known by its device, inode, size, and time of change in ns since 1970. Times of runs are in
    seconds since 1970. A file that no run has met for 30 days is forgotten, so that the table does not grow.
    """

    def __init__(self, database: sqlite3.Connection, schemas: tuple[str, ...]) -> None:
        self._database = database
        self._query = " UNION ALL ".join(
            f"SELECT size, time, seen FROM {name}.files WHERE file = :file" for name in schemas
        )
        self._met: set[bytes] = set()
        self._new: dict[bytes, tuple[int, int, int]] = {}
        self._has_new = False

    def is_read(self, stamp: tuple[int, int, int, int], asked: str, now: float) -> bool:
        """Tell whether a file was read to its end under these settings and not touched since.

        The next `tidy` notes that a run has met it.
        """
        device, inode, size, time = stamp
        file = _key(device, inode, asked)
        if self._new.get(file, ())[:2] == (size, time):
            return True
        with decoding(self._database, "files"):
            for row in self._database.execute(self._query, {"file": file}):
                expect(row, int, int, int)
                if row[:2] == (size, time):
                    if now - row[2] > _REFRESHED:
                        self._met.add(file)
                    return True
        return False

    def keep(self, stamp: tuple[int, int, int, int], asked: str, now: float) -> None:
        """Remember that a file was read to its end; the next `write` makes that durable."""
        device, inode, size, time = stamp
        self._new[_key(device, inode, asked)] = (size, time, int(now))

    def write(self) -> None:
        """Write the new files; the caller's transaction makes them durable."""
        self._database.executemany(
            "INSERT OR REPLACE INTO main.files VALUES (?, ?, ?, ?)",
            [(file, *values) for file, values in self._new.items()],
        )
        self._has_new = self._has_new or bool(self._new)
        self._new.clear()

    @property
    def is_stale(self) -> bool:
        """Whether there are files to tidy: new files, or files whose time `seen` is to be renewed."""
        return self._has_new or bool(self._new or self._met)

    def tidy(self, now: float) -> None:
        """Note which files were met, and forget old ones; the caller's transaction makes it durable."""
        self.write()
        self._database.executemany(
            "UPDATE main.files SET seen = ? WHERE file = ?", [(int(now), file) for file in self._met]
        )
        self._met.clear()
        self._has_new = False
        self._database.execute("DELETE FROM main.files WHERE seen < ?", (int(now) - _KEPT,))


def _key(device: int, inode: int, asked: str) -> bytes:
    return _FILE.pack(device, inode, bytes.fromhex(asked)[:16])
