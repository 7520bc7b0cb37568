"""The store, in SQLite: it keeps the data that Kissmetrics would keep, and a journal of all calls."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from km_cli.standin import sites
from km_cli.standin.keeping import Keeper
from km_cli.standin.reading import Reader
from km_cli.standin.schema import make_tables
from km_cli.standin.wire import decode

_DELETE: Final = (
    """UPDATE kept_journal SET missing = 0, before = coalesce((SELECT max(id) FROM kept_calls), before),
    facts = coalesce((SELECT max(id) FROM kept_facts), facts)""",
    *(
        f"DELETE FROM kept_{table}"
        for table in (
            "calls",
            "facts",
            "fact_counts",
            "spellings",
            "events",
            "properties",
            "instances",
            "minutes",
            "names",
            "people",
            "products",
            "counts",
        )
    ),
)


class Store(Reader):
    """The embedded store. Threads may share one, and other processes may open the same file.

    Commits are not synced by themselves: the ledger is in the same file, and its next synced commit covers
    them.
    """

    def __init__(self, path: str | Path, now: Callable[[], float] = time.time) -> None:
        """Open or create the file; it cannot be in memory. `now` returns Unix time in seconds."""
        super().__init__(path)
        self._now = now
        self._lock = threading.Lock()
        self._db = self._connect()
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("PRAGMA cache_size = -65536")
            self._db.execute("PRAGMA wal_autocheckpoint = 8000")
            make_tables(self._db)
        except BaseException:
            self._db.close()
            raise
        self._keeper = Keeper(self._db)
        self._sites: dict[str, str] = {}

    def close(self) -> None:
        """Close the file. It may be called again."""
        self._db.close()

    def receive(self, requests: Iterable[tuple[str, bytes]]) -> None:
        """Take calls in one transaction, all or none. A call is its path with the query, and its form body.

        The caller must not have a transaction open that writes to the same file.
        """
        calls = [(decode(*request), request) for request in requests]
        with self._lock, self._transaction():
            arrival = int(self._now())
            for hit, request in calls:
                self._keeper.take(hit, request, arrival)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._keeper.begin()
            yield
            self._keeper.finish()
            self._db.execute("COMMIT")
        except BaseException:
            self._keeper.forget()  # some of the ids in its caches are undone
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def site_of(self, key: str) -> str:
        """Return the name of the site of an API key: "site-1", "site-2", … unless `name_site` gave another.

        The key itself is stored nowhere, only a salted fingerprint.
        """
        if known := self._sites.get(key):
            return known
        with self._lock, self._transaction():
            name = sites.name_of(self._db, key)
        self._sites[key] = name
        return name

    def name_site(self, name: str, key: str) -> None:
        """Give the site of an API key its name. Raises ValueError if the name or the key has another one."""
        with self._lock, self._transaction():
            sites.give_name(self._db, name, key)

    def delete_all(self) -> None:
        """Delete everything but the names of sites. The ids of calls go on where they were."""
        with self._lock, self._transaction():
            for statement in _DELETE:
                self._db.execute(statement)
            self._keeper.forget()
