"""The destination of `local[:PATH]`, which sends calls into the stand-in's store."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from km_cli.destinations.base import QueryEncoder
from km_cli.errors import LedgerFailed
from km_cli.model import Answer, AnswerKind, PlannedCall, Wired
from km_cli.protocols import Connection
from km_cli.standin import Store


class LocalDestination:
    """Keeps calls in the store. The site's name takes the place of its key."""

    at_once = 500
    workers = 1

    def __init__(self, path: Path) -> None:
        self._path = path
        self._encoder = QueryEncoder()

    def encode(self, call: Wired, second: int) -> bytes:
        """Return path and query without the key, as a tracker gets them."""
        return self._encoder.encode(call, second)

    def connect(self) -> Connection:
        """Return a connection to the store. Raises LedgerFailed: store and ledger are one file."""
        try:
            return _Connection(self._path, Store(self._path))
        except sqlite3.Error as error:
            raise _failed(self._path, error) from None


class _Connection:
    def __init__(self, path: Path, store: Store) -> None:
        self._path = path
        self._store = store

    def send(self, planned_calls: Sequence[PlannedCall]) -> Answer:
        """Store the calls in one transaction: all of them, or none and LedgerFailed is raised."""
        calls = [
            (planned_call.payload.decode("ascii").replace("?", f"?_k={planned_call.site}&", 1), b"")
            for planned_call in planned_calls
        ]
        try:
            self._store.receive(calls)
        except sqlite3.Error as error:
            raise _failed(self._path, error) from None
        return Answer(AnswerKind.ACKNOWLEDGED)

    def close(self) -> None:
        """Close the store."""
        self._store.close()


def kept_in(path: Path) -> Mapping[str, Any] | None:
    """Return the counts of the store in a file; None if there is no file, or it cannot be read."""
    if not path.exists():
        return None
    try:
        with closing(Store(path)) as store:
            return store.kept()._asdict()
    except sqlite3.Error:
        return None


def _failed(path: Path, error: sqlite3.Error) -> LedgerFailed:
    return LedgerFailed(
        f"the store {path} cannot be written: {error}",
        "make room or repair it, then run the same command again: it goes on where it stopped",
    )
