"""Kill a process that fills a store, anywhere: the journal has no gap, no half call, and the right facts."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from km_cli.standin import Journal, Store
from tests.support.standin import ARRIVAL, Request, T, alias, call

BATCH: Final = 7
KILLS: Final = 8

FILLING = """
import sys
from tests.test_standin_kill import fill
fill(sys.argv[1])
"""


def request(number: int) -> Request:
    """The call of this number, from 0: seconds, people and names meet again and again."""
    draw = random.Random(number)
    if draw.random() < 0.01:
        return alias(f"p{draw.randrange(40)}", f"p{draw.randrange(40)}")
    name = draw.choice(["Billed", "billed", "Logged:In"])
    person = draw.choice([f"p{draw.randrange(40)}", None, "a,b"])
    return call(_p=person, _n=name, _t=T + draw.randrange(200), Plan=draw.choice(["a", "b", "$5"]))


def fill(path: str) -> None:
    """Send calls without end, beginning with the first that the store does not have."""
    with closing(Store(path, now=lambda: ARRIVAL)) as store, Journal(Path(path)) as journal:
        number = journal.last_id()
        while True:
            store.receive([request(number + n) for n in range(BATCH)])
            number += BATCH


def killed_at(path: Path, number: int) -> None:
    """Kill the process once the store has at least so many calls."""
    process = subprocess.Popen([sys.executable, "-c", FILLING, str(path)])
    try:
        while last_in(path) < number:
            assert process.poll() is None, "it ended by itself"
    finally:
        process.kill()
        process.wait()


def last_in(path: Path) -> int:
    """The id of the newest call; 0 as long as the process has not made the tables."""
    try:
        with Journal(path) as journal:
            return journal.last_id()
    except sqlite3.OperationalError:
        return 0


@pytest.mark.slow
def test_a_killed_writer_leaves_whole_batches(tmp_path: Path) -> None:
    path, again = tmp_path / "killed.db", tmp_path / "whole.db"
    draw = random.Random(1)
    at = 0
    with closing(Store(again, now=lambda: ARRIVAL)) as whole:
        for _ in range(KILLS):
            sent, at = at, at + draw.randrange(1, 300)
            killed_at(path, at)
            with Journal(path) as journal:
                at = journal.last_id()
            assert at % BATCH == 0
            whole.receive([request(number) for number in range(sent, at)])
            with closing(Store(path)) as store, Journal(path) as found, Journal(again) as want:
                assert found.calls(limit=at) == want.calls(limit=at)
                assert found.summary() == want.summary()
                assert store.kept() == whole.kept()
                assert [*store.events()] == [*whole.events()]
                assert [*store.properties()] == [*whole.properties()]
        with Journal(path) as journal:
            assert {"D1", "D2", "D4", "I2"} <= journal.summary().merged.keys()
