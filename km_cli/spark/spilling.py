"""Mappings of one task that go to a temporary file when they grow.

Most people have few calls. One account may have half of all: its calls would fill the memory of the task that
plans it. So a mapping keeps a bounded number of entries in memory, and writes them to a temporary database
when there are more. SQLite removes the file's name as it makes it: nothing of it stays behind a killed task.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, MutableMapping
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K")
V = TypeVar("V")

MOST = 50_000
"""Entries of a mapping in memory: some 50 MB for the calls of a person."""

_CACHE_KB = 8_000


class Form(NamedTuple, Generic[K, V]):
    """How keys and values become bytes, and back."""

    pack_key: Callable[[K], bytes]
    unpack_key: Callable[[bytes], K]
    pack: Callable[[K, V], bytes]
    unpack: Callable[[K, bytes], V]


class TemporaryDatabase:
    """A database that is made when it is asked for, and gone with this process."""

    def __init__(self) -> None:
        self._database: sqlite3.Connection | None = None

    def open(self) -> sqlite3.Connection:
        """Return the database. It needs no journal: nobody reads it after a crash."""
        if self._database is None:
            self._database = sqlite3.connect("", isolation_level=None)
            for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KB}"):
                self._database.execute(f"PRAGMA {pragma}")
        return self._database


class Spilling(MutableMapping[K, V]):
    """A mapping with at most `most` entries in memory. A value must be put again to be changed."""

    def __init__(self, database: TemporaryDatabase, name: str, form: Form[K, V], most: int = MOST) -> None:
        self._file = database
        self._name = name
        self._form = form
        self._most = most
        self._near: dict[K, V] = {}
        self._database: sqlite3.Connection | None = None
        """The database, if entries are in it."""

    def get(self, key: K, default: V | None = None) -> V | None:  # type: ignore[override]
        """Return the value of a key, or else the default."""
        found = self._near.get(key)
        if found is not None or self._database is None:
            return default if found is None else found
        packed = self._read(key)
        return default if packed is None else self._form.unpack(key, packed)

    def _read(self, key: K) -> bytes | None:
        assert self._database is not None
        query = f"SELECT value FROM {self._name} WHERE key = ?"
        row = self._database.execute(query, (self._form.pack_key(key),)).fetchone()
        return None if row is None else bytes(row[0])

    def __getitem__(self, key: K) -> V:
        found = self.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def __setitem__(self, key: K, value: V) -> None:
        self._near[key] = value
        if len(self._near) > self._most:
            self._spill()

    def __delitem__(self, key: K) -> None:
        is_near = self._near.pop(key, None) is not None
        is_far = False
        if self._database is not None:
            gone = self._database.execute(
                f"DELETE FROM {self._name} WHERE key = ?", (self._form.pack_key(key),)
            )
            is_far = gone.rowcount > 0
        if not (is_near or is_far):
            raise KeyError(key)

    def __iter__(self) -> Iterator[K]:
        """Yield the keys: those in the file first. Nothing may be put meanwhile."""
        if self._database is not None:
            self._spill()
            for (key,) in self._database.execute(f"SELECT key FROM {self._name} ORDER BY rowid"):
                yield self._form.unpack_key(bytes(key))
        yield from self._near

    def __len__(self) -> int:
        if self._database is None:
            return len(self._near)
        self._spill()
        (count,) = self._database.execute(f"SELECT count(*) FROM {self._name}").fetchone()
        return int(count)

    @property
    def in_memory(self) -> int:
        """The number of entries in memory."""
        return len(self._near)

    def clear(self) -> None:
        """Forget all entries."""
        self._near.clear()
        if self._database is not None:
            self._database.execute(f"DELETE FROM {self._name}")
            self._database = None

    def _spill(self) -> None:
        """Write the entries in memory to the file."""
        if self._database is None:
            self._database = self._file.open()
            self._database.execute(
                f"CREATE TABLE IF NOT EXISTS {self._name} (key BLOB NOT NULL UNIQUE, value BLOB NOT NULL)"
            )
        pack_key, pack = self._form.pack_key, self._form.pack
        rows = [(pack_key(key), pack(key, value)) for key, value in self._near.items()]
        self._database.execute("BEGIN")
        self._database.executemany(
            f"INSERT INTO {self._name} VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            rows,
        )
        self._database.execute("COMMIT")
        self._near.clear()
