"""A person with very many calls: those beyond a bound are in a temporary file, and the plan is the same."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from km_cli.model import KnownValue, Record, Row, Sequence
from km_cli.planning.keyed import KeyedFingerprints
from km_cli.planning.plain_slots import PlainValues
from km_cli.spark.inputs import Inputs
from km_cli.spark.parts import pack_part
from km_cli.spark.person_values import PersonValues
from km_cli.spark.spilling import Form, Spilling, TemporaryDatabase
from km_cli.spark.state import PersonSlots
from km_cli.spark.tables import WALK
from km_cli.spark.walk import Walk, WalkTask
from tests.support.onemachine import settings_of
from tests.support.sparkless import NOW, SECRET

UNBOUNDED = 10**9
TEXTS: Form[str, str] = Form(
    str.encode, bytes.decode, lambda _, value: value.encode(), lambda _, packed: packed.decode()
)
keys = st.sampled_from("abcdefgh")
steps = st.one_of(
    st.tuples(st.just("put"), keys, st.text(max_size=3)),
    st.tuples(st.just("take"), keys, st.just("")),
    st.tuples(st.just("list"), keys, st.just("")),
    st.tuples(st.just("clear"), keys, st.just("")),
)


@given(st.lists(steps, max_size=40), st.integers(0, 3))
def test_a_mapping_that_spills_is_a_mapping(steps: list[tuple[str, str, str]], most: int) -> None:
    spilling, plain = Spilling(TemporaryDatabase(), "texts", TEXTS, most), dict[str, str]()
    for step, key, value in steps:
        if step == "put":
            spilling[key] = plain[key] = value
        elif step == "take":
            assert spilling.pop(key, None) == plain.pop(key, None)
        elif step == "list":
            assert dict(spilling) == plain
            assert len(spilling) == len(plain)
        else:
            spilling.clear()
            plain.clear()
        assert spilling.get(key) == plain.get(key)
        assert spilling.in_memory <= most


values = st.builds(
    KnownValue,
    st.integers(0, 5).map(lambda at: at * 500_000_000),
    st.integers(0, 2),
    st.just(0),
    st.just(0),
    st.integers(0, 2),
    st.binary(min_size=8, max_size=8),
)


@given(st.lists(st.tuples(st.sampled_from([b"one", b"two"]), values, st.booleans()), max_size=20))
def test_values_that_spill_are_those_of_memory(puts: list[tuple[bytes, KnownValue, bool]]) -> None:
    spilling, plain = PersonValues(TemporaryDatabase(), 1), PlainValues()
    for key, value, is_forgotten in puts:
        spilling.put(key, value)
        plain.put(key, value)
        if is_forgotten:
            place = (key, value.moment // 1_000_000_000, value.taken, value.value[:4])
            spilling.forget(*place)
            plain.forget(*place)
        for moment in (value.moment, value.moment - 1, 10**10):
            assert [*spilling.until(key, moment)] == [*plain.until(key, moment)]
            assert spilling.after(key, moment) == plain.after(key, moment)
    spilling.begin()
    assert spilling.is_empty
    assert not [*spilling.until(b"one", 10**10)]


def task_of(folder: Path, most: int) -> WalkTask:
    """Return the task of a walk over the rows of an account."""
    log = folder / "log.csv"
    log.write_text("timestamp,account,event\n2024-03-01T09:00:00Z,Acme,Clicked\n")
    settings = settings_of(["--to", "http://127.0.0.1:1", log])
    opened = Inputs(settings, (), SECRET, NOW).file(str(log))
    assert opened is not None
    return WalkTask(settings, SECRET, (opened.reading,), {}, most=most)


def rows_of_account(rows: int) -> Iterator[Mapping[str, Any]]:
    """Yield so many rows of WALK, all of one account; each third one is in the second of the one before."""
    nothing = dict.fromkeys(WALK.names)
    person, spelling = KeyedFingerprints("http://127.0.0.1:1", SECRET).digest_person("main", "Acme")
    for row in range(1, rows + 1):
        moment = (1_709_283_600 + row - row // 3) * 1_000_000_000
        name, properties = f"Clicked {row % 5}", (("n", str(row % 7)),)
        call = Record("main", "account", "Acme", "Acme", name, moment, properties, "")
        cells = (("account", "Acme"), *properties, ("timestamp", str(moment)))
        sequence = Sequence(Row("log.csv", row, b"a row", None), (call,), cells, "")
        yield {
            **nothing,
            "person": person,
            "spelling": spelling,
            "site": "main",
            "persona": "account",
            "side": 1,
            "kind": "part",
            "reading": 1,
            "row": row,
            "part": 0,
            "line": row,
            "job": "",
            "blob": pack_part(sequence, (0,), sequence.row.raw),
        }


def test_the_walk_over_an_account_is_the_same(tmp_path: Path) -> None:
    """With 5 calls in memory, of 300: many look for a free second, and meet calls that are in the file."""
    far, near = (list(Walk(task_of(tmp_path, most)).rows(rows_of_account(300))) for most in (5, UNBOUNDED))
    assert far == near
    assert Counter(row["kind"] for row in far)["call"] == 300
    assert any(row["second"] != row["taken"] for row in far if row["kind"] == "call")


def test_the_walk_that_counts_events_forgets_its_calls(tmp_path: Path) -> None:
    """It plans no call, so that nothing else takes them out of the calls that are new."""
    slots = PersonSlots(5)
    events = list(Walk(task_of(tmp_path, 5), slots).events(rows_of_account(50)))
    assert sum(row["new"] for row in events) == 50
    assert slots.fresh == []


def peak(task: WalkTask, rows: int) -> int:
    """Return the bytes that a walk over so many rows of one account needs at most."""
    tracemalloc.start()
    try:
        for _ in Walk(task).rows(rows_of_account(rows)):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_the_memory_of_a_walk_does_not_grow_with_its_rows(tmp_path: Path) -> None:
    few, many = 1_000, 4_000
    spilled, kept = (
        peak(task_of(tmp_path, most), many) - peak(task_of(tmp_path, most), few) for most in (500, UNBOUNDED)
    )
    assert spilled < kept / 3
