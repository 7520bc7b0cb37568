"""Queries across crashes: a run that is killed at any step loses no row and sends none twice."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import Command
from tests.support.databases import DuckDbFile, PostgreSqlTable, SqliteFile, rows, server
from tests.support.killing import Killer, Place
from tests.support.tracker import Tracker

pytestmark = pytest.mark.slow

STEPS = 14
"""How far each run gets: through the drain of the outbox, and some batches further."""

ROWS = 500
LAST = ROWS // 2
"""A second that no row is later than."""


@pytest.fixture(params=["sqlite", "duckdb", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqliteFile]:
    if request.param == "postgresql":
        with server() as running:
            yield PostgreSqlTable(running)
    else:
        yield (SqliteFile if request.param == "sqlite" else DuckDbFile)(tmp_path)


def test_killed_again_and_again(
    killer: Killer, importer: Command, tracker: Tracker, database: SqliteFile
) -> None:
    """Rows are added meanwhile, also at the last value that was read. The database itself counts its rows."""
    database.add(rows(0, ROWS))
    words = ["import", "--sql", f"SELECT * FROM {database.table}", "--database", database.url, "--name", "x"]
    words += ["--order-by", "updated_at", "--id", "id", "--timestamp", "updated_at", "--batch-size", "5"]
    kills = code = 0
    while code == -signal.SIGKILL or not kills:
        code = killer.run(importer, Place(STEPS), *words).code
        if code:
            kills += 1
            database.add(rows(1000 + kills, 1, second=LAST))
    assert code == 0
    assert kills > 1
    importer(*words).ended(0)
    # A call whose acknowledgement was not durable yet is sent again, byte for byte.
    arrived = Counter(hit.params["_n"] for hit in {hit.wire: hit for hit in tracker.hits}.values())
    assert len(arrived) == database.count() == ROWS + kills
    assert set(arrived.values()) == {2}
