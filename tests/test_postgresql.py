"""Queries over a real PostgreSQL server: its types, its refusals, and connections that are lost."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from km_cli.inputs.sql.address import parse_database
from km_cli.inputs.sql.base import Query
from km_cli.inputs.sql.source import QuerySource
from km_cli.run.batch import Batch
from km_cli.run.sending import Sending
from tests.support.bench import Bench, Ran
from tests.support.command import Command
from tests.support.databases import PASSWORD, PostgreSqlTable, Server, rows, server
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.slow

USUAL = ("--order-by", "updated_at", "--id", "id", "--timestamp", "updated_at", "--name", "events")


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Server]:
    with server() as running:
        yield running


@pytest.fixture
def table(postgresql: Server) -> PostgreSqlTable:
    made = PostgreSqlTable(postgresql)
    made.add(rows(0, 10))
    return made


def ask(bench: Bench, table: PostgreSqlTable, sql: str, *more: str) -> Ran:
    database = () if "--database-env" in more else ("--database", table.url)
    return bench.run("import", "--sql", sql.format(table.table), *USUAL, *database, *more)


def values(server: Server, sql: str) -> list[dict[str, Any]]:
    """The rows of a query, in the order of its column n."""
    query = Query("types", sql, parse_database(server.url, Path(), ""), "n", "n")
    data = b""
    with closing(QuerySource(query).open()) as content:
        while piece := content.read(1000):
            data += piece
    return [json.loads(line) for line in data.splitlines()]


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("2::bigint ^ 0 + 9223372036854775806", 9.223372036854775807e18),
        ("9223372036854775807::bigint", 2**63 - 1),
        ("-7::smallint", -7),
        ("1.50::numeric(12,2)", "1.50"),
        ("'NaN'::numeric", None),
        ("1e20::numeric", "100000000000000000000"),
        ("0.1::double precision", 0.1),
        ("'NaN'::double precision", None),
        ("'-Infinity'::double precision", "-inf"),
        ("true", True),
        ("false", False),
        ("'Zoë'::text", "Zoë"),
        ("E'a\\nb\\tc\"d'::varchar", 'a\nb\tc"d'),
        ("'ab '::char(4)", "ab"),
        ("'\\x616461'::bytea", "ada"),
        ("'\\xff00'::bytea", "/wA="),
        ("date '2024-02-29'", "2024-02-29"),
        ("time '01:02:03.000004'", "01:02:03.000004"),
        ("timestamp '2024-01-01 12:00:05.250'", "2024-01-01T12:00:05.25"),
        ("timestamptz '2024-01-01 12:00:05+02'", "2024-01-01T10:00:05Z"),
        ("timestamptz '2024-01-01 12:00:05.000001+00'", "2024-01-01T12:00:05.000001Z"),
        ("'infinity'::timestamptz", "infinity"),
        ("timestamptz '0044-03-15 00:00:00+00 BC'", "0044-03-15 00:00:00+00 BC"),
        ("interval '1 day 2 hours'", "P1DT2H"),
        ("'0e37df36-f698-11e6-8dd4-cb9ced3df976'::uuid", "0e37df36-f698-11e6-8dd4-cb9ced3df976"),
        ('\'{"plan":  1.50,\n"a": [1, null]}\'::json', {"plan": 1.5, "a": [1, None]}),
        ('\'{"plan": "p\\nq"}\'::jsonb', {"plan": "p\nq"}),
        ("ARRAY[1, NULL, 3]", [1, None, 3]),
        ("ARRAY['a', 'b']", ["a", "b"]),
        ("'10.0.0.1'::inet", "10.0.0.1/32"),
        ("int4range(1, 3)", "[1,3)"),
        ("NULL::integer", None),
    ],
)
def test_each_type_has_one_text(postgresql: Server, sql: str, text: Any) -> None:
    assert values(postgresql, f"SELECT 1 AS n, {sql} AS x") == [{"n": 1, "x": text}]


def test_numbers_in_json_stay_as_they_are_written(postgresql: Server) -> None:
    query = Query(
        "n",
        "SELECT 1 AS n, '{\"a\": 1.50}'::json AS x",
        parse_database(postgresql.url, Path(), ""),
        "n",
        "n",
    )
    with closing(QuerySource(query).open()) as content:
        assert content.read() == b'{"n": 1, "x": {"a": 1.50}}\n'


@pytest.mark.parametrize(
    "kind", ["bigint", "numeric", "text", "date", "timestamp", "timestamptz", "double precision"]
)
def test_it_goes_on_behind_a_value_of_any_type_with_an_order(
    bench: Bench, table: PostgreSqlTable, kind: str
) -> None:
    """The value that the ledger keeps is exactly that of the row."""
    value = {
        "date": "date '2024-01-01' + id",
        "timestamp": "timestamp '2024-01-01' + id * interval '1 microsecond'",
        "timestamptz": "timestamptz '2024-01-01 00:00+00' + id * interval '1 microsecond'",
        "double precision": "0.1::double precision + id",
        "text": "to_char(id, 'FM0000') || '''\\'",
    }.get(kind, f"id::{kind}")
    sql = f"SELECT *, {value} AS key FROM {{}}"
    flags = ("--order-by", "key", "--id", "id", "--timestamp", "updated_at", "--name", "n")
    whole = ("--sql", sql.format(table.table), "--database", table.url, *flags)
    assert bench.send(*whole, "--limit", "5", code=0).summary["rows"]["sent"] == 5
    ran = bench.send(*whole, code=0)
    assert (ran.summary["rows"]["read"], ran.summary["rows"]["sent"]) == (5, 5)
    assert len(bench.tracker.hits) == 20


def test_two_schemas_are_two_databases(bench: Bench, table: PostgreSqlTable) -> None:
    """Where the query was read to in one of them says nothing about the other."""
    assert ask(bench, table, "SELECT * FROM {}").summary["rows"]["sent"] == 10
    schema = f"of_{table.table}"
    table.execute(f"CREATE SCHEMA {schema}")
    table.execute(f"CREATE TABLE {schema}.{table.table} AS SELECT * FROM {table.table} WHERE id < 4")
    table.execute(f"UPDATE {schema}.{table.table} SET id = id + 100, event = 'Another'")
    table.url += f"&options=-csearch_path%3D{schema}"
    assert ask(bench, table, "SELECT * FROM {}").summary["rows"]["sent"] == 4
    assert ask(bench, table, "SELECT * FROM {}").summary["rows"]["read"] == 0


def test_a_type_without_an_order_is_refused(bench: Bench, table: PostgreSqlTable) -> None:
    for kind, value in (
        ("jsonb", "'{{}}'::jsonb"),
        ("bool", "true"),
        ("bytea", "'a'::bytea"),
        ("int4[]", "ARRAY[1]"),
    ):
        ran = ask(bench, table, f"SELECT id, {value} AS updated_at FROM {{}}")
        assert ran.code == 2
        assert f"'updated_at', which is of type {kind}" in ran.err


def test_a_password_comes_from_a_variable_or_a_file(
    bench: Bench, table: PostgreSqlTable, postgresql: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql, by_variable = "SELECT * FROM {}", ("--database-env", "EVENTS_DATABASE")
    bench.environment = {"EVENTS_DATABASE": postgresql.with_password.replace(PASSWORD, "wrong-password")}
    ran = ask(bench, table, sql, *by_variable)
    assert ran.code == 2
    assert "the server does not let this user in" in ran.err
    assert "PGPASSFILE" in ran.err
    assert "wrong-password" not in ran.err
    bench.environment["EVENTS_DATABASE"] = postgresql.with_password
    ran = ask(bench, table, sql, *by_variable, "--limit", "4")
    assert (ran.code, len(bench.tracker.hits)) == (0, 8), ran.err
    passwords = bench.write("pgpass", f"*:*:*:*:{PASSWORD}\n")
    passwords.chmod(0o600)
    monkeypatch.setitem(os.environ, "PGPASSFILE", str(passwords))  # libpq reads it itself
    whole = ("--sql", sql.format(table.table), *USUAL, "--database", postgresql.on_loopback)
    bench.send(*whole, code=0)
    assert len(bench.tracker.hits) == 20
    kept = [path for path in bench.folder.rglob("*") if path.is_file() and path != passwords]
    assert not any(PASSWORD.encode() in path.read_bytes() for path in kept)


def test_a_server_that_is_not_there(bench: Bench, table: PostgreSqlTable) -> None:
    table.url = "postgresql://ada@127.0.0.1:1/events"
    ran = ask(bench, table, "SELECT * FROM {}")
    assert ran.code == 74
    assert "sql:events, PostgreSQL postgresql://127.0.0.1:1/events: the server cannot be reached" in ran.err
    table.url = "postgresql:///absent" + table.url.partition("/events")[2]


def test_no_such_database(bench: Bench, table: PostgreSqlTable) -> None:
    table.url = table.url.replace("/postgres?", "/absent?")
    ran = ask(bench, table, "SELECT * FROM {}")
    assert (ran.code, 'database "absent" does not exist' in ran.err) == (2, True)


def test_a_mistake_has_its_place_in_the_query(bench: Bench, table: PostgreSqlTable) -> None:
    ran = ask(
        bench, table, "SELECT *\nFROM {}\nWHERE updated_at >= :since AND nope > 1", "--start", "2024-01-01"
    )
    assert 'PostgreSQL says: column "nope" does not exist, at line 3, column 32' in ran.err


def test_since_in_a_calculation_needs_a_type(bench: Bench, table: PostgreSqlTable) -> None:
    sql = "SELECT * FROM {} WHERE updated_at >= :since - interval '1 hour'"
    ran = ask(bench, table, sql, "--start", "2024-01-01")
    assert ran.code == 2
    assert "if :since is part of a calculation, cast it: :since::timestamptz" in ran.err
    sql = sql.replace(":since", ":since::timestamptz")
    assert ask(bench, table, sql, "--start", "2024-01-01").summary["rows"]["sent"] == 10


def test_a_function_that_writes_is_refused(bench: Bench, table: PostgreSqlTable) -> None:
    table.execute(
        f"CREATE FUNCTION {table.table}_f() RETURNS integer LANGUAGE sql AS "
        f"'DELETE FROM {table.table} RETURNING id'"
    )
    ran = ask(bench, table, "SELECT *, {0}_f() AS n FROM {0}")
    assert ran.code == 2
    assert "the query would write" in ran.err
    assert table.count() == 10


def test_a_user_who_may_not_read_it(bench: Bench, table: PostgreSqlTable) -> None:
    table.execute("DO $$ BEGIN CREATE ROLE bo LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    table.url = table.url.replace("user=ada", "user=bo")
    ran = ask(bench, table, "SELECT * FROM {}")
    assert ran.code == 2
    assert "permission denied" in ran.err
    assert "GRANT SELECT" in ran.err


def test_a_query_that_takes_too_long_for_the_server(bench: Bench, table: PostgreSqlTable) -> None:
    table.url += "&options=-c%20statement_timeout%3D50"
    ran = ask(bench, table, "SELECT *, pg_sleep(1) AS nothing FROM {}")
    assert ran.code == 74
    assert "the server has broken the query off" in ran.err
    assert "statement_timeout" in ran.err


WIDE = "SELECT *, repeat('x', 4000) AS filler FROM {}"
"""Rows of which a run has only a part in memory."""


def test_a_connection_that_is_lost_loses_nothing(
    bench: Bench, table: PostgreSqlTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends the session when the first batch is planned. The next run goes on."""
    table.add(rows(10, 1490))  # more than a run reads ahead
    ship = Sending.ship

    def shipping(self: Sending, batch: Batch) -> None:
        table.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'km-cli'"
        )
        ship(self, batch)

    monkeypatch.setattr(Sending, "ship", shipping)
    ran = ask(bench, table, WIDE, "--exclude-property", "filler", "--batch-size", "100")
    assert ran.code == 74
    assert "the connection is lost" in ran.err
    assert "run again: it goes on where this run stopped" in ran.err
    sent = ran.summary["rows"]["sent"]
    assert 0 < sent < 1500
    monkeypatch.undo()
    ran = ask(bench, table, WIDE, "--exclude-property", "filler")
    assert (ran.code, ran.summary["rows"]["sent"]) == (0, 1500 - sent)
    arrived = Counter(hit.params["_n"] for hit in bench.tracker.hits)
    assert len(arrived) == table.count()
    assert set(arrived.values()) == {2}


def test_an_interrupted_run_does_not_wait_for_the_server(
    importer: Command, table: PostgreSqlTable, postgresql: Server
) -> None:
    """And the server works on the query no longer."""
    sql = f"SELECT *, pg_sleep(600) AS nothing FROM {table.table}"
    process = importer.start("import", "--sql", sql, "--database", table.url, *USUAL)
    running = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'km-cli' AND wait_event = 'PgSleep'"
    while not table.execute(running):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    while table.execute(running):
        assert postgresql.process.poll() is None


def test_a_backfill_goes_on_with_its_other_sources(bench: Bench) -> None:
    bench.write("log.csv", "user,event,updated_at,id\nada,Paid,2024-01-01T00:00:00Z,x\n")
    toml = bench.write(
        "km.toml",
        '[columns]\nid = "id"\ntimestamp = "updated_at"\n[[backfill]]\nname = "events"\nsql = "SELECT 1"\n'
        'database = "postgresql://ada@127.0.0.1:1/events"\norder_by = "updated_at"\n'
        '[[backfill]]\nname = "files"\nfiles = ["log.csv"]\n',
    )
    ran = bench.run("backfill", "--config", toml)
    assert ran.code == 74
    assert "the server cannot be reached" in ran.err
    assert (ran.summary["files"]["failed"], ran.summary["files"]["read"]) == (1, 1)
    assert len(bench.tracker.hits) == 1
