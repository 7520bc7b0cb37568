"""What commands print with `--json` is what their schemas in `km_cli/cli/schemas` say, in every state.

The schemas are strict: a key that is new, gone or of another type fails. Every other test that asks for
`--json` is checked in the same way (`tests/support/schemas.py`).
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.support.command import Command
from tests.support.people import configure, write
from tests.support.schemas import COMMON, FOLDER, check_output, commands, name_of, schemas, validator
from tests.support.tracker import BAD, OK, UNAVAILABLE, Tracker, held

ROWS = ("ada,Acme,Clicked,@1,1", "bob,Acme,Signed Up,@1,2", "cy,,Clicked,@3,3")
BACKFILL = '[[backfill]]\nname = "logs"\nfiles = ["{}/*.csv", "nowhere/*.csv"]\n'
COMMANDS = sorted(commands())
SHARED = {COMMON, "verify-export"}
"""Schemas that others refer to."""


# The schemas themselves


def test_every_command_with_json_has_a_schema_and_no_schema_is_left_over() -> None:
    assert {name_of(words) for words in COMMANDS} | SHARED == set(schemas())


@pytest.mark.parametrize("name", sorted(schemas()))
def test_a_schema_is_one_and_says_where_it_belongs(name: str) -> None:
    schema = schemas()[name]
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"]


def objects(schema: Any, place: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each schema of an object, with its place."""
    if isinstance(schema, list):
        for at, one in enumerate(schema):
            yield from objects(one, f"{place}/{at}")
    elif isinstance(schema, dict):
        kind = schema.get("type")
        if kind == "object" or (isinstance(kind, list) and "object" in kind and "array" not in kind):
            yield place, schema
        for key, one in schema.items():
            yield from objects(one, f"{place}/{key}")


@pytest.mark.parametrize("name", sorted(schemas()))
def test_a_schema_allows_nothing_that_it_does_not_name(name: str) -> None:
    for place, schema in objects(schemas()[name]):
        assert "additionalProperties" in schema, place
        if "properties" in schema:
            assert schema["additionalProperties"] is False, place
            assert set(schema.get("required", ())) <= set(schema["properties"]), place


@pytest.mark.parametrize("name", sorted(schemas()))
def test_every_number_and_time_is_described(name: str) -> None:
    for place, schema in objects(schemas()[name]):
        for key, one in schema.get("properties", {}).items():
            if "number" in str(one.get("type")) or "integer" in str(one.get("type")):
                assert one.get("description"), f"{place}/{key}"


def test_a_key_too_many_and_a_wrong_type_are_found() -> None:
    """The check is worth something."""
    good = {"ledger": "a", "copy": "b", "bytes": 1}
    assert validator("ledger-backup").is_valid(good)
    for bad in ({**good, "more": 1}, {**good, "bytes": "1"}, {"ledger": "a", "copy": "b"}):
        assert not validator("ledger-backup").is_valid(bad)
        with pytest.raises(AssertionError, match="ledger backup --json"):
            check_output(("ledger", "backup", "x", "--json"), json.dumps(bad))


def test_the_reference_names_every_schema() -> None:
    text = (FOLDER.parent / "REFERENCE.md").read_text(encoding="utf-8")
    assert [name for name in schemas() if f"schemas/{name}.json" not in text] == []


# What commands print

READ = (("status",), ("show",), ("show", "--run", "LAST"), ("ledger", "check"))
"""Commands that look at a ledger in any state."""


def look(km: Command, *, code: int | None = None) -> None:
    """Ask all commands that only read. Their outputs are checked when they come."""
    for words in READ:
        result = km(*words, "--json")
        assert code is None or result.code == code, result
        check_output((*words, "--json"), result.out)


def printed(km: Command, *words: str | Path, code: int = 0) -> Any:
    """Run a command; it prints one object that keeps its schema."""
    result = km(*words, "--json").ended(code)
    assert result.out.count("\n") >= 1, result.err
    check_output([*map(str, words), "--json"], result.out)
    return json.loads(result.out)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write(tmp_path / "log.csv", *ROWS)


def test_nothing_yet(importer: Command) -> None:
    """Without a ledger there is an error on standard error, and no half of an object."""
    for words in (
        *READ,
        ("retry",),
        ("ledger", "prune", "--older-than", "1d"),
        ("ledger", "forget", "log.csv"),
    ):
        result = importer(*words, "--json")
        assert (result.code, result.out) == (2, "")
    printed(replace(importer, to=""), "config", "show")


def test_all_is_sent(importer: Command, log: Path, tmp_path: Path) -> None:
    printed(importer, "dry-run", log)
    printed(importer, "import", log)
    printed(importer, "import", log)
    printed(importer, "dry-run", log)
    printed(importer, "retry")
    look(importer, code=0)
    check_output(("show", "--json"), importer("show", "--run", "1", log, "--json").ended(0).out)
    printed(importer, "ledger", "backup", tmp_path / "copy.db")
    printed(importer, "ledger", "prune", "--older-than", "2024-01-02", "--yes")
    look(importer, code=0)
    moved = write(tmp_path / "moved.csv", *ROWS[::-1])
    assert printed(importer, "import", moved)["rows"]["pruned"] == 3
    printed(importer, "dry-run", moved)


def test_a_local_store(km: Command, log: Path) -> None:
    local = replace(km, to="local")
    printed(local, "import", log)
    printed(local, "retry")
    look(local, code=0)
    printed(local, "show", "ada")
    assert local("show", "nobody", "--json").ended(2).out == ""


def test_rows_are_rejected(importer: Command, tracker: Tracker, tmp_path: Path, log: Path) -> None:
    bad = write(tmp_path / "bad.csv", *ROWS, "dot,Acme,Clicked,SOON", ",,Clicked,@4", "guest,,Clicked,@5")
    printed(importer, "dry-run", bad, code=65)
    printed(importer, "import", bad, code=65)
    printed(importer, "import", bad, code=0)
    tracker.behave = lambda hit, _: BAD if hit.params["_p"] == "eve" else OK
    log.write_text(log.read_text() + "eve,Acme,Clicked,2024-01-01T00:01:00Z,9\n")
    printed(importer, "import", log, code=65)
    look(importer, code=0)
    assert importer("import", write(tmp_path / "worse.csv", *["x,y,z,never"] * 30), "--json").code == 2


def test_calls_are_pending_and_a_destination_asks_for_a_pause(
    importer: Command, tracker: Tracker, log: Path
) -> None:
    tracker.behave = lambda hit, _: UNAVAILABLE if hit.params["_p"] == "Acme" else OK
    printed(importer, "import", log, "--attempts", "1", code=75)
    look(importer, code=0)
    printed(importer, "retry", "--attempts", "1", code=75)
    tracker.behave = None
    assert printed(importer, "retry")["calls"]["resumed"] == 2


@pytest.fixture
def backfills(importer: Command, tmp_path: Path) -> Path:
    """The folder of the logs of a backfill."""
    folder = tmp_path / "logs"
    folder.mkdir()
    configure(importer, BACKFILL.format(folder))
    return folder


def test_backfills(importer: Command, tracker: Tracker, backfills: Path) -> None:
    write(backfills / "log.csv", *ROWS, "dot,Acme,Clicked,SOON")
    write(backfills / "none.csv", "what", header="some,thing")
    assert printed(importer, "dry-run", code=2)["dry_run"]
    found = printed(importer, "backfill", code=2)
    assert found["problems"]
    assert found["files"]["missing"] == 1
    tracker.behave = lambda hit, _: UNAVAILABLE if hit.params["_p"] == "Acme" else OK
    write(backfills / "log.csv", *ROWS, "dot,Acme,Clicked,SOON", "eve,Acme,Clicked,@9")
    printed(importer, "backfill", "--attempts", "1", code=2)
    look(importer, code=0)
    printed(replace(importer, to=""), "config", "show")


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("--funnel", "Clicked", "--funnel", "Signed Up", "--within", "7d", "--by", "plan"),
        ("--no-strategies",),
        (),
    ],
)
def test_comparisons(km: Command, log: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    names = [("Clicked", "ada"), ("Clicked", "bob"), ("Signed Up", "ada"), ("Signed Up", "cy")]
    rows = [f"{who}{n % 9},a{n % 4},{name},2024-01-0{n % 7 + 1}T00:00:{at:02}Z,{n % 3}" for n in range(40)
            for at, (name, who) in enumerate(names)]  # fmt: skip
    many = write(tmp_path / "many.csv", *rows)
    printed(km, "compare", many, *words)
    result = km("compare", log, *words, "--json")
    check_output(("compare", "--json"), result.out)
    configure(km, '[[personas]]\nname = "user"\n[[personas]]\nname = "account"\nevents = ["Clicked"]\n')
    printed(km, "compare", many, *words)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_run_that_was_cut_off(importer: Command, tracker: Tracker, log: Path, how: signal.Signals) -> None:
    """While it is at work, and after its end, all can be asked."""
    tracker.behave = lambda _hit, number: held(number + 2)
    with importer.start("import", log, "--concurrency", "1", "--json") as running:
        while not tracker.seen:
            assert running.poll() is None
            time.sleep(0.01)
        look(importer, code=0)
        os.kill(running.pid, how)
        tracker.behave = None
        tracker.answer_all()
        out, _ = running.communicate()
    check_output(("import", "--json"), out)
    look(importer, code=0)
    printed(importer, "import", log)


BREAK: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "no ledger": lambda path: path.write_bytes(b"no ledger" * 1000),
    "damaged": lambda path: edit(path, "UPDATE slots SET calls = zeroblob(length(calls))"),
    "newer": lambda path: edit(path, "UPDATE meta SET value = 99"),
    "no table": lambda path: edit(path, "DROP TABLE sent"),
}


def edit(ledger: Path, statement: str) -> None:
    with closing(sqlite3.connect(ledger)) as database, database:
        database.execute(statement)


@pytest.mark.parametrize("kind", BREAK)
def test_faulty_ledgers(importer: Command, log: Path, kind: str) -> None:
    printed(importer, "import", log)
    BREAK[kind](importer.state / "ledger.db")
    look(importer)
    assert importer("ledger", "check", "--json").code == 73
    again = importer("import", write(log.with_name("b.csv"), *ROWS[::-1]), "--json")
    assert again.code == 73
    check_output(("import", "--json"), again.out)
