"""`local[:PATH]`: a store that keeps what Kissmetrics would keep, so that a trial needs no account."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar, Self

from km_cli.destinations.base import QueryEncoder, Target
from km_cli.errors import LedgerFailed, UsageError
from km_cli.model import Answer, AnswerKind, OutboxCall, Wired
from km_cli.protocols import Clock, Connection, Destination
from km_cli.standin import Store


class LocalTarget(Target):
    """A file that holds the stand-in's store and the ledger: deleting it starts afresh."""

    spelling: ClassVar[str] = "local[:PATH]"

    @classmethod
    def parse(cls, to: str, folder: Path) -> Self:
        """Return the target; without a path its file is in `folder`. Raises UsageError."""
        path = to.partition(":")[2]
        try:
            file = Path(path).expanduser() if path else folder / "local.db"
        except RuntimeError:
            raise UsageError(f"--to {to}: there is no such user", "write the whole path") from None
        return cls("local", str(file), own_ledger=file)

    def open(self, keys: Mapping[str, str], timeout: float, clock: Clock) -> Destination:  # noqa: ARG002
        """Return the destination. It needs no keys and has no time limit."""
        return LocalDestination(Path(self.place))

    def kept(self) -> Mapping[str, Any] | None:
        """Return the store's counts; None if there is no file, or it cannot be read (a full disk)."""
        if not Path(self.place).exists():
            return None
        try:
            with closing(Store(self.place)) as store:
                return store.kept()._asdict()
        except sqlite3.Error:
            return None


class LocalDestination:
    """Sends calls into the stand-in's store. The site's name takes the place of its key."""

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

    def send(self, outbox_calls: Sequence[OutboxCall]) -> Answer:
        """Store the calls in one transaction: all of them, or none and LedgerFailed is raised."""
        calls = [
            (outbox_call.payload.decode("ascii").replace("?", f"?_k={outbox_call.site}&", 1), b"")
            for outbox_call in outbox_calls
        ]
        try:
            self._store.receive(calls)
        except sqlite3.Error as error:
            raise _failed(self._path, error) from None
        return Answer(AnswerKind.ACKNOWLEDGED)

    def close(self) -> None:
        """Close the store."""
        self._store.close()


def _failed(path: Path, error: sqlite3.Error) -> LedgerFailed:
    return LedgerFailed(
        f"the store {path} cannot be written: {error}",
        "make room or repair it, then run the same command again: it goes on where it stopped",
    )
