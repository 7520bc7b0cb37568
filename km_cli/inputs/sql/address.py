"""Where a database is: a file of SQLite or DuckDB, or the URL of a PostgreSQL server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from urllib.parse import parse_qs, unquote

from km_cli.errors import UsageError
from km_cli.inputs.messages import path_text


class Kind(Enum):
    """The databases. The value is the name that people know."""

    SQLITE = "SQLite"
    DUCKDB = "DuckDB"
    POSTGRESQL = "PostgreSQL"


class Database:
    """A database. `place` is shown; `target`, a path or a URL, may have a password in it and never is."""

    __slots__ = ("kind", "place", "target")

    def __init__(self, kind: Kind, place: str, target: str) -> None:
        self.kind = kind
        self.place = place
        self.target = target

    def __repr__(self) -> str:
        return f"Database({self.kind.value}, {self.place!r})"


_URL = re.compile(r"postgres(?:ql)?://", re.IGNORECASE)
_FILE = re.compile(r"(sqlite|duckdb):(?!//)(.+)", re.IGNORECASE | re.DOTALL)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_PASSWORD = re.compile(r"\w+://[^@/?]*:.*@", re.DOTALL)
_PARTS = re.compile(
    r"postgres(?:ql)?://(?:[^:@/?#\s]*(?::(?P<password>[^:@/?#\s]*))?@)?(?P<place>[\w.,:\[\]%-]*)"
    r"(?P<path>/[^?#@\s]*)?(?:\?(?P<query>[^#@\s]*))?",
    re.IGNORECASE | re.ASCII,
)
"""A URL of which no part can be taken for another one: no part of a password may be shown."""
_SECRETS = {"password", "sslpassword"}
_CHOOSING = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "service": "PGSERVICE",
    "options": "PGOPTIONS",
}
"""Parts of a URL that say which rows a query has, with the variable for each that the URL leaves out.

https://www.postgresql.org/docs/current/libpq-envars.html
"""
_SUSPECT = re.compile(r"passw|pwd|:.*@", re.IGNORECASE | re.DOTALL)
"""A text that may have a password in it: USER:PASSWORD@HOST, or password=PASSWORD."""
_FORMS = "postgresql://HOST/DATABASE, or the path of a SQLite or DuckDB file"


def parse_database(text: str, folder: Path, label: str, *, is_secret: bool = False) -> Database:
    """Return the database that a text names; `label` begins messages about it.

    A path is relative to `folder`. A text that `is_secret` may have a password in it, and is never shown.
    Raises UsageError for a database that cannot be, and for a password in a text that others can read.
    """
    if not text.strip():
        raise UsageError(f"{label} names no database", f"write {_FORMS}")
    if _URL.match(text):
        return _server(text, label, is_secret=is_secret)
    if is_secret:
        raise UsageError(
            f"{label} the variable does not hold the URL of a PostgreSQL server",
            "put postgresql://USER:PASSWORD@HOST/DATABASE into it; a file needs no variable: --database PATH",
        )
    if _SCHEME.match(text):
        shown = "this URL" if "@" in text or _SUSPECT.search(text) else repr(text)
        raise UsageError(f"{label} {shown} is of no database that km-cli reads", f"write {_FORMS}")
    return _file(text, folder, label)


def _server(url: str, label: str, *, is_secret: bool) -> Database:
    found = _PARTS.fullmatch(url)
    asked = parse_qs(found["query"] or "") if found else {}
    if not is_secret and (_PASSWORD.match(url) or _SECRETS & asked.keys()):
        raise UsageError(
            f"{label} the URL of the database has a password in it, which others could read",
            "put the password into the file that PGPASSFILE names (~/.pgpass), name a service (PGSERVICE), "
            "or put the URL into a variable: url_env in km.toml, --database-env NAME",
        )
    if found is None:
        raise UsageError(
            f"{label} the URL of the database cannot be understood",
            "percent-encode special characters in the user and the password: %40 is @, %2F is /, %23 is #",
        )
    service = "".join(f"?service={name}" for name in asked.get("service", ())[:1])
    return Database(Kind.POSTGRESQL, f"postgresql://{found['place']}{found['path'] or ''}{service}", url)


def chosen(database: Database, variables: Mapping[str, str]) -> list[str]:
    """Return all that tells databases of one `place` apart. It is not shown: options may hold anything."""
    found = _PARTS.fullmatch(database.target)
    if database.kind is not Kind.POSTGRESQL or not found:
        return []
    asked = parse_qs(found["query"] or "")
    values = {name: asked.get(name, [variables.get(of, "")])[-1] for name, of in _CHOOSING.items()}
    return [f"{name}={value}" for name, value in values.items() if value]


def password_of(database: Database) -> str:
    """Return the password in the URL of a server, "" if there is none."""
    found = _PARTS.fullmatch(database.target)
    if database.kind is not Kind.POSTGRESQL or not found:
        return ""
    return unquote(found["password"] or "") or "".join(parse_qs(found["query"] or "").get("password", ())[:1])


def _file(text: str, folder: Path, label: str) -> Database:
    named = _FILE.fullmatch(text)
    path = folder / Path(named[2] if named else text).expanduser()
    shown = path_text(str(path))
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError:
        shown = "this text is not shown, for it may have a password in it" if _SUSPECT.search(text) else shown
        raise UsageError(f"{label} {shown}: there is no such database", f"write {_FORMS}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{label} {shown}: cannot be opened: {reason}", "check its path") from None
    kind = _kind(head)
    if kind is None or (named and named[1].lower() != kind.value.lower()):
        wanted = f"no {Kind[named[1].upper()].value} database" if named else "no SQLite or DuckDB database"
        raise UsageError(f"{label} {shown} is {wanted}", f"write {_FORMS}")
    return Database(kind, str(path.absolute()), str(path.absolute()))


def _kind(head: bytes) -> Kind | None:
    """Return the kind of database by its first bytes.

    https://www.sqlite.org/fileformat.html, 1.3; https://duckdb.org/docs/internals/storage
    """
    if head == b"SQLite format 3\0":
        return Kind.SQLITE
    return Kind.DUCKDB if head[8:12] == b"DUCK" else None
