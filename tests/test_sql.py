"""Queries as inputs: one suite over SQLite, DuckDB and a real PostgreSQL server."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.bench import Bench, Ran
from tests.support.bench import ran as ran_alone
from tests.support.databases import DuckDbFile, PostgreSqlTable, Server, SqliteFile, rows, server


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Server]:
    with server() as running:
        yield running


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("duckdb", marks=pytest.mark.slow),
        pytest.param("postgresql", marks=pytest.mark.slow),
    ]
)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> SqliteFile:
    if request.param == "postgresql":
        return PostgreSqlTable(request.getfixturevalue("postgresql"))
    return (SqliteFile if request.param == "sqlite" else DuckDbFile)(tmp_path)


USUAL = ("--order-by", "updated_at", "--id", "id", "--timestamp", "updated_at")
SINCE = "SELECT * FROM {} WHERE updated_at >= :since"


def words(database: SqliteFile, sql: str = "SELECT * FROM {}", *more: str) -> tuple[str, ...]:
    query = sql.format(database.table)
    return ("--sql", query, "--database", database.url, *USUAL, "--name", "events", *more)


def ask(bench: Bench, database: SqliteFile, *more: str, sql: str = "SELECT * FROM {}", code: int = 0) -> Ran:
    return bench.send(*words(database, sql, *more), code=code)


def events(bench: Bench) -> Counter[str]:
    """How often each event arrived; each row is another one, done by a user and an account."""
    return Counter(hit.params["_n"] for hit in bench.tracker.hits)


def check_each_row_once(bench: Bench, database: SqliteFile) -> None:
    """Judge by the database's own count of its rows."""
    arrived = events(bench)
    assert len(arrived) == database.count()
    assert set(arrived.values()) == {2}


def test_each_row_is_sent_once_in_the_order_of_its_column(bench: Bench, database: SqliteFile) -> None:
    found = rows(0, 120)
    database.add(found[::-1])
    ran = ask(bench, database)
    assert ran.summary["rows"]["sent"] == 120
    check_each_row_once(bench, database)
    # What is first in order is sent first.
    assert bench.run("dry-run", *words(database)).summary["rows"]["read"] == 0
    again = ask(bench, database)
    assert again.summary["rows"]["read"] == 0
    assert len(bench.tracker.hits) == 240


@pytest.mark.parametrize("sql", ["SELECT * FROM {}", SINCE])
def test_rows_that_come_later_are_sent_also_at_the_same_value(
    bench: Bench, database: SqliteFile, sql: str
) -> None:
    database.add(rows(10, 20))
    start = ("--start", "2024-01-01T00:00:00Z")
    ask(bench, database, *start, sql=sql)
    check_each_row_once(bench, database)
    database.add(rows(100, 5, second=14))  # the last second that was read
    database.add(rows(0, 2, second=14))  # and with ids below those that were read
    assert ask(bench, database, *start, sql=sql).summary["rows"]["sent"] == 7
    check_each_row_once(bench, database)
    database.add(rows(200, 3))
    ran = ask(bench, database, *start, sql=sql)
    assert (ran.summary["rows"]["read"], ran.summary["rows"]["sent"]) == (3, 3)
    check_each_row_once(bench, database)


def test_it_goes_on_where_a_limit_stopped_it(bench: Bench, database: SqliteFile) -> None:
    """Also among rows of one value, of which there are more than the limit."""
    database.add(rows(0, 30, second=5))
    database.add(rows(30, 30))
    for _ in range(6):
        assert ask(bench, database, "--limit", "10").summary["rows"]["sent"] == 10
    assert ask(bench, database, "--limit", "10").summary["rows"]["sent"] == 0
    check_each_row_once(bench, database)


def test_a_limit_gets_behind_any_number_of_rows_with_one_value(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("km_cli.run.queries._MOST_IDS", 10)
    database = SqliteFile(bench.folder)
    database.add(rows(0, 20, second=5))
    ask(bench, database)
    database.add(rows(20, 20, second=5))
    for _ in range(4):
        ask(bench, database, "--limit", "8")
    check_each_row_once(bench, database)


def test_a_query_that_changes_is_read_from_its_beginning(bench: Bench, database: SqliteFile) -> None:
    """Rows that it left out before are sent, and the others are known by their ids."""
    database.add(rows(0, 20))
    ask(bench, database, sql="SELECT * FROM {} WHERE id > 9")
    assert len(events(bench)) == 10
    ran = ask(bench, database)
    assert (ran.summary["rows"]["sent"], ran.summary["rows"]["skipped"]) == (10, 10)
    check_each_row_once(bench, database)


def test_a_condition_of_its_own_reads_late_rows(bench: Bench, database: SqliteFile) -> None:
    """Rows before the value are told apart by their ids, and do not move the place back."""
    earlier = {
        "sqlite": "strftime('%Y-%m-%dT%H:%M:%SZ', :since, '-5 seconds')",
        "duckdb": ":since::timestamptz - INTERVAL 5 SECOND",
        "postgresql": ":since::timestamptz - interval '5 seconds'",
    }[database.name]
    sql = f"SELECT * FROM {{}} WHERE updated_at >= {earlier}"
    more = ("--start", "2024-01-01T00:00:00Z")
    database.add(rows(0, 40))
    ask(bench, database, *more, sql=sql)
    database.add(rows(100, 1, second=16))
    ran = ask(bench, database, *more, sql=sql)
    assert ran.summary["rows"]["sent"] == 1
    assert ran.summary["rows"]["skipped"] == 10
    ran = ask(bench, database, *more, sql=sql)
    assert (ran.summary["rows"]["sent"], ran.summary["rows"]["skipped"]) == (0, 11)
    check_each_row_once(bench, database)


def test_a_dry_run_leaves_no_trace(bench: Bench, database: SqliteFile) -> None:
    database.add(rows(0, 4))
    before = sorted(bench.folder.iterdir())
    ran = bench.run("dry-run", *words(database), "--show", "0")
    assert (ran.code, ran.summary["rows"]["read"]) == (0, 4)
    assert sorted(bench.folder.iterdir()) == before
    ask(bench, database)
    kept = bench.ledger.read_bytes()
    database.add(rows(4, 4))
    assert bench.run("dry-run", *words(database)).summary["rows"]["read"] == 4
    assert bench.ledger.read_bytes() == kept
    ask(bench, database)
    check_each_row_once(bench, database)


def test_a_reject_is_the_row_as_json_with_its_number(bench: Bench, database: SqliteFile) -> None:
    """And it is sent when it is corrected."""
    database.add([*rows(0, 3), (3, "anonymous", "a9", "Paid", "2024-01-01T00:00:01Z")])
    ask(bench, database, code=65)
    file = bench.rejects[-1]
    (line,) = map(json.loads, file.read_text().splitlines())
    assert (line["source"], line["line"]) == ("sql:events", 4)
    raw = json.loads(line["raw"])
    assert raw == {"id": 3, "user": "anonymous", "account": "a9", "event": "Paid"} | {
        "updated_at": "2024-01-01T00:00:01Z"
    }
    line["raw"] = line["raw"].replace("anonymous", "u1")
    file.write_text(json.dumps(line) + "\n")
    bench.send(file, "--timestamp", "updated_at", "--id", "id", code=0)
    check_each_row_once(bench, database)


def test_a_backfill_reads_it_by_its_name(bench: Bench, database: SqliteFile) -> None:
    database.add(rows(0, 6))
    toml = bench.write(
        "km.toml",
        f"""
[columns]
id = "id"
timestamp = "updated_at"
[[backfill]]
name = "absent"
files = ["absent/*.csv"]
optional = true
[[backfill]]
name = "events"
sql = "{SINCE.format(database.table)}"
database = "{database.url}"
order_by = "updated_at"
start = 2024-01-01T00:00:00Z
""",
    )
    ran = bench.run("backfill", "--config", toml)
    assert (ran.code, ran.summary["files"]["read"]) == (0, 1), ran.err
    check_each_row_once(bench, database)
    database.add(rows(6, 6))
    assert bench.run("dry-run", "--config", toml).summary["rows"]["read"] == 6
    assert bench.run("backfill", "--config", toml, "--strict").summary["rows"]["sent"] == 6
    check_each_row_once(bench, database)


def test_km_toml_says_which_keys_belong_together(bench: Bench) -> None:
    def run(command: str, keys: str) -> str:
        toml = bench.write("km.toml", f'[[backfill]]\nname = "events"\n{keys}\n')
        ran = ran_alone(command, "--config", toml)
        assert (ran.code, ran.summary) == (2, {})
        return ran.err

    query = 'sql = "SELECT 1"\n'
    assert "backfill[1] has neither files nor sql" in run("backfill", "")
    assert "backfill[1] has both sql and files" in run("backfill", query + 'files = ["a.csv"]')
    assert "backfill[1] has both sql and format" in run("backfill", query + 'format = "csv"')
    assert "backfill[1] has order_by without sql" in run("backfill", 'files = ["a.csv"]\norder_by = "a"')
    assert "backfill[1].database: a query needs its database" in run("backfill", query)
    database = f'{query}database = "{SqliteFile(bench.folder).url}"\n'
    assert "backfill[1].order_by: a query needs the column" in run("backfill", database)
    whole = database + 'order_by = "updated_at"\n'
    assert "columns.id: a query needs the column of the id" in run("backfill", whole)
    secret = whole + '[columns]\nid = "id"\ndrop = ["updated_at"]\nhash_key_file = "secret"\n'
    bench.write("secret", "0" * 64).chmod(0o600)
    assert "the ledger keeps the last value of 'updated_at'" in run("backfill", secret)
    assert "is a query, and a comparison reads files alone" in run(
        "compare", whole + '[columns]\nid = "id"\n'
    )
    both = whole.replace("database =", 'url_env = "DB"\ndatabase =')
    assert "backfill[1].database and km.toml, backfill[1].url_env contradict" in run("backfill", both)
    of_variable = whole.replace("database =", "url_env =").replace(
        bench.folder.as_posix() + "/events.db", "DB"
    )
    assert "the variable DB is not set" in run("backfill", of_variable)


def test_flags_say_which_belong_together(bench: Bench) -> None:
    query = words(SqliteFile(bench.folder))
    log = bench.write("log.csv", "user,event,timestamp\n")

    def run(*given: str | Path, command: str = "import") -> str:
        ran = bench.run(command, *given)
        assert ran.code == 2
        return ran.err

    assert "both FILE and --sql are given" in run(log, *query)
    assert "--order-by is for queries alone" in run(log, "--order-by", "at")
    assert "are for files" in run(*query, "--format", "csv")
    assert "an import plan is for files" in run(*query, "--out", "plan.toml", command="dry-run")
    assert "an import plan is for files" in run(*query, "--plan", "plan.toml")
    assert "contradict each other" in run(*query, "--database-env", "DB")
    assert "--database: a query needs its database" in run(*query[:2], *query[4:])
    assert "FILE... is missing" in run()
    for command in ("import", "dry-run"):
        assert "--database is for queries alone" in run("--database", "app.db", command=command)


def test_a_database_that_is_none(bench: Bench) -> None:
    (bench.folder / "empty.db").write_bytes(b"")
    cases = {
        "absent.db": "there is no such database",
        str(bench.folder / "empty.db"): "is no SQLite or DuckDB database",
        str(bench.folder): "Is a directory",
        f"duckdb:{SqliteFile(bench.folder).url}": "is no DuckDB database",
        "mysql://root:hunter2222@host/db": "this URL is of no database that km-cli reads",
        "mysql://host/db?password=hunter2222": "this URL is of no database that km-cli reads",
        "ada:hunter2222@host/db": "there is no such database",
        "host=127.0.0.1 password=hunter2222": "there is no such database",
        "postgresql://ada:hunter2222@host/db": "has a password in it",
        "postgresql://host/db?user=ada&password=hunter2222": "has a password in it",
        "postgresql://ada@host/db#x@y": "cannot be understood",
        " ": "names no database",
    }
    for database, problem in cases.items():
        ran = bench.run("import", "--sql", "SELECT 1", *USUAL, "--database", database)
        assert ran.code == 2
        assert problem in ran.err, (database, ran.err)
        assert "hunter2222" not in ran.err


def test_a_placeholder_that_is_not_since(bench: Bench) -> None:
    database = SqliteFile(bench.folder)
    for condition in ("id >= :sinc", "id >= ?"):
        ran = bench.run("import", *words(database, f"SELECT * FROM {{}} WHERE {condition}"))
        assert ran.code == 2
        assert "correct the query: :since is the only placeholder that km-cli fills in" in ran.err


def test_hints_about_a_query_do_not_send_to_init_which_reads_files(bench: Bench) -> None:
    database = DuckDbFile(bench.folder)
    nested = "'ada' AS user, 'Paid' AS event, '2024-03-01T00:00:00Z' AS created_at, {'plan': 1} AS data"
    many = ", ".join(f"{number} AS c{number}" for number in range(60))
    for columns, hint in ((nested, "add --flatten"), (many, "name the column")):
        query = f"SELECT range AS id, {columns} FROM range(200)"
        ran = bench.run(
            *("import", "--sql", query, "--database", database.url, "--order-by", "id", "--id", "id")
        )
        assert ran.code == 2, ran.err
        assert hint in ran.err
        assert "km-cli init" not in ran.err


def test_a_url_with_a_password_comes_from_a_variable(bench: Bench) -> None:
    """It is in no message, also if it makes no sense."""
    for url in (
        "postgresql://ada:hunter2222/x@host/db",
        "postgresql://ada:hunter2222#@host/db",
        "hunter2222",
    ):
        bench.environment = {"EVENTS_DATABASE": url}
        ran = bench.run("import", "--sql", "SELECT 1", *USUAL, "--database-env", "EVENTS_DATABASE")
        assert ran.code == 2
        assert "EVENTS_DATABASE" in ran.err
        assert "hunter2222" not in ran.err


def test_without_its_library_it_says_what_to_install(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    ran = bench.run("import", "--sql", "SELECT 1", *USUAL, "--database", "postgresql://127.0.0.1/x")
    assert (ran.code, "takes a library that is not installed" in ran.err) == (2, True)
    assert "psycopg[binary]" in ran.err


def test_a_file_that_is_being_written(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that locks all of a file of SQLite is waited for, and then the run ends."""
    monkeypatch.setattr("km_cli.inputs.sql.sqlite._BUSY", 0.01)
    database = SqliteFile(bench.folder)
    database.add(rows(0, 3))
    with closing(sqlite3.connect(database.url, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        ran = bench.run("import", *words(database))
        assert ran.code == 74
        assert "it is being written by another program (database is locked)" in ran.err
        writer.execute("ROLLBACK")
    ask(bench, database)
    check_each_row_once(bench, database)


@pytest.mark.slow
def test_a_file_of_duckdb_that_is_being_written(bench: Bench) -> None:
    database = DuckDbFile(bench.folder)
    database.add(rows(0, 3))
    script = "import duckdb, sys; d = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    words_of_writer = [sys.executable, "-c", script, database.url]
    with subprocess.Popen(
        words_of_writer, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n"
        ran = bench.run("import", *words(database))
        assert ran.code == 74, ran.err
        assert "it is being written by another program" in ran.err
        writer.communicate("done\n")
    ask(bench, database)
    check_each_row_once(bench, database)


def test_a_damaged_file(bench: Bench) -> None:
    """Rows before the damage are sent."""
    database = SqliteFile(bench.folder)
    database.add(rows(0, 3000))
    path = Path(database.url)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) // 2))
    ran = bench.run("import", *words(database), "--limit", "10")
    assert (ran.code, "the file is damaged" in ran.err) == (74, True)
    path.write_bytes(whole)
    assert ask(bench, database, "--limit", "10").summary["rows"]["sent"] == 10


def test_text_that_is_no_utf_8_is_rejected(bench: Bench) -> None:
    database = SqliteFile(bench.folder)
    database.add(rows(0, 3))
    database.execute("INSERT INTO events VALUES (9, CAST(x'ff' AS TEXT), 'a', 'E', '2024-01-01T00:00:01Z')")
    ran = bench.send(*words(database), code=65)
    assert ran.summary["reasons"] == {"invalid-utf8": 1}
    assert len(events(bench)) == 3


@pytest.mark.parametrize("value", ["CAST(x'ff' AS TEXT)", "'2024-01-01T00:00:02Z' || char(0)"])
def test_a_value_that_no_query_can_have_does_not_move_the_place(bench: Bench, value: str) -> None:
    """Its row is rejected, and those behind the last other value are sent, each once."""
    database = SqliteFile(bench.folder)
    database.add(rows(0, 3))
    database.execute(f"INSERT INTO events VALUES (9, 'u', 'a', 'E', {value})")
    assert ask(bench, database, code=65).summary["rows"]["sent"] == 3
    database.add(rows(3, 3))
    assert ask(bench, database, code=65).summary["rows"]["sent"] == 3
    assert set(events(bench).values()) == {2}
    assert len(events(bench)) == 6


def test_the_ledger_has_no_bare_digests_of_ids_that_are_hashed(bench: Bench) -> None:
    """They could be guessed."""
    database = SqliteFile(bench.folder)
    database.add(rows(0, 3))
    bench.write("secret", "0" * 64).chmod(0o600)
    toml = bench.write("km.toml", '[columns]\nhash = ["id"]\nhash_key_file = "secret"\n')
    ask(bench, database, "--config", str(toml))
    with closing(sqlite3.connect(bench.ledger)) as ledger:
        ((ids,),) = ledger.execute("SELECT ids FROM queries").fetchall()
    assert ids
    assert ids != hashlib.blake2b(b"2", digest_size=16).digest()
    database.add(rows(3, 2))
    ran = ask(bench, database, "--config", str(toml))
    assert (ran.summary["rows"]["sent"], ran.summary["rows"]["skipped"]) == (2, 0)
    check_each_row_once(bench, database)


def test_it_goes_on_behind_a_number_without_end(bench: Bench) -> None:
    database = SqliteFile(bench.folder)
    database.execute("ALTER TABLE events ADD COLUMN score REAL")
    insert = "INSERT INTO events VALUES (?, 'u', 'a', ?, '2024-01-01T00:00:00Z', ?)"
    database.execute(insert, [(1, "One", 0.5), (2, "Two", float("inf"))])
    flags = list(words(database))
    flags[flags.index("--order-by") + 1] = "score"
    bench.send(*flags, code=0)
    database.execute(insert, [(3, "Three", float("inf"))])
    assert bench.send(*flags, code=0).summary["rows"]["sent"] == 1
    check_each_row_once(bench, database)


def test_a_row_that_is_too_long_is_rejected(bench: Bench) -> None:
    """And the rows behind it are sent, each once."""
    database = SqliteFile(bench.folder)
    database.add([*rows(0, 2), (2, "u", "a", "x" * (3 << 20), "2024-01-01T00:00:01Z"), *rows(3, 60)])
    assert ask(bench, database, code=65).summary["reasons"] == {"record-too-long": 1}
    assert len(events(bench)) == 62
    assert ask(bench, database).summary["rows"]["read"] == 0


def test_people_without_events_follow_their_table(bench: Bench) -> None:
    """Each change is sent as it is read, although the id stays the same."""
    database = SqliteFile(bench.folder)
    database.execute('CREATE TABLE people (id INTEGER, "user" TEXT, plan TEXT, updated_at TEXT)')
    more = ("--profiles",)
    query = ("--sql", "SELECT * FROM people", *words(database)[2:], *more)
    database.execute("INSERT INTO people VALUES (1, 'ada', 'free', '2024-01-01T00:00:00Z')")
    bench.send(*query, code=0)
    database.execute("UPDATE people SET plan = 'pro', updated_at = '2024-01-02T00:00:00Z'")
    bench.send(*query, code=0)
    assert [hit.params.get("plan") for hit in bench.tracker.hits] == ["free", "pro"]
    assert bench.send(*query, code=0).summary["rows"]["read"] == 0


def test_a_log_that_was_forgotten_is_read_anew(bench: Bench, database: SqliteFile) -> None:
    database.add(rows(0, 6))
    ask(bench, database)
    place = ("--ledger", str(bench.ledger))
    assert ran_alone("ledger", "check", *place).code == 0
    assert ran_alone("ledger", "forget", "sql:events", "--yes", "--to", bench.tracker.url, *place).code == 0
    assert ask(bench, database).summary["rows"]["sent"] == 6
    assert ran_alone("ledger", "check", *place).code == 0


MISTAKES = {
    "no such column": (("--order-by", "updated"), 2, "has no column 'updated' (--order-by)", "updated_at?"),
    "no such id": (("--id", "key"), 2, "has no column 'key' (--id)", "the columns are: id, user"),
    "twice": (
        ("--sql", "SELECT *, 1 AS id FROM {}"),
        2,
        "two columns of its result are called 'id'",
        "AS id_2",
    ),
    "syntax": (("--sql", "SELECT * FRM {}"), 2, "says:", "correct the query"),
    "no such table": (("--sql", "SELECT * FROM elsewhere"), 2, "elsewhere", "correct the query"),
    "it writes": (("--sql", "DELETE FROM {}"), 2, "begins with DELETE", "SELECT"),
    "it writes inside": (("--sql", "WITH a AS (DELETE FROM {} RETURNING *) SELECT * FROM a"), 2, "", ""),
    "several": (("--sql", "SELECT * FROM {}; DELETE FROM {}"), 2, "says:", "correct the query"),
    "no start": (("--sql", SINCE), 2, "nothing was read yet", "--start VALUE"),
    "empty": (("--sql", " -- nothing\n"), 2, "has no query in it", "SELECT * FROM events"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_say_what_to_do(bench: Bench, database: SqliteFile, mistake: str) -> None:
    given, code, problem, hint = MISTAKES[mistake]
    database.add(rows(0, 2))
    flags = list(words(database))
    name, value = given
    flags[flags.index(name) + 1] = value.format(*[database.table] * 2)
    ran = bench.run("import", *flags)
    assert ran.code == code, ran.err
    assert problem in ran.err
    assert hint in ran.err
    assert not bench.tracker.hits
    assert database.count() == 2


@pytest.mark.parametrize("sql", ["SELECT * FROM {}", "SELECT * FROM {} -- WHERE updated_at >= :since"])
def test_rows_without_a_value_stop_before_anything_is_sent(
    bench: Bench, database: SqliteFile, sql: str
) -> None:
    database.add(rows(0, 200))
    ask(bench, database, "--limit", "100", sql=sql)
    database.add([(999, "u1", "a1", "Paid", None)])
    sent = len(bench.tracker.hits)
    ran = bench.run("import", *words(database, sql))
    assert ran.code == 2
    assert "row 1 (id 999) has no updated_at" in ran.err
    assert "updated_at IS NOT NULL" in ran.err
    assert len(bench.tracker.hits) == sent
    ask(bench, database, sql=f"{sql.split(' --')[0]} WHERE updated_at IS NOT NULL")


def test_texts_and_comments_keep_what_looks_like_since(bench: Bench, database: SqliteFile) -> None:
    sql = (
        "/* :since */ SELECT id, \"user\", account, ':since it''s' AS event, updated_at -- :since\nFROM {} "
        "WHERE updated_at >= :since;"
    )
    database.add(rows(0, 3))
    ask(bench, database, "--start", "2024-01-01T00:00:00Z", sql=sql)
    assert {hit.params["_n"] for hit in bench.tracker.hits} == {":since it's"}
