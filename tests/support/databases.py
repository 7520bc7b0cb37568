"""Real databases for queries: files of SQLite and DuckDB, and a PostgreSQL server that the tests start.

Rows are written and counted by the databases' own libraries. Without a library, or without the programs of
PostgreSQL, tests are skipped.
"""

from __future__ import annotations

import glob
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.support.patience import PATIENCE

USER = "ada"
PASSWORD = "s3cr3t-of-the-database"
MAKE = 'CREATE TABLE {} (id INTEGER, "user" TEXT, account TEXT, event TEXT, updated_at {})'
COLUMNS = ("id", "user", "account", "event", "updated_at")

Row = tuple[Any, ...]


def rows(first: int, number: int, second: int | None = None) -> list[Row]:
    """Rows with ids from `first` on, two of them in each second, or all in one."""
    return [
        (
            n,
            f"u{n % 7}",
            f"a{n % 3}",
            f"Event {n}",
            f"2024-01-01T{(at := n // 2 if second is None else second) // 3600:02}:"
            f"{at // 60 % 60:02}:{at % 60:02}Z",
        )
        for n in range(first, first + number)
    ]


class SqliteFile:
    """A file of SQLite. Times are text there."""

    name, time = "sqlite", "TEXT"

    def __init__(self, folder: Path) -> None:
        self.url = str(folder / "events.db")
        self.table = "events"
        self.execute(MAKE.format(self.table, self.time))

    def execute(self, sql: str, values: Iterable[Row] = ()) -> list[Row]:
        """Run a statement, once for each row if there are any; return its result."""
        with closing(sqlite3.connect(self.url)) as database, database:
            cursor = database.cursor()
            if values:
                cursor.executemany(sql, list(values))
            else:
                cursor.execute(sql)
            return cursor.fetchall()

    def add(self, found: Iterable[Row]) -> None:
        """Insert rows."""
        self.execute(f"INSERT INTO {self.table} VALUES (?, ?, ?, ?, ?)", found)

    def count(self) -> int:
        """Return how many rows the table has."""
        return int(self.execute(f"SELECT count(*) FROM {self.table}")[0][0])


class DuckDbFile(SqliteFile):
    """A file of DuckDB. It is open only while a statement runs: there is one writer or several readers."""

    name, time = "duckdb", "TIMESTAMPTZ"

    def execute(self, sql: str, values: Iterable[Row] = ()) -> list[Row]:
        """Run a statement, once for each row if there are any; return its result."""
        import duckdb

        with closing(duckdb.connect(self.url.replace(".db", ".duckdb"))) as database:
            if not values:
                return database.execute(sql).fetchall()
            database.executemany(sql, list(values))
            return []

    def __init__(self, folder: Path) -> None:
        if find_spec("duckdb") is None:
            pytest.skip("needs duckdb, of the dependency group `sql`")
        super().__init__(folder)
        self.url = self.url.replace(".db", ".duckdb")


class PostgreSqlTable(SqliteFile):
    """A table of its own on the server."""

    name, time = "postgresql", "TIMESTAMPTZ"

    def __init__(self, server: Server) -> None:
        self.url = server.url
        self.table = f"events_{uuid.uuid4().hex[:12]}"
        self.execute(MAKE.format(self.table, self.time))

    def execute(self, sql: str, values: Iterable[Row] = ()) -> list[Row]:
        """Run a statement, once for each row if there are any; return its result."""
        import psycopg

        with psycopg.connect(self.url) as database, database.cursor() as cursor:
            if values:
                cursor.executemany(sql.replace("?", "%s"), list(values))
            else:
                cursor.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []


class Server:
    """A PostgreSQL server with its data in a temporary folder, on a Unix socket there and on loopback."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes], port: int) -> None:
        self.folder = folder
        self.process = process
        self.port = port
        self.url = f"postgresql:///postgres?host={folder}&user={USER}"

    @property
    def on_loopback(self) -> str:
        """A URL for which the server asks for a password, without it."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"

    @property
    def with_password(self) -> str:
        """The same with the password in it."""
        return self.on_loopback.replace("@", f":{PASSWORD}@")


def _programs() -> Path:
    """The folder of the server's programs, which Debian does not put on PATH."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    beside = shutil.which("postgres")
    if find_spec("psycopg") is None or not (found or beside):
        pytest.skip("needs postgresql, and psycopg of the dependency group `sql`")
    return Path(found[-1]) if found else Path(str(beside)).parent


def _as_other(*words: str | Path) -> list[str]:
    """Words that run a program which refuses root as another user. It ends together with the tests."""
    prefix = ["setpriv", "--pdeathsig", "QUIT"]
    if os.getuid() == 0:
        prefix += ["--reuid", "nobody", "--clear-groups"]
    return [*prefix, *map(str, words)]


@contextmanager
def server() -> Iterator[Server]:
    """Start a server. Tests are skipped where there is none."""
    programs = _programs()
    with tempfile.TemporaryDirectory(prefix="km-pg-", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if os.getuid() == 0:
            shutil.chown(folder, "nobody")
        _make(programs, folder)
        with socket_port() as port:
            pass
        words = _as_other(programs / "postgres", "-D", folder / "data", "-k", folder, "-p", str(port), "-F")
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(words, stdout=log, stderr=log, cwd=folder)
        running = Server(folder, process, port)
        running.url += f"&port={port}"
        try:
            _wait(programs, running)
            yield running
        finally:
            process.send_signal(signal.SIGINT)  # which ends its sessions
            try:
                process.wait(PATIENCE)
            finally:
                process.kill()


@contextmanager
def socket_port() -> Iterator[int]:
    """A port that is free on loopback."""
    import socket

    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        yield free.getsockname()[1]


def _make(programs: Path, folder: Path) -> None:
    """Make the files of a server that trusts its socket and asks for a password on loopback."""
    password = folder / "password"
    password.write_text(PASSWORD)
    password.chmod(0o644)
    words = ["-D", folder / "data", "-U", USER, "-N", "-E", "UTF8", "--locale=C", "--pwfile", password]
    words += ["--auth-local=trust", "--auth-host=scram-sha-256"]
    done = subprocess.run(
        _as_other(programs / "initdb", *words), capture_output=True, text=True, cwd=folder, check=False
    )
    assert done.returncode == 0, done.stderr
    password.unlink()


def _wait(programs: Path, running: Server) -> None:
    """Wait until the server answers."""
    ready = [str(programs / "pg_isready"), "-q", "-h", str(running.folder), "-p", str(running.port)]
    while subprocess.run(ready, check=False).returncode != 0:
        ended = running.process.poll()
        assert ended is None, (running.folder / "log").read_text()
