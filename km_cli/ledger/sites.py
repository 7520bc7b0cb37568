"""The sites of a ledger: the name of each belongs to one API key, of which a salted fingerprint is kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
from pathlib import Path

from km_cli.errors import UsageError
from km_cli.ledger.damage import decoding, expect, expect_size


class SiteTable:
    """The sites, and those of this run that are not written yet. `path` is the ledger's, for messages."""

    def __init__(self, database: sqlite3.Connection, path: Path) -> None:
        self._database = database
        self._path = path
        self._new: list[tuple[str, str, bytes, bytes]] = []

    def check(self, tracker: str, name: str, key: str) -> None:
        """Check that a site's name belongs to its key. The first batch ties the two for good (promise 8).

        Only a salted fingerprint of the key is kept. Raises UsageError if the name is known with another key.
        """
        known = self._of(tracker)
        site = next((site for site in known if site[0] == name), None)
        if site is None:
            salt = secrets.token_bytes(16)
            self._new.append((tracker, name, salt, _fingerprint(key, salt)))
            self._check_others(known, tracker, name, key)
        elif not hmac.compare_digest(site[2], _fingerprint(key, site[1])):
            raise UsageError(
                f"the site {name!r} is known to the ledger with another API key",
                f"give the right key, or this product a name of its own: --site NAME (ledger {self._path})",
            )

    def _of(self, tracker: str) -> list[tuple[str, bytes, bytes]]:
        """Return the tracker's sites: name, salt and fingerprint of the key."""
        with decoding(self._database, "sites"):
            query = "SELECT name, salt, fingerprint FROM sites WHERE tracker = ?"
            found = self._database.execute(query, (tracker,)).fetchall()
            for name, salt, fingerprint in found:
                expect((name, salt, fingerprint), str, bytes, bytes)
                expect_size(salt, 16)
                expect_size(fingerprint, 16)
            return found

    def _check_others(self, known: list[tuple[str, bytes, bytes]], tracker: str, name: str, key: str) -> None:
        """Raise UsageError if another site has this key: one product under two names would get all twice."""
        new = [(other, salt, found) for at, other, salt, found in self._new if at == tracker]
        for other, salt, fingerprint in (*known, *new):
            if other != name and hmac.compare_digest(fingerprint, _fingerprint(key, salt)):
                raise UsageError(
                    f"the API key given for the site {name!r} is that of the site {other!r}",
                    f"use --site {other}, or give the key of the other product",
                )

    def write(self) -> None:
        """Write the new sites; the caller's transaction makes it durable."""
        self._database.executemany(
            "INSERT INTO sites (tracker, name, salt, fingerprint) VALUES (?, ?, ?, ?)", self._new
        )
        self._new = []


def _fingerprint(key: str, salt: bytes) -> bytes:
    return hashlib.blake2b(key.encode(), salt=salt, digest_size=16).digest()
