"""Files that were read to their end: one that was not touched since is not opened again.

It only saves work. A file that is not known here is known by its bytes, and its calls one by one.
"""

from __future__ import annotations

import sqlite3
from struct import Struct

from km_cli.ledger.damage import decoding, expect
from km_cli.ledger.schema import that_have

_FILE = Struct(">QQ16s")
_DAY = 86_400
_KEPT = 30 * _DAY
_REFRESHED = 7 * _DAY


class FileTable:
    """Files that were read to their end, with how they were asked for.

    A file is its device, inode, size, and time in ns since 1970. What no run has met for 30 days is
    forgotten. Times of runs are in seconds since 1970.
    """

    def __init__(self, database: sqlite3.Connection, schemas: tuple[str, ...]) -> None:
        self._database = database
        self._query = " UNION ALL ".join(
            f"SELECT size, time, seen FROM {name}.files WHERE file = :file"
            for name in that_have(database, schemas, "files")
        )
        self._met: set[bytes] = set()
        self._new: dict[bytes, tuple[int, int, int]] = {}
        self._has_new = False

    def is_read(self, stamp: tuple[int, int, int, int], asked: str, now: float) -> bool:
        """Tell whether the file was read to its end under the same settings and not touched since.

        That it was met is noted when files are tidied.
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
        """Remember that it was read to its end. The next `write` makes it durable, or it is read again."""
        device, inode, size, time = stamp
        self._new[_key(device, inode, asked)] = (size, time, int(now))

    def write(self) -> None:
        """Write what is new; the caller's transaction makes it durable."""
        self._database.executemany(
            "INSERT OR REPLACE INTO main.files VALUES (?, ?, ?, ?)",
            [(file, *found) for file, found in self._new.items()],
        )
        self._has_new = self._has_new or bool(self._new)
        self._new.clear()

    @property
    def is_stale(self) -> bool:
        """Whether there is something to tidy: files that were met and are not noted as such, or new ones."""
        return self._has_new or bool(self._new or self._met)

    def tidy(self, now: float) -> None:
        """Note which files were met, forget those that were not for long; the caller's transaction."""
        self.write()
        self._database.executemany(
            "UPDATE main.files SET seen = ? WHERE file = ?", [(int(now), file) for file in self._met]
        )
        self._met.clear()
        self._has_new = False
        self._database.execute("DELETE FROM main.files WHERE seen < ?", (int(now) - _KEPT,))


def _key(device: int, inode: int, asked: str) -> bytes:
    return _FILE.pack(device, inode, bytes.fromhex(asked)[:16])
