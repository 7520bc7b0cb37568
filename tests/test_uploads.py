"""`--to s3://…`: bulk files are in the bucket once, whatever happens to the run, the store and the bucket."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import objects
from tests.support.bulk import Call, calls_in, form, read
from tests.support.command import Command
from tests.support.killing import STEPS, Killer, Place
from tests.support.objects import Answer, Asked, Behave, Store
from tests.support.patience import PATIENCE
from tests.support.people import configure, write

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
    for key in store.names():
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
    assert [part["file"] for part in summary["parts"]] == [store.url(key) for key in store.names()]
    assert store.names()[0] == f"in/outmain00001.{ending}"
    assert sum(part["calls"] for part in summary["parts"]) == 2 * ROWS
    assert not list(command.state.glob("ledger.db-uploads"))
    assert {asked.unless for asked in store.asked if asked.method == "PUT"} == {"*"}
    again = command("import", log, *place, "--json").ended(0).summary
    assert (again["calls"]["planned"], "parts" in again) == (0, False)


def test_killed_at_many_steps(
    killer: Killer, command: Command, log: Path, store: Store, tmp_path: Path, whole: Counter[Call]
) -> None:
    steps = killer.count(command, STEPS, "import", log, *to(store, "all/out.json"), *PARTS)
    kills = 0
    for step in range(1, steps, max(1, steps // 8)):
        home = replace(command, home=tmp_path / f"home{step}")
        words = ("import", log, *to(store, f"k{step}/out.json"), *PARTS)
        done = killer.run(home, Place(step), *words)
        kills += done.code == -signal.SIGKILL  # Not every run has the same number of steps.
        home(*words).ended(0)
        assert calls_of(store, tmp_path, f"k{step}/") == whole, step
        assert staged(home) == []
    assert kills >= 4


def test_killed_after_the_upload(
    killer: Killer, command: Command, log: Path, store: Store, tmp_path: Path, whole: Counter[Call]
) -> None:
    """The next run finds that the object is its own file, and uploads it no second time."""
    step = killer.count(command, STEPS, "import", log, *to(store, "all/out.json"))
    home, words = command, ("import", log)
    while not (staged(home) and f"k{step}/outmain00001.json" in store.names()):
        step -= 1
        home = replace(command, home=tmp_path / f"home{step}")
        words = ("import", log, *to(store, f"k{step}/out.json"))
        assert killer.run(home, Place(step), *words).code == -signal.SIGKILL
    assert staged(home) == ["outmain00001.json"]
    uploads = sum(asked.method == "PUT" for asked in store.asked)
    home(*words).ended(0)
    assert sum(asked.method == "PUT" for asked in store.asked) == uploads
    assert (calls_of(store, tmp_path, f"k{step}/"), staged(home)) == (whole, [])


def on_put(answer: Answer, *numbers: int) -> Behave:
    """Give an answer to the uploads of these numbers, from 1; to all of them if there are none."""
    count = 0

    def behave(asked: Asked, _number: int) -> Answer | None:
        nonlocal count
        count += asked.method == "PUT"
        return answer if asked.method == "PUT" and (not numbers or count in numbers) else None

    return behave


def refused(asked: Asked, methods: str) -> Answer | None:
    """An answer without rights to the requests of these methods."""
    kind = "LIST" if "list-type" in asked.query else asked.method
    return Answer("403 Forbidden", "AccessDenied") if kind in methods.split() else None


@pytest.mark.parametrize(
    "answer",
    [
        Answer("503 Slow Down", "SlowDown"),
        Answer("500 Internal Server Error", "InternalError", is_lost=True),
        Answer("409 Conflict", "ConditionalRequestConflict"),
    ],
)
def test_a_passing_fault_is_no_end(
    command: Command, log: Path, store: Store, tmp_path: Path, whole: Counter[Call], answer: Answer
) -> None:
    """Also if the upload was done and its answer lost: the object is our own then."""
    store.behave = on_put(answer, 1)
    command("import", log, *to(store)).ended(0)
    assert store.names() == ["in/outmain00001.json"]
    assert calls_of(store, tmp_path) == whole


def test_an_upload_that_fails_waits_for_the_next_run(
    command: Command, log: Path, store: Store, tmp_path: Path, whole: Counter[Call]
) -> None:
    store.behave = on_put(Answer("503 Slow Down", "SlowDown"))
    err = command("import", log, *to(store), "--attempts", "2").ended(75).err
    assert "in/outmain00001.json cannot be written, and 80 calls wait for the upload" in err
    assert "and nothing is lost" in err
    assert staged(command) == ["outmain00001.json"]
    steps = command("status", "--json").ended(0).summary["next"]
    (step,) = (one for one in steps if "waits for its upload" in one["why"])
    assert step["why"].startswith("80 calls count as sent in a bulk file that waits for its upload: ")
    assert step["what"] == f"upload it: km-cli retry --to {store.url('in/out.json')}"
    assert command("dry-run", log, "--json").ended(0).summary["calls"]["planned"] == 0
    assert "nothing is wrong" in command("ledger", "check").ended(0).out
    store.behave = lambda _asked, _number: None
    summary = command("retry", *to(store), "--json").ended(0).summary
    assert [part["calls"] for part in summary["parts"]] == [80]
    assert (calls_of(store, tmp_path), staged(command)) == (whole, [])
    assert "waits" not in command("status").ended(0).out
    assert "parts" not in command("retry", *to(store), "--json").ended(0).summary


def test_an_import_uploads_first_and_goes_on(
    command: Command, log: Path, store: Store, tmp_path: Path, whole: Counter[Call]
) -> None:
    store.behave = lambda asked, _number: refused(asked, "PUT")
    err = command("import", log, *to(store), *PARTS).ended(69).err
    assert "access is denied" in err
    assert "s3:PutObject" in err
    assert staged(command)
    store.behave = lambda _asked, _number: None
    command("import", log, *to(store), *PARTS).ended(0)
    assert (calls_of(store, tmp_path), staged(command)) == (whole, [])


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "the object store does not answer"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "there are no credentials"),
        ({}, "there is no such bucket"),
    ],
)
def test_a_store_that_cannot_be_used_ends_the_run_before_any_call_counts(
    command: Command, log: Path, environment: dict[str, str], reason: str
) -> None:
    other = replace(command, environment={**command.environment, **environment})
    err = other("import", log, "--to", "s3://no-such-bucket/out.json").ended(69).err
    assert reason in err
    assert objects.SECRET not in err
    assert command("dry-run", log, "--json").ended(0).summary["calls"]["planned"] == 2 * ROWS


def test_no_object_is_replaced(
    command: Command, log: Path, store: Store, tmp_path: Path, whole: Counter[Call]
) -> None:
    """Also if another program writes the object while our file is written, or lists are refused."""
    store.put("in/outmain00002.json", b"of another program")
    store.put("in/outmain00003.json", b"of another program")
    store.behave = lambda asked, _number: refused(asked, "LIST")
    command("import", log, *to(store), "--part-size", "5K").ended(0)
    assert store.get("in/outmain00002.json") == b"of another program"
    store.delete("in/outmain00002.json")
    store.delete("in/outmain00003.json")
    assert calls_of(store, tmp_path) == whole
    assert staged(command) == []


def test_an_object_that_we_may_not_look_at(command: Command, log: Path, store: Store) -> None:
    """It may be ours or not, so the run must neither replace it nor take another name."""
    store.put("in/outmain00001.json", b"of another program")
    store.behave = lambda asked, _number: refused(asked, "LIST HEAD")
    err = command("import", log, *to(store)).ended(69).err
    assert "an object has its key, and access to that is denied" in err
    assert staged(command) == ["outmain00001.json"]


def test_two_ledgers_write_to_one_series(command: Command, log: Path, store: Store) -> None:
    command("import", log, *to(store)).ended(0)
    command("import", log, *to(store), "--ledger", command.home / "other.db").ended(0)
    assert store.names() == ["in/outmain00001.json", "in/outmain00002.json"]


def test_an_interrupted_upload_waits(
    command: Command, log: Path, store: Store, tmp_path: Path, whole: Counter[Call]
) -> None:
    asked_to_upload, may_answer = threading.Event(), threading.Event()

    def behave(asked: Asked, _number: int) -> Answer | None:
        if asked.method != "PUT":
            return None
        asked_to_upload.set()
        may_answer.wait(PATIENCE)
        return Answer("503 Slow Down", "SlowDown")

    store.behave = behave
    process = command.start("import", log, *to(store))
    try:
        assert asked_to_upload.wait(PATIENCE)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    finally:
        may_answer.set()
    assert process.returncode == 130, err
    assert staged(command) == ["outmain00001.json"]
    store.behave = lambda _asked, _number: None
    command("import", log, *to(store)).ended(0)
    assert (calls_of(store, tmp_path), staged(command)) == (whole, [])


def test_a_waiting_file_that_is_not_as_it_was(command: Command, log: Path, store: Store) -> None:
    store.behave = on_put(Answer("503 Slow Down", "SlowDown"))
    command("import", log, *to(store), "--attempts", "1").ended(75)
    (path,) = command.state.glob("ledger.db-uploads/*/*")
    store.behave = lambda _asked, _number: None
    content = path.read_bytes()
    path.write_bytes(b"x" + content[1:])
    assert "has changed since an earlier run left" in command("retry", *to(store)).ended(74).err
    path.unlink()
    assert "is gone: an earlier run left" in command("retry", *to(store)).ended(74).err
    assert store.names() == []


def test_a_backfill_reads_none_of_its_objects(command: Command, store: Store) -> None:
    store.put("logs/log.jsonl", b'{"user": "ada", "event": "In", "timestamp": 1709283600}\n')
    configure(command, f'[[backfill]]\nname = "all"\nfiles = ["{store.url("logs/*")}"]\n')
    words = ("backfill", "--config", command.home / "km.toml", *to(store, "logs/out.json"))
    command(*words).ended(0)
    command(*words).ended(0)
    assert store.names() == ["logs/log.jsonl", "logs/outmain00001.json"]
    inside = store.url("logs/outmain00001.json")
    assert "is a bulk file" in command("import", inside, *to(store, "logs/out.json")).ended(2).err


def test_a_dry_run_asks_no_store(command: Command, log: Path, store: Store) -> None:
    assert command("dry-run", log, *to(store), "--json").ended(0).summary["calls"]["planned"] == 2 * ROWS
    assert store.asked == []


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("s3://bucket/out.txt", "ends with neither .json nor .csv"),
        ("s3://bucket/my-log.json", "'my-log' is not a name that Kissmetrics takes"),
        ("s3://b/out.json", "'b' is not the name of a bucket"),
        ("s3://AKID:secret@bucket/out.json", "has a key or a password in it"),
        ("s3:out.json", "is not an address in an object store"),
    ],
)
def test_an_address_that_cannot_be(command: Command, log: Path, address: str, reason: str) -> None:
    err = command("dry-run", log, "--to", address).ended(2).err
    assert reason in err
    assert "secret" not in err


def test_a_file_that_is_too_large_for_one_upload(command: Command, log: Path, store: Store) -> None:
    err = command("dry-run", log, *to(store), "--part-size", "6G").ended(2).err
    assert "--part-size 6,000,000,000 is more than an object store takes at once" in err
