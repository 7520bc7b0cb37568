"""Names of sites by API key. The key is stored nowhere, only a salted fingerprint of it."""

import hashlib
import os
import sqlite3


def name_of(db: sqlite3.Connection, key: str) -> str:
    """Return the name of a key's site, and give it the next free one if it has none."""
    return _find(db, key) or _add(db, _free_name(db), key)


def give_name(db: sqlite3.Connection, name: str, key: str) -> None:
    """Name the site of a key. Raises ValueError if the name or the key has another one."""
    known = _find(db, key)
    if known == name:
        return
    if known:
        raise ValueError(f"the key of site {name!r} belongs to site {known!r}")
    if db.execute("SELECT 1 FROM kept_sites WHERE name = ?", (name,)).fetchone():
        raise ValueError(f"site {name!r} has another key")
    _add(db, name, key)


def _find(db: sqlite3.Connection, key: str) -> str:
    for name, salt, fingerprint in db.execute("SELECT name, salt, fingerprint FROM kept_sites"):
        if _fingerprint(salt, key) == fingerprint:
            return str(name)
    return ""


def _add(db: sqlite3.Connection, name: str, key: str) -> str:
    salt = os.urandom(16)
    db.execute("INSERT INTO kept_sites VALUES (?, ?, ?)", (name, salt, _fingerprint(salt, key)))
    return name


def _free_name(db: sqlite3.Connection) -> str:
    """Return the first of site-1, site-2, … that is no site yet, neither by a key nor by an import."""
    taken = "SELECT name FROM kept_sites UNION SELECT key FROM kept_products"
    names = {name for (name,) in db.execute(taken)}
    return next(name for n in range(1, len(names) + 2) if (name := f"site-{n}") not in names)


def _fingerprint(salt: bytes, key: str) -> bytes:
    return hashlib.sha256(salt + key.encode("utf-8", "surrogatepass")).digest()
