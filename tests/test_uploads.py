"""`--to s3://…`: bulk files are in the bucket once, whatever happens to the run, the store and the bucket."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import objects
from tests.support.bulk import Call, calls_in, form, read
from tests.support.command import Command, Result
from tests.support.objects import Answer, Asked, Store
from tests.support.patience import PATIENCE
from tests.support.people import write

pytestmark = pytest.mark.slow

ROWS = 40
PARTS = ("--batch-size", "10", "--part-size", "2K")


@pytest.fixture(scope="module")
def server() -> Iterator[objects.Server]:
    with objects.server() as running:
        yield running


@pytest.fixture
def store(server: objects.Server) -> Iterator[Store]:
    with objects.bucket(server) as found:
        yield found


@pytest.fixture
def command(tmp_path: Path, server: objects.Server) -> Command:
    """The command that finds the store, without an API key."""
    home = tmp_path / "home"
    home.mkdir()
    return Command(home, environment={"KM_API_KEY": "", **server.environment})


@pytest.fixture
def log(tmp_path: Path) -> Path:
    rows = [f"u{row},Acme,In,@{row},{row}" for row in range(ROWS)]
    return write(tmp_path / "log.csv", *rows, header="user,account,event,timestamp,plan")


@pytest.fixture
def whole(tmp_path: Path, log: Path) -> Counter[Call]:
    """The calls that the objects must have in the end."""
    Command(tmp_path / "whole")("import", log, "--to", f"file:{tmp_path}/whole.json").ended(0)
    calls = calls_in(tmp_path, "whole")
    assert sum(calls.values()) == 2 * ROWS
    return calls


def calls_of(store: Store, folder: Path, prefix: str = "in/out") -> Counter[Call]:
    """The calls of all objects below a prefix."""
    found = Counter[Call]()
    for key in store.keys():
        if key.startswith(prefix):
            path = folder / key.rpartition("/")[2]
            path.write_bytes(store.get(key))
            found.update(form(call) for call in read(path))
            path.unlink()
    return found


def staged(command: Command) -> list[str]:
    """The files that wait on this machine, or are open."""
    return sorted(path.name for path in command.state.glob("ledger.db-uploads/*/*"))


def to(store: Store, name: str = "in/out.json") -> tuple[str, str]:
    return "--to", store.url(name)


@pytest.mark.parametrize("ending", ["json", "csv", "json.gz", "csv.gz"])
def test_objects_have_the_calls_of_the_files(
    command: Command, log: Path, store: Store, tmp_path: Path, whole: Counter[Call], ending: str
) -> None:
    place = to(store, f"in/out.{ending}")
    summary = command("import", log, *place, *PARTS, "--json").ended(0).summary
    assert calls_of(store, tmp_path) == whole
    assert [part["file"] for part in summary["parts"]] == [store.url(key) for key in store.keys()]
    assert store.keys()[0] == f"in/outmain00001.{ending}"
    assert sum(part["calls"] for part in summary["parts"]) == 2 * ROWS
    assert not list(command.state.glob("ledger.db-uploads"))
    assert {asked.unless for asked in store.asked if asked.method == "PUT"} == {"*"}
    again = command("import", log, *place, "--json").ended(0).summary
    assert (again["calls"]["planned"], "parts" in again) == (0, False)


def run_to_step(command: Command, step: int, *words: str | Path) -> Result:
    """Run the command up to a step; 0 for its end."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killing", str(step), *map(str, words)],
        env=command.surroundings(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def test_killed_at_many_steps(
    command: Command, log: Path, store: Store, tmp_path: Path, whole: Counter[Call]
) -> None:
    steps = int(run_to_step(command, 0, "import", log, *to(store, "all/out.json"), *PARTS).err.splitlines()[-1])
    kills = 0
    for step in range(1, steps, max(1, steps // 12)):
        home = replace(command, home=tmp_path / f"home{step}")
        words = ("import", log, *to(store, f"k{step}/out.json"), *PARTS)
        done = run_to_step(home, step, *words)
        kills += done.code == -signal.SIGKILL  # Not every run has the same number of steps.
        home(*words).ended(0)
        assert calls_of(store, tmp_path, f"k{step}/") == whole, step
        assert staged(home) == []
    assert kills >= 6


def test_killed_after_the_upload(
    command: Command, log: Path, store: Store, tmp_path: Path, whole: Counter[Call]
) -> None:
    """The next run finds that the object is its own file, and uploads it no second time."""
    words = ("import", log, *to(store))
    step = 0
    while not store.keys():
        step += 1
        for path in command.state.glob("*.db*"):
            path.unlink() if path.is_file() else None
        assert run_to_step(command, step, *words).code == -signal.SIGKILL
    assert staged(command) == ["outmain00001.json"]
    uploads = sum(asked.method == "PUT" for asked in store.asked)
    command(*words).ended(0)
    assert sum(asked.method == "PUT" for asked in store.asked) == uploads
    assert (calls_of(store, tmp_path), staged(command)) == (whole, [])
