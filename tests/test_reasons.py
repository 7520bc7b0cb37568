"""Whatever ends a run says why and what to do, and never with a key in it."""

from __future__ import annotations

import json
import resource
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Timer

import pytest

from km_cli.destinations.masking import HIDDEN
from km_cli.errors import Exhausted
from km_cli.run.interrupts import start_thread
from tests.support import tracker as t
from tests.support.command import KEY, Command, Result
from tests.support.nightly import Logs, Nights
from tests.support.patience import PATIENCE
from tests.support.tracker import OK, UNAVAILABLE, Hit, Reaction, Tracker, held, refuse

NOWHERE = "https://127.0.0.1:9"
PROXIES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A hundred rows, two hundred calls."""
    path = tmp_path / "log.csv"
    rows = (f"u{n},a{n},E,2024-01-01T00:{n // 60:02}:{n % 60:02}Z\n" for n in range(100))
    path.write_text("user,account,event,timestamp\n" + "".join(rows), encoding="utf-8")
    return path


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    """A folder of logs."""
    return Logs(tmp_path / "logs")


@pytest.fixture
def nights(importer: Command, logs: Logs) -> Nights:
    """A backfill of that folder."""
    return Nights(importer, logs)


def limited(importer: Command, log: Path, kind: int, number: int, concurrency: int) -> Result:
    """Import with a limit on what the process may have."""
    process = importer.start(
        "import",
        log,
        "--concurrency",
        str(concurrency),
        preexec_fn=lambda: resource.setrlimit(kind, (number, number)),
    )
    out, err = process.communicate(timeout=PATIENCE)
    return Result(process.returncode, out, err)


# A short outage


def test_a_second_of_503_at_the_start_costs_a_few_attempts(
    importer: Command, tracker: Tracker, log: Path
) -> None:
    """Every call of the run failed once before, and a hundred retries were paid at one a second."""
    tracker.behave = lambda hit, _: UNAVAILABLE if hit.at - tracker.seen[0].at < 1.0 else OK
    summary = importer("import", log, "--json").ended(0).summary
    assert summary["calls"]["acknowledged"] == 200 == len(tracker.hits)
    assert len(tracker.seen) - 200 == summary["calls"]["retried"] <= 5 + 20


def test_at_most_four_calls_are_in_flight_until_one_is_taken(
    importer: Command, tracker: Tracker, log: Path
) -> None:
    seen: list[int] = []

    def release() -> None:
        seen.append(len(tracker.seen))
        tracker.answer_all()

    def behave(_hit: Hit, number: int) -> Reaction:
        if number == 3:
            Timer(0.5, release).start()
        return held() if number < 4 else OK

    tracker.behave = behave
    importer("import", log, "--concurrency", "32").ended(0)
    assert seen == [4]


# Pending


def test_pending_calls_say_why(importer: Command, tracker: Tracker, log: Path) -> None:
    tracker.behave = lambda hit, _: UNAVAILABLE if hit.params["_p"] == "u7" else OK
    result = importer("import", log, "--attempts", "2").ended(75)
    assert (
        "1 call planned and not acknowledged yet; the last attempt failed: HTTP 503 Service Unav"
        in result.err
    )


def test_a_run_whose_time_is_up_says_what_it_waited_for(
    nights: Nights, logs: Logs, tracker: Tracker, tmp_path: Path
) -> None:
    logs.append("app.log", logs.lines(3))
    tracker.behave = lambda _hit, _number: UNAVAILABLE
    journal = tmp_path / "journal"
    with Tracker() as monitor:
        told = ("--log", journal, "--ping", f"{monitor.url}/uuid")
        for seconds in ("3", "30"):  # A busy machine may not come to send anything in so short a time.
            result = nights("--max-time", seconds, *told).ended(75)
            if "attempt" in result.err:
                break
        said = monitor.seen[-1].body.decode()
    assert "the time is up" in result.err
    for words in (result.err, journal.read_text(), said):
        assert "6 calls planned and not acknowledged yet; the last attempt failed: HTTP 503" in words


def test_a_backfill_that_leaves_calls_pending_says_why_to_all(
    nights: Nights, logs: Logs, tracker: Tracker, tmp_path: Path
) -> None:
    logs.append("app.log", logs.lines(3))
    tracker.behave = lambda hit, _: UNAVAILABLE if hit.params["n"] == "1" else OK
    journal = tmp_path / "journal"
    with Tracker() as monitor:
        told = ("--log", journal, "--ping", f"{monitor.url}/uuid")
        nights("--attempts", "1", *told).ended(75)
        said = monitor.seen[-1].body.decode()
    problems = [one for one in map(json.loads, journal.read_text().splitlines()) if one["what"] == "problem"]
    assert [one["exit"] for one in problems] == [75]
    for words in (problems[0]["message"], said):
        assert "2 calls planned and not acknowledged yet; the last attempt failed: HTTP 503" in words


# Certificates and proxies


@pytest.mark.parametrize("variable", BUNDLES)
@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "is not there"), (b"", "holds no cert"), (b"no certificates", "holds no cert")],
)
def test_a_bundle_that_cannot_be_used_stops_before_anything_is_planned(
    km: Command, log: Path, tmp_path: Path, variable: str, content: bytes | None, says: str
) -> None:
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_bytes(content)
    km.environment = {**dict.fromkeys((*BUNDLES, *PROXIES), ""), variable: str(bundle)}
    result = km("import", log, "--to", NOWHERE).ended(2)
    assert f"the CA bundle {bundle} {says}" in result.err
    assert "next: name a file of PEM certificates in REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE" in result.err
    assert "planned" not in result.err
    km("dry-run", log, "--to", NOWHERE).ended(0)


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (407, 69, "HTTP 407 Proxy Authentication Required"),
        (403, 69, "HTTP 403 Forbidden"),
        (503, 75, "HTTP 503 Service Unavailable"),
    ],
)
def test_a_proxy_that_refuses_is_named_without_its_password(
    km: Command, tracker: Tracker, log: Path, status: int, code: int, says: str
) -> None:
    proxy = tracker.url.removeprefix("http://")
    km.environment = {**dict.fromkeys(PROXIES, ""), "https_proxy": f"http://ada:s3cret@{proxy}"}
    tracker.behave = lambda _hit, _number: refuse(status)
    words = ("--to", "https://tracker.example", "--limit", "1", "--attempts", "1")
    result = km("import", log, *words).ended(code)
    assert f"the proxy {proxy} does not connect to tracker.example: {says}" in result.err
    assert "s3cret" not in result.err


@pytest.mark.parametrize(
    ("proxy", "says"),
    [
        ("http://ada:s3cret@127.0.0.1:1", "the proxy 127.0.0.1:1 refuses connections"),
        ("http://ada:s3/cret@127.0.0.1:1", "the URL of the proxy on the way to tracker.example is not valid"),
        ("htt://ada:s3cret@127.0.0.1:1", "the URL of the proxy on the way to tracker.example is not valid"),
        (
            "http://ada:s3cret@no-such-host.invalid",
            "the name of the proxy no-such-host.invalid cannot",
        ),
    ],
)
def test_a_proxy_that_is_not_there_is_named(km: Command, log: Path, proxy: str, says: str) -> None:
    km.environment = {**dict.fromkeys(PROXIES, ""), "https_proxy": proxy}
    result = km("import", log, "--to", "https://tracker.example").ended(69)
    assert says in result.err
    assert "cret" not in result.err


def test_what_speaks_no_tls_is_named(km: Command, log: Path) -> None:
    km.environment = dict.fromkeys(PROXIES, "")
    with _greeter() as place:
        words = ("--to", f"https://{place}", "--limit", "1", "--attempts", "1")
        result = km("import", log, *words).ended(75)
    assert f"the last attempt failed: no TLS connection to {place} (" in result.err


@contextmanager
def _greeter() -> Iterator[str]:
    """A server that speaks first, and no TLS."""

    def greet(listener: socket.socket) -> None:
        with suppress(OSError):  # In the end the listener is closed.
            while True:
                peer, _ = listener.accept()
                with peer, suppress(ConnectionError):
                    peer.sendall(b"220 mail.example ESMTP\r\n")
                    peer.recv(65_536)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=greet, args=(listener,), daemon=True)
        server.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        server.join()


# Too little of what the system gives


@pytest.mark.usefixtures("transport")
def test_too_few_files_stop_the_run_and_nothing_is_lost(
    importer: Command, tracker: Tracker, log: Path
) -> None:
    tracker.behave = lambda _hit, _number: t.slow(0.2)
    result = limited(importer, log, resource.RLIMIT_NOFILE, 40, 100).ended(74)
    assert "too many files are open" in result.err
    assert "next: lower --concurrency or raise the limit (ulimit -n)" in result.err
    importer("import", log).ended(0)
    assert len({hit.wire for hit in tracker.hits}) == 200


def test_too_few_files_for_the_ledger_are_no_reason_to_restore_it(importer: Command, log: Path) -> None:
    importer("import", log, "--limit", "1").ended(0)
    limit = (resource.RLIMIT_NOFILE, (6, 6))
    process = importer.start("import", log, preexec_fn=partial(resource.setrlimit, *limit))
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 73
    assert (
        "ledger.db cannot be used: unable to open database file\n  next: raise the limit of open files" in err
    )
    assert "restore" not in err
    importer("import", log).ended(0)


@pytest.mark.parametrize(
    "call", ["Local().hold(NAME)", "Local().search(PATTERN, EVER)", "read_small(Path(NAME), 9, NAME, '')"]
)
def test_too_few_files_for_an_input_are_no_reason_to_correct_it(log: Path, call: str) -> None:
    """All modules are there before the limit is."""
    program = f"""
import os, resource
from pathlib import Path
from zoneinfo import ZoneInfo
from km_cli.config.files import read_small
from km_cli.errors import Exhausted
from km_cli.inputs.storage.base import Window
from km_cli.inputs.storage.local import Local
EVER = Window(None, None, ZoneInfo("UTC"))
NAME, PATTERN = {str(log)!r}, {str(log.parent / "*.csv")!r}
free = os.open("/", os.O_RDONLY)
os.close(free)
resource.setrlimit(resource.RLIMIT_NOFILE, (free, free))
try:
    print({call})
except Exhausted as error:
    print(error, error.hint, error.exit)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "cannot be opened: Too many open files raise the limit of open files" in ran.stdout
    assert ran.stdout.endswith(" 74\n")


def test_too_few_threads_stop_the_run_and_nothing_is_lost(
    importer: Command, tracker: Tracker, log: Path
) -> None:
    """Each takes megabytes of address space for its stack."""
    result = limited(importer, log, resource.RLIMIT_AS, 700 << 20, 1000).ended(74)
    assert "of the 64 threads that sending begins with" in result.err
    assert "next: lower --concurrency" in result.err
    assert not tracker.seen
    importer("import", log).ended(0)
    assert len(tracker.hits) == 200


def test_a_thread_of_the_command_that_cannot_start_is_no_bug() -> None:
    """The one that waits for a FIFO, or for --max-time."""
    before = threading.stack_size(1 << 47)
    try:
        with pytest.raises(Exhausted) as error:
            start_thread(threading.Thread(target=print))
    finally:
        threading.stack_size(before)
    assert error.value.exit == 74
    assert "ulimit" in error.value.hint


# Keys that come back


@contextmanager
def _echoing(status: int, *, after: int = 0) -> Iterator[str]:
    """A server that says the request's first line again as its reason phrase; its URL.

    The first `after` requests are taken.
    """

    def serve(peer: socket.socket) -> None:
        with peer, suppress(ConnectionError):
            while data := peer.recv(65_536):
                seen.append(data)
                taken = len(seen) <= after
                phrase = "OK" if taken else data.split(b" ")[1].decode()
                head = f"HTTP/1.1 {200 if taken else status} {phrase}\r\nContent-Type: image/gif\r\n"
                body = t.GIF if taken else b""
                peer.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def listen(listener: socket.socket) -> None:
        try:
            while True:
                peer, _ = listener.accept()
                threading.Thread(target=serve, args=(peer,), daemon=True).start()
        except OSError:
            return

    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=listen, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(("status", "code"), [(400, 69), (403, 69), (503, 75), (204, 69)])
def test_a_key_that_a_server_echoes_is_told_nowhere(
    nights: Nights, logs: Logs, importer: Command, tmp_path: Path, status: int, code: int
) -> None:
    """Not on the terminal, in the rejects file, the journal, a ping, or the ledger."""
    logs.append("app.log", logs.lines(3))
    journal = tmp_path / "journal"
    with _echoing(status) as url, Tracker() as monitor:
        told = ("--log", journal, "--ping", f"{monitor.url}/uuid", "--attempts", "1", "--to", url)
        result = nights(*told).ended(code)
        said = monitor.seen[-1].body.decode()
    for words in (result.err, journal.read_text(), said):
        assert f"_k={HIDDEN}" in words
        assert KEY not in words
    rejects = list(importer.state.glob("rejects-*"))
    assert bool(rejects) == (status == 400)
    assert all(f"_k={HIDDEN}" in path.read_text() for path in rejects)
    for path in importer.home.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path


def test_a_pause_in_the_ledger_names_the_cause_without_the_key(
    nights: Nights, logs: Logs, importer: Command
) -> None:
    logs.append("app.log", logs.lines(3))
    with _echoing(503) as url:
        words = ("--attempts", "2", "--to", url, "--limit", "2")
        nights(*words)
        with closing(sqlite3.connect(next(importer.state.glob("ledger*.db")))) as ledger:
            found = ledger.execute("SELECT reason FROM pauses").fetchall()
    assert len(found) == 1
    assert found[0][0].startswith("it acknowledged no call: HTTP 503 /e?_k=" + HIDDEN)
