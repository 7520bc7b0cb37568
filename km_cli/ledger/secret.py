"""The secret of a ledger that was made from receipts.

The digests of receipts are keyed (`planning.keyed`), and cannot be turned back into bare ones. So the ledger
keeps the secret, and its digests go on being keyed. Whoever can read such a ledger can do with it what one
can do with the bare digests of any other ledger: look for an address that is known already.
"""

from __future__ import annotations

import sqlite3

from km_cli.ledger.damage import decoding, expect
from km_cli.ledger.schema import KEYED_VERSION

_KEY = "secret"


def read_secret(database: sqlite3.Connection, schema: str) -> bytes:
    """Return the secret of a ledger, b"" if it has none."""
    with decoding(database, "meta"):
        found = database.execute(f"SELECT value FROM {schema}.meta WHERE key = ?", (_KEY,)).fetchone()
        if found is None:
            return b""
        expect(found, str)
        return bytes.fromhex(found[0])


def write_secret(database: sqlite3.Connection, secret: bytes) -> None:
    """Give a new ledger its secret; the caller's transaction makes it durable."""
    database.execute("INSERT INTO main.meta VALUES (?, ?)", (_KEY, secret.hex()))
    database.execute("UPDATE main.meta SET value = ? WHERE key = 'version'", (str(KEYED_VERSION),))
