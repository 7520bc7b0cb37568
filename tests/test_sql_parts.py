"""The parts of a query: where `:since` stands, its database, the text of values, its place in the ledger."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from km_cli.errors import UsageError
from km_cli.inputs.sql.address import Kind, chosen, parse_database, password_of
from km_cli.inputs.sql.text import check_reads, has_since, with_since
from km_cli.inputs.sql.values import as_bytes, as_float, as_json, as_moment, as_text
from km_cli.ledger import Ledger
from km_cli.ledger.queries import QueryPlace


@pytest.mark.parametrize(
    ("sql", "replaced"),
    [
        ("a >= :since", "a >= S"),
        ("(:since)+:since", "(S)+S"),
        ("a >= :since::date", "a >= S::date"),
        ("a::since", "a::since"),
        ("':since' \":since\" :since", "':since' \":since\" S"),
        ("'it''s :since' :since", "'it''s :since' S"),
        ("-- :since\n:since", "-- :since\nS"),
        ("/* :since\n */ :since", "/* :since\n */ S"),
        ("$$ :since $$ :since $a$ $$ :since $a$", "$$ :since $$ S $a$ $$ :since $a$"),
        (":sinces :since_ :Since", ":sinces :since_ :Since"),
    ],
)
def test_since_is_found_where_it_is_a_value(sql: str, replaced: str) -> None:
    assert with_since(sql, "S") == replaced
    assert has_since(sql) == (sql != replaced)


@given(st.text(":since'\"$-/*\n a", max_size=40))
def test_a_text_without_since_stays_as_it_is(sql: str) -> None:
    text = sql.replace(":since", "")
    assert with_since(text, "S") == text


@pytest.mark.parametrize(
    "sql", ["SELECT 1", " with a as (select 1) select * from a;", "(SELECT 1)", "FROM t"]
)
def test_a_query_that_reads_is_taken_without_its_semicolon(sql: str) -> None:
    assert check_reads(sql, "--sql:") == sql.strip().removesuffix(";")


@pytest.mark.parametrize(
    "sql", ["/* a */ -- b\n delete from t", "INSERT INTO t VALUES (1)", "attach 'x' as y"]
)
def test_a_query_that_writes_is_refused(sql: str) -> None:
    with pytest.raises(UsageError, match="only reads databases"):
        check_reads(sql, "--sql:")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://host/db", "postgresql://host/db"),
        ("postgres://ada@host:5433/db?sslmode=require", "postgresql://host:5433/db"),
        ("postgresql://ada@[::1]:5433,other/db", "postgresql://[::1]:5433,other/db"),
        ("postgresql:///?service=prod", "postgresql:///?service=prod"),
        ("POSTGRESQL://Host/", "postgresql://Host/"),
    ],
)
def test_a_server_is_shown_without_its_user(url: str, place: str) -> None:
    found = parse_database(url, Path(), "--database:")
    assert (found.kind, found.target) == (Kind.POSTGRESQL, url)
    assert found.place == place
    assert "ada" not in repr(found)


@pytest.mark.parametrize(
    ("url", "variables", "told_apart"),
    [
        ("postgresql://ada@host/db?sslmode=require", {}, []),
        ("postgresql:///?host=/run/a&dbname=b", {"PGHOST": "c"}, ["host=/run/a", "dbname=b"]),
        ("postgresql:///?options=-csearch_path%3Dtenant", {}, ["options=-csearch_path=tenant"]),
        ("postgresql:///", {"PGSERVICE": "prod", "PGPASSWORD": "secret"}, ["service=prod"]),
    ],
)
def test_databases_of_one_place_are_told_apart(
    url: str, variables: dict[str, str], told_apart: list[str]
) -> None:
    """Where one was read to would else be taken for where another one was."""
    assert chosen(parse_database(url, Path(), "--database:"), variables) == told_apart


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6))
def test_no_password_is_ever_shown(password: str) -> None:
    """Whatever is in it, and wherever it makes a URL end."""
    url = f"postgresql://ada:secret{password}@host/db"
    with pytest.raises(UsageError) as raised:
        parse_database(url, Path(), "--database:")
    assert "secret" not in str(raised.value) + raised.value.hint
    if set(password) & set(":@/?#"):
        with pytest.raises(UsageError) as raised:
            parse_database(url, Path(), "DB:", is_secret=True)
        assert "secret" not in str(raised.value) + raised.value.hint
    else:
        found = parse_database(url, Path(), "DB:", is_secret=True)
        assert "secret" not in found.place + repr(found)
        assert password_of(found).startswith("secret")


@given(st.floats())
def test_a_number_is_read_back_as_it_was(number: float) -> None:
    read = json.loads(as_float(number))
    assert read == (None if number != number else number if abs(number) != float("inf") else str(number))


@given(st.binary())
def test_bytes_are_one_line_of_json(data: bytes) -> None:
    text = as_bytes(data)
    assert "\n" not in text
    assert isinstance(json.loads(text), str)


@given(st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.lists(inner, max_size=3)))
def test_json_stays_the_same_on_one_line(value: object) -> None:
    text = as_json(json.dumps(value, indent=1))
    assert "\n" not in text
    assert json.loads(text) == value


@pytest.mark.parametrize(
    ("given_", "text"),
    [
        ("2024-01-01 12:00:05", "2024-01-01T12:00:05"),
        ("2024-01-01 12:00:05.250000+00", "2024-01-01T12:00:05.25Z"),
        ("2024-01-01 12:00:05.000000001", "2024-01-01T12:00:05.000000001"),
        ("2024-01-01 12:00:05.000+00:00", "2024-01-01T12:00:05Z"),
        ("-infinity", "-infinity"),
    ],
)
def test_a_moment_has_no_zeros_at_its_end(given_: str, text: str) -> None:
    assert json.loads(as_moment(given_)) == text


@given(st.text())
def test_a_text_is_one_line(value: str) -> None:
    assert "\n" not in as_text(value)
    assert json.loads(as_text(value)) == value


def test_a_place_comes_back_and_a_damaged_one_is_found(tmp_path: Path) -> None:
    """A ledger of which no query was read has no table for them, as older ones."""
    path = tmp_path / "ledger.db"
    place = QueryPlace(bytes(16), "events", 1, '"2024-01-01"', frozenset([b"1" * 16, b"2" * 16]))
    ledger = Ledger.open(path)
    assert ledger.queries.place(place.query) is None
    with sqlite3.connect(path) as database:
        assert not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'queries'").fetchall()
    database.close()
    ledger.queries.keep(place)
    with ledger._transaction():
        ledger.queries.write()
    ledger.close()
    overlay = Ledger.overlay(path)
    assert overlay.queries.place(place.query) == place
    overlay.queries.keep(place._replace(value="2"))
    with overlay._transaction():
        overlay.queries.write()
    found = overlay.queries.place(place.query)
    assert found is not None
    assert found.value == "2"
    overlay.close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE queries SET value = '3'")
    database.close()
    overlay = Ledger.overlay(path)
    with pytest.raises(Exception, match="queries"):
        overlay.queries.place(place.query)
    overlay.close()
