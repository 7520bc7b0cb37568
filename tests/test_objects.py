"""Logs in an object store, by the real command and a real S3 server: sent once, whatever happens there."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support import objects
from tests.support.command import Command
from tests.support.exporting import Line, records_of, write_export
from tests.support.logs import said
from tests.support.nightly import BEGIN, DAY, Logs, Nights, arrived, arrived_once
from tests.support.objects import SECRET, Answer, Asked, Store
from tests.support.patience import PATIENCE
from tests.support.people import write
from tests.support.tracker import OK, Hit, Reaction, Tracker

pytestmark = pytest.mark.slow
KEPT = 1 << 20
"""Bytes at the beginning of an object that one request asks for."""


@pytest.fixture(scope="module")
def server() -> Iterator[objects.Server]:
    with objects.server() as running:
        yield running


@pytest.fixture
def store(server: objects.Server) -> Iterator[Store]:
    with objects.bucket(server) as found:
        yield found


@pytest.fixture
def reader(importer: Command, server: objects.Server) -> Command:
    """The command that finds the store and sends to the tracker."""
    return replace(importer, environment=server.environment)


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    return Logs(tmp_path / "logs")


@pytest.fixture
def nights(reader: Command, logs: Logs, store: Store) -> Nights:
    found = Nights(reader, logs)
    found.configure(f'files = ["{store.url("*.log")}"]')
    return found


def once(tracker: Tracker, logs: Logs) -> None:
    """Every row that was written arrived, each call once."""
    assert arrived(tracker) == logs.calls()


def long(logs: Logs, size: int) -> bytes:
    """Rows of so many bytes at least, most of them blanks."""
    rows = logs.lines(size // 20_000 + 1).splitlines()
    return b"".join(row[:-1] + b" " * 20_000 + b"}\n" for row in rows)


# Sent as from a file


def test_an_object_is_read_as_a_file_is(reader: Command, store: Store, logs: Logs, tracker: Tracker) -> None:
    url = store.put("in/app.jsonl", logs.lines(30))
    assert reader("import", url, "--json").ended(0).summary["rows"]["sent"] == 30
    once(tracker, logs)
    assert reader("import", url, "--json").ended(0).summary["rows"]["skipped"] == 30
    once(tracker, logs)


def test_a_copy_of_the_object_on_this_machine_is_the_same_log(
    reader: Command, store: Store, logs: Logs, tracker: Tracker, tmp_path: Path
) -> None:
    content = logs.lines(30)
    reader("import", store.put("app.jsonl", content)).ended(0)
    (tmp_path / "app.jsonl").write_bytes(content)
    assert reader("import", tmp_path / "app.jsonl", "--json").ended(0).summary["rows"]["skipped"] == 30
    once(tracker, logs)


def test_a_dry_run_says_the_same_of_both(reader: Command, store: Store, tmp_path: Path, logs: Logs) -> None:
    content = logs.lines(30)
    (tmp_path / "app.jsonl").write_bytes(content)
    ours = reader("dry-run", store.put("app.jsonl", content), "--json").ended(0).summary
    theirs = reader("dry-run", tmp_path / "app.jsonl", "--json").ended(0).summary
    assert {**ours, "seconds": 0} == {**theirs, "seconds": 0}


def test_packed_objects_are_unpacked(reader: Command, store: Store, logs: Logs, tracker: Tracker) -> None:
    url = store.put("app.jsonl.gz", gzip.compress(logs.lines(60)))
    reader("import", url).ended(0)
    once(tracker, logs)


def test_a_quoted_pattern_names_objects(reader: Command, store: Store, logs: Logs, tracker: Tracker) -> None:
    store.put("in/", b"")  # a console makes such an object for a folder
    for name in ("b.jsonl", "a.jsonl", "c.txt"):
        store.put(f"in/{name}", logs.lines(5) if name != "c.txt" else b"no log")
    reader("import", store.url("in/*.jsonl")).ended(0)
    once(tracker, logs)


def test_an_init_writes_a_km_toml_for_objects(reader: Command, store: Store, logs: Logs) -> None:
    store.put("in/a.jsonl", logs.lines(20))
    store.put("in/b.jsonl", logs.lines(20))
    target = reader.home / "km.toml"
    replace(reader, to="")("init", store.url("in/*.jsonl"), "--output", target).ended(0)
    assert f'"{store.url("in/*.jsonl")}"' in target.read_text()


def test_a_comparison_reads_objects(reader: Command, store: Store) -> None:
    rows = [f"u{n},a{n % 3},{event},{BEGIN + 60 * n}" for n in range(9) for event in ("Joined", "Paid")]
    url = store.put("a.csv", "\n".join(["user,account,event,timestamp", *rows, ""]).encode())
    words = ("compare", url, "--funnel", "Joined", "--funnel", "Paid", "--no-strategies", "--json")
    found = json.loads(replace(reader, to="")(*words).ended(0).out)
    assert found["rows"]["read"] == len(rows)


# Every night


def test_a_backfill_takes_what_is_new_and_opens_nothing_twice(
    nights: Nights, store: Store, logs: Logs, tracker: Tracker
) -> None:
    for night in range(4):
        store.put(f"{night}.log", logs.lines(20))
        store.asked.clear()
        assert nights.files() == ({"read": 1, "unchanged": night} if night else {"read": 1})
        assert {one.path for one in store.asked if one.path.endswith(".log")} == {
            f"/{store.bucket}/{night}.log"
        }
        once(tracker, logs)


def test_an_object_that_has_grown_goes_on_where_it_ended(
    nights: Nights, store: Store, logs: Logs, tracker: Tracker
) -> None:
    content = b""
    for _ in range(3):
        content += logs.lines(20)
        store.put("app.log", content)
        nights("--json").ended(0)
        once(tracker, logs)


def test_a_long_object_is_asked_for_from_the_cursor_on(
    nights: Nights, store: Store, logs: Logs, tracker: Tracker
) -> None:
    """The beginning is read once, to know it again; the rows behind it are asked for with a range."""
    content = long(logs, 3 * KEPT)
    store.put("app.log", content)
    nights().ended(0)
    store.put("app.log", content + logs.lines(50))
    store.asked.clear()
    nights().ended(0)
    begins = [int(re.match(r"bytes=(\d+)", one.range)[1]) for one in store.of("app.log") if one.range]  # type: ignore[index]
    assert max(begins) == len(content) - KEPT - 1
    once(tracker, logs)


def test_the_same_content_put_again_is_not_opened(nights: Nights, store: Store, logs: Logs) -> None:
    content = logs.lines(20)
    store.put("app.log", content)
    nights().ended(0)
    store.put("app.log", content)
    store.asked.clear()
    assert nights.files() == {"unchanged": 1}
    assert store.of("app.log") == []


def test_a_last_line_that_may_grow_is_held(
    nights: Nights, store: Store, logs: Logs, tracker: Tracker
) -> None:
    content = logs.lines(20)
    store.put("app.log", content[:-5])
    assert nights.files() == {"held": 1}
    store.put("app.log", content)
    nights().ended(0)
    once(tracker, logs)


def test_a_rewritten_object_sends_only_what_is_new(
    nights: Nights, store: Store, logs: Logs, tracker: Tracker
) -> None:
    store.put("app.log", logs.lines(20))
    nights().ended(0)
    store.put("app.log", logs.lines(10) + logs.lines(20, since=0))
    nights().ended(0)
    once(tracker, logs)


def test_partitions_of_other_days_are_not_even_listed(
    nights: Nights, store: Store, logs: Logs, tracker: Tracker
) -> None:
    rows = list(range(0, 10 * 1440, 240))
    for day in range(10):
        date = _date(day)
        mine = [n for n in rows if n // 1440 == day]
        store.put(f"logs/dt={date}/part.csv", logs.csv(mine))
    nights.configure(f'files = ["{store.url("logs/dt=%Y-%m-%d/*.csv")}"]\nsince = {_date(5)}')
    found = nights.files()
    assert found["outside"] >= 3
    listed = [one.query for one in store.asked if "list-type" in one.query]
    assert not [query for query in listed if _date(0) in query or _date(2) in query]
    assert set(arrived(tracker)) <= set(logs.calls(rows))


def _date(day: int) -> str:
    return datetime.fromtimestamp(BEGIN + day * DAY, UTC).date().isoformat()


def test_a_thousand_objects_take_two_pages_and_one_request_each(
    nights: Nights, store: Store, logs: Logs, tracker: Tracker
) -> None:
    for n in range(1005):
        store.put(f"{n:04}.log", logs.lines(1))
    assert nights.files() == {"read": 1005}
    once(tracker, logs)
    assert len([one for one in store.asked if one.path.endswith(".log")]) == 1005
    store.asked.clear()
    assert nights.files() == {"unchanged": 1005}
    assert len(store.asked) <= 4


# Faults


def fail(times: int, status: str, code: str) -> objects.Behave:
    """The first requests for an object fail so; those for a listing do not."""
    left = iter(range(times))

    def behave(asked: Asked, _number: int) -> Answer | None:
        is_object = "list-type" not in asked.query
        return Answer(status, code) if is_object and next(left, None) is not None else None

    return behave


@pytest.mark.parametrize(
    ("status", "code"),
    [("503 Slow Down", "SlowDown"), ("500 Internal", "InternalError"), ("400 Bad", "RequestTimeout")],
)
def test_a_fault_that_passes_is_not_noticed(
    reader: Command, store: Store, logs: Logs, tracker: Tracker, status: str, code: str
) -> None:
    url = store.put("app.jsonl", logs.lines(20))
    store.behave = fail(3, status, code)
    result = reader("import", url).ended(0)
    assert "km-cli:" not in result.err
    once(tracker, logs)


def test_an_answer_that_breaks_off_goes_on_where_it_ended(
    reader: Command, store: Store, logs: Logs, tracker: Tracker
) -> None:
    url = store.put("app.jsonl", long(logs, 3 * KEPT))

    def behave(asked: Asked, number: int) -> Answer | None:
        return Answer(most=300_000) if number % 2 == 0 and asked.range else None

    store.behave = behave
    reader("import", url).ended(0)
    once(tracker, logs)
    assert len({one.range for one in store.of("app.jsonl")}) == 4
    assert {one.etag != "" for one in store.of("app.jsonl") if not one.range.startswith("bytes=0-")} == {True}


@pytest.mark.parametrize(
    ("status", "code", "parts"),
    [
        ("403 Forbidden", "AccessDenied", ("access is denied", "s3:GetObject")),
        ("404 Not Found", "NoSuchBucket", ("no such bucket", "AWS_ENDPOINT_URL")),
        ("400 Bad Request", "ExpiredToken", ("have expired", "renew")),
        ("403 Forbidden", "InvalidAccessKeyId", ("does not know the access key", "AWS_ACCESS_KEY_ID")),
        ("403 Forbidden", "SignatureDoesNotMatch", ("does not fit", "AWS_SECRET_ACCESS_KEY")),
        ("301 Moved", "PermanentRedirect", ("another region", "AWS_REGION")),
        ("403 Forbidden", "InvalidObjectState", ("archived", "restore")),
        ("418 Teapot", "Odd", ("refuses", "Odd 418")),
    ],
)
def test_a_fault_that_stays_is_one_error_with_a_next_step(
    reader: Command,
    store: Store,
    logs: Logs,
    tracker: Tracker,
    status: str,
    code: str,
    parts: tuple[str, ...],
) -> None:
    url = store.put("app.jsonl", logs.lines(20))
    store.behave = lambda _asked, _number: Answer(
        status, code, headers=(("x-amz-bucket-region", "us-west-2"),)
    )
    result = reader("import", url).ended(2)
    said(result, url, *parts)
    assert SECRET not in result.err
    assert not tracker.hits


def test_a_store_that_fails_in_the_middle_ends_the_run_and_the_next_goes_on(
    reader: Command, store: Store, logs: Logs, tracker: Tracker
) -> None:
    url = store.put("app.jsonl", long(logs, 3 * KEPT))
    store.behave = lambda asked, _number: (
        None if asked.range.startswith("bytes=0-") else Answer("403 Forbidden", "ExpiredToken")
    )
    result = reader("import", url).ended(74)
    said(result, url, "cannot be read after", "have expired", "renew")
    assert 0 < len(tracker.hits) < 2 * logs.rows
    store.behave = lambda _asked, _number: None
    reader("import", url).ended(0)
    once(tracker, logs)


def test_an_object_that_is_replaced_while_it_is_read_is_noticed(
    reader: Command, store: Store, logs: Logs, tracker: Tracker
) -> None:
    content = long(logs, 3 * KEPT)
    url = store.put("app.jsonl", content)
    longer = content + logs.lines(30)

    def behave(asked: Asked, _number: int) -> Answer | None:
        if asked.range == f"bytes={KEPT}-":
            store.behave = lambda _asked, _number: None
            store.put("app.jsonl", longer)
        return None

    store.behave = behave
    said(reader("import", url).ended(74), url, "was replaced while it was read", "run again")
    reader("import", url).ended(0)
    once(tracker, logs)


@pytest.mark.parametrize(
    ("dropped", "parts"),
    [
        ("HTTP_RANGE", ("cannot be read after", "other bytes", "AWS_ENDPOINT_URL")),
        ("HTTP_IF_MATCH", ("replaced",)),
    ],
)
def test_a_store_that_does_not_heed_what_is_asked_sends_no_wrong_row(
    reader: Command, store: Store, logs: Logs, tracker: Tracker, dropped: str, parts: tuple[str, ...]
) -> None:
    """Else the beginning would be taken for the rest, or the rest of another object for that of the first."""
    whole = long(logs, 3 * KEPT)
    url = store.put("app.jsonl", whole)

    def behave(asked: Asked, _number: int) -> Answer | None:
        if asked.range.startswith("bytes=0-"):
            return None
        if dropped == "HTTP_IF_MATCH":
            store.put("app.jsonl", b"\n" + whole)
        return Answer(without=(dropped,))

    store.behave = behave
    said(reader("import", url).ended(74), url, *parts)
    rest = len(tracker.hits)
    store.put("app.jsonl", whole)
    store.behave = lambda _asked, _number: None
    reader("import", url).ended(0)
    once(tracker, logs)
    assert 0 < rest < len(tracker.hits)


def test_an_object_that_is_deleted_while_it_is_read_is_noticed(
    reader: Command, store: Store, logs: Logs
) -> None:
    url = store.put("app.jsonl", long(logs, 2 * KEPT))

    def behave(asked: Asked, _number: int) -> Answer | None:
        if asked.range == f"bytes={KEPT}-":
            store.delete("app.jsonl")
        return None

    store.behave = behave
    said(reader("import", url).ended(74), url, "was deleted while it was read")


def test_a_backfill_holds_back_what_is_replaced_under_it(
    nights: Nights, store: Store, logs: Logs, tracker: Tracker
) -> None:
    content = long(logs, 2 * KEPT)
    store.put("app.log", content)
    longer = content + logs.lines(30)

    def behave(asked: Asked, _number: int) -> Answer | None:
        if asked.range == f"bytes={KEPT}-":
            store.behave = lambda _asked, _number: None
            store.put("app.log", longer)
        return None

    store.behave = behave
    assert nights.files() == {"held": 1}
    assert nights.files() == {"read": 1}
    once(tracker, logs)


def test_one_object_that_is_refused_holds_up_no_other(
    nights: Nights, store: Store, logs: Logs, tracker: Tracker
) -> None:
    store.put("a.log", b"{}\n")
    store.put("b.log", logs.lines(20))
    store.behave = lambda asked, _number: (
        Answer("403 Forbidden", "AccessDenied") if asked.path.endswith("a.log") else None
    )
    assert nights.files(code=2) == {"read": 1, "failed": 1}
    once(tracker, logs)


# Without credentials, store or library


@pytest.mark.parametrize(
    ("changed", "parts"),
    [
        ({"AWS_ACCESS_KEY_ID": ""}, ("no credentials", "AWS_ACCESS_KEY_ID")),
        ({"AWS_SECRET_ACCESS_KEY": ""}, ("no credentials", "AWS_SECRET_ACCESS_KEY")),
        ({"AWS_PROFILE": "nobody", "AWS_ACCESS_KEY_ID": ""}, ("no such profile", "AWS_PROFILE")),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, ("does not answer", "AWS_ENDPOINT_URL")),
        ({"AWS_ENDPOINT_URL": "no url"}, ("AWS_ENDPOINT_URL",)),
    ],
)
def test_an_environment_that_is_wrong_is_said(
    reader: Command, store: Store, changed: dict[str, str], parts: tuple[str, ...]
) -> None:
    variables = {**reader.environment, "AWS_CONFIG_FILE": "/dev/null", **changed}
    variables = {name: value for name, value in variables.items() if value}
    result = replace(reader, environment=variables)("import", store.url("a.jsonl")).ended(2)
    said(result, *parts)


def test_credentials_are_shown_nowhere(reader: Command, store: Store, logs: Logs, tmp_path: Path) -> None:
    url = store.put("app.jsonl", logs.lines(20) + b"{bad\n")
    texts = []
    for words in (("import", url, "-v"), ("dry-run", url, "-v"), ("import", url, "--json")):
        result = reader(*words)
        texts += [result.out, result.err]
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for one in (SECRET, "AKIDOFTHETESTS"):
        assert not [text for text in texts if one in text]
        assert not [content for content in written if one.encode() in content]


@pytest.mark.parametrize(
    "name", ["s3://AKIA:se/cret@bucket/a.csv", "s3://token@bucket/a.csv", "S3://k:se@b/*"]
)
def test_an_address_with_a_password_is_refused_unseen(km: Command, tmp_path: Path, name: str) -> None:
    said(km("dry-run", name).ended(2), "has a key or a password in it", "AWS_ACCESS_KEY_ID")
    config = tmp_path / "km.toml"
    config.write_text(f'[[backfill]]\nname = "a"\nfiles = ["{name}"]\n')
    for words in (("backfill", "--config", config), ("config", "show", "--config", config)):
        result = km(*words).ended(2)
        assert not [part for part in ("AKIA:", "cret@", "token@", "k:se@") if part in result.err + result.out]


# Names


HOSTILE = (
    "../up.jsonl",
    "a/../../b.jsonl",
    "x//y.jsonl",
    "/lead.jsonl",
    "esc\x1b[31mred.jsonl",
    "ü ✓.jsonl",
    "%41?#+.jsonl",
)


def test_no_name_becomes_a_path_here(
    reader: Command, store: Store, logs: Logs, tracker: Tracker, tmp_path: Path
) -> None:
    before = set(tmp_path.parent.iterdir())
    for key in HOSTILE:
        url = store.put(key, logs.lines(3) + b"{bad\n")
        result = reader("import", url).ended(65)
        assert "\x1b" not in result.err + result.out
    once(tracker, logs)
    assert set(tmp_path.parent.iterdir()) == before
    written = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")}
    assert written == {"state", "logs"}
    rejects = sorted(reader.state.glob("rejects-*"))
    assert all(re.fullmatch(r"rejects-[0-9TZ-]+-\d+\.jsonl", path.name) for path in rejects)
    sources = [reject["source"] for reject in reader.rejects()]
    assert len(sources) == len(HOSTILE)
    assert not [source for source in sources if not source.isprintable()]


def test_corrected_rejects_of_an_object_belong_to_it(
    reader: Command, store: Store, logs: Logs, tracker: Tracker, tmp_path: Path
) -> None:
    good = logs.lines(3)
    url = store.put("app.jsonl", good.replace(b'"u1"', b'"null"'))
    reader("import", url).ended(65)
    (reject,) = reader.rejects()
    assert reject["source"] == url
    corrected = tmp_path / "corrected.jsonl"
    corrected.write_text(json.dumps({**reject, "raw": reject["raw"].replace("null", "u1")}) + "\n")
    reader("import", corrected).ended(0)
    once(tracker, logs)


# Ends


def test_a_kill_in_the_middle_of_an_object_loses_nothing(
    reader: Command, store: Store, logs: Logs, tracker: Tracker
) -> None:
    url = store.put("app.jsonl", long(logs, 2 * KEPT))
    started: list[subprocess.Popen[str]] = []

    def behave(_hit: Hit, number: int) -> Reaction:
        if number in (60, 150) and started:
            started[-1].kill()
        return OK

    tracker.behave = behave
    for _ in range(5):
        started.append(reader.start("import", url))
        started[-1].communicate(timeout=PATIENCE)
        if started[-1].returncode == 0:
            break
    assert started[-1].returncode == 0
    assert len(started) >= 3
    assert arrived_once(tracker) == logs.calls()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_heard_while_the_store_is_silent(
    reader: Command, store: Store, logs: Logs, tracker: Tracker, number: signal.Signals, code: int
) -> None:
    """What was read is sent, and the next run goes on."""
    url = store.put("app.jsonl", long(logs, 2 * KEPT))
    is_asked, may_answer = threading.Event(), threading.Event()

    def behave(asked: Asked, _number: int) -> Answer | None:
        if not asked.range.startswith("bytes=0-"):
            is_asked.set()
            may_answer.wait(PATIENCE)
        return None

    store.behave = behave
    process = reader.start("import", url)
    assert is_asked.wait(PATIENCE)
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    may_answer.set()
    assert process.returncode == code, out + err
    assert "Traceback" not in err
    assert "Warning" not in err
    reader("import", url).ended(0)
    once(tracker, logs)


def test_an_end_leaves_no_warning(reader: Command, store: Store, logs: Logs) -> None:
    """Connections are closed before Python ends; it would tell of those that are not."""
    url = store.put("app.jsonl", long(logs, 2 * KEPT))
    loud = replace(
        reader, environment={**reader.environment, "PYTHONWARNINGS": "always", "PYTHONDEVMODE": "1"}
    )
    result = loud.alone("import", url, "--limit", "10").ended(0)
    assert "Warning" not in result.err
    assert "nclosed" not in result.err


PEAK = """
import re, sys
from pathlib import Path
from km_cli.inputs.finding import open_bytes
from km_cli.inputs.storage.registry import close_storages
with open_bytes(sys.argv[1]) as stream:
    size = sum(map(len, iter(lambda: stream.read(1 << 16), b"")))
close_storages()
print(size, re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux only: it has /proc")
def test_memory_does_not_grow_with_the_object(server: objects.Server, store: Store) -> None:
    """A process that reads 48 MiB takes little more than one that reads 1 MiB."""
    found = []
    for size in (1 << 20, 48 << 20):
        url = store.put(f"{size}.bin", b"x" * size)
        words = [sys.executable, "-c", PEAK, url]
        out = subprocess.check_output(words, env={**os.environ, **server.environment}, text=True)
        read, peak = map(int, out.split())
        assert read == size
        found.append(peak)
    assert found[1] - found[0] < 16 << 10, found


def test_a_data_export_is_verified_where_it_lies(
    reader: Command, tracker: Tracker, store: Store, tmp_path: Path
) -> None:
    """Its revisions are found below a prefix; a call that is absent, and a prefix without any, are said."""
    log = write(tmp_path / "log.csv", "ada,Acme,Clicked,@1", "bob,Acme,Clicked,@2")
    reader("import", log).ended(0)
    export = tmp_path / "export"
    write_export(export, records_of(tracker.hits))
    for file in sorted(export.rglob("*")):
        if file.is_file():
            store.put(f"acme/{file.relative_to(export)}", file.read_bytes())
    found = reader("verify", store.url("acme"), "--json").ended(0).summary
    assert found["export"]["calls"]["found"] == 4
    last = records_of(tracker.hits)[-1]
    whole = store.put("lost/revisions/1.json", b"".join(_lines(records_of(tracker.hits)[:-1])))
    absent = reader("verify", whole, "--json").ended(65).summary
    assert absent["export"]["calls"]["absent"] == 1, last
    result = reader("verify", store.url("empty")).ended(69)
    assert "no files of an export" in result.err


def _lines(records: list[Line]) -> Iterator[bytes]:
    yield from (json.dumps(record).encode() + b"\n" for record in records)
