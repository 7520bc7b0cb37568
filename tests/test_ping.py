"""Pings to a real server: their content, and that no answer changes a run or delays it much."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from km_cli.cli.monitoring.ping import Ping, check_ping
from km_cli.errors import UsageError
from tests.support.drawing import examples
from tests.support.patience import PATIENCE
from tests.support.tracker import (
    DRIP,
    ENDLESS,
    OK,
    RESET_AFTER,
    RESET_BEFORE,
    TRUNCATED,
    UNAVAILABLE,
    Reaction,
    Tracker,
    held,
    redirect,
    refuse,
)

RUN = "5f4a3c2e-0000-4000-8000-000000000001"
SECRET = "0b5eb61f-58af-4c8a"


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ignore the proxies of this machine."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def ping(url: str, waited: list[float] | None = None, timeout: float = PATIENCE) -> Ping:
    return Ping(url, RUN, sleep=(waited if waited is not None else []).append, timeout=timeout)


def test_a_run_pings_at_its_start_and_its_end(tracker: Tracker) -> None:
    one = ping(f"{tracker.url}/{SECRET}")
    one.start()
    one.end(0, "3 rows sent")
    one.end(65, "1 row rejected: grüße")
    assert [(hit.method, hit.path, hit.query, hit.body.decode()) for hit in tracker.hits] == [
        ("POST", f"/{SECRET}/start", f"rid={RUN}", ""),
        ("POST", f"/{SECRET}", f"rid={RUN}", "3 rows sent"),
        ("POST", f"/{SECRET}/65", f"rid={RUN}", "1 row rejected: grüße"),
    ]
    assert {hit.headers["content-type"] for hit in tracker.hits} == {"text/plain; charset=utf-8"}
    assert tracker.hits[0].headers["content-length"] == "0"


@pytest.mark.parametrize(
    ("url", "ended"),
    [
        ("", "/?rid="),
        ("/", "/?rid="),
        ("/ping/slug/", "/ping/slug?rid="),
        ("/ping/slug?create=1", "/ping/slug?create=1&rid="),
        ("/ping/slug?a=%2F&b=/", "/ping/slug?a=%2F&b=/&rid="),
    ],
)
def test_the_path_is_extended_and_a_query_kept(url: str, ended: str, tracker: Tracker) -> None:
    one = ping(tracker.url + url)
    one.start()
    one.end(0, "")
    one.end(143, "")
    start, success, failure = [f"{hit.path}?{hit.query}" for hit in tracker.hits]
    path, _, query = ended.partition("?")
    assert success == f"{ended}{RUN}"
    assert start == f"{path.rstrip('/')}/start?{query}{RUN}"
    assert failure == f"{path.rstrip('/')}/143?{query}{RUN}"


def test_no_url_no_ping() -> None:
    check_ping("")
    one = ping("")
    one.start()
    one.end(1, "nobody hears it")


@pytest.mark.parametrize("fault", [UNAVAILABLE, RESET_BEFORE, RESET_AFTER, refuse(429), refuse(500)])
def test_what_may_pass_is_tried_again(
    fault: Reaction, tracker: Tracker, capsys: pytest.CaptureFixture[str]
) -> None:
    waited: list[float] = []
    tracker.behave = lambda _hit, number: fault if number < 2 else OK
    ping(tracker.url, waited).end(0, "well")
    assert len(tracker.seen) == 3
    assert len({hit.wire for hit in tracker.seen}) == 1
    assert waited == [1.0, 3.0]
    assert capsys.readouterr().err == ""


FAILING = {
    "HTTP 503": (UNAVAILABLE, 3),
    "HTTP 404": (refuse(404), 1),
    "HTTP 409": (refuse(409), 1),
    "HTTP 302, a redirect, which is not followed": (redirect("/elsewhere"), 1),
    "no connection, or it was lost": (RESET_BEFORE, 3),
    "it has no such check": (Reaction(headers=(), body=b"OK (not found)"), 1),
    "too many pings": (Reaction(headers=(), body=b"OK (rate-limited)\n"), 1),
}


@pytest.mark.parametrize("said", FAILING)
def test_what_fails_is_complained_about_by_the_host_alone(
    said: str, tracker: Tracker, capsys: pytest.CaptureFixture[str]
) -> None:
    fault, attempts = FAILING[said]
    tracker.behave = lambda _hit, _number: fault
    ping(f"{tracker.url}/{SECRET}?key={SECRET}").end(69, "down")
    complaint, hint = capsys.readouterr().err.splitlines()
    assert complaint == f"km-cli: the ping to 127.0.0.1 failed: {said}"
    assert hint.startswith("  next: ")
    assert SECRET not in complaint + hint
    assert len(tracker.seen) == attempts
    assert all(hit.path == f"/{SECRET}/69" for hit in tracker.seen)


def test_a_server_that_is_not_there(tracker: Tracker, capsys: pytest.CaptureFixture[str]) -> None:
    tracker.stop()
    ping(f"{tracker.url}/{SECRET}").start()
    said = capsys.readouterr().err
    assert "the ping to 127.0.0.1 failed: no connection" in said
    assert SECRET not in said


@pytest.mark.parametrize("fault", [held(), DRIP, ENDLESS, TRUNCATED])
def test_a_server_that_hangs_delays_the_run_for_so_long_only(
    fault: Reaction, tracker: Tracker, capsys: pytest.CaptureFixture[str]
) -> None:
    tracker.behave = lambda _hit, _number: fault
    ping(f"{tracker.url}/{SECRET}", timeout=0.2).start()
    said = capsys.readouterr().err
    assert SECRET not in said
    if fault in (DRIP, held()):
        assert "no answer in time" in said


def test_an_untrusted_certificate_is_not_retried(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A server without TLS stands for it: both faults occur while connecting."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        answering = threading.Thread(target=_answer_plainly, args=(server,))
        answering.start()
        waited: list[float] = []
        ping(f"https://{host}:{port}/{SECRET}", waited).start()
        answering.join()
    said = capsys.readouterr().err
    assert "the ping to 127.0.0.1 failed: it does not speak TLS, or its certificate is not trusted" in said
    assert SECRET not in said
    assert waited == []


def _answer_plainly(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(1024)
        connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")


def test_no_credentials_of_netrc_are_sent(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    ping(tracker.url).start()
    assert "authorization" not in tracker.hits[0].headers


def test_proxies_of_the_environment_apply(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", tracker.url)
    ping("http://monitor.invalid/check").start()
    (hit,) = tracker.hits
    assert (hit.path, hit.headers["host"]) == ("http://monitor.invalid/check/start", "monitor.invalid")


def test_the_url_is_in_no_log(tracker: Tracker) -> None:
    """Nor do the libraries: a warning on standard error would end up in cron's mail."""
    program = (
        "import sys; from km_cli.cli.monitoring.ping import Ping\n"
        "Ping(sys.argv[1], 'run', sleep=lambda _: None).end(1, '')"
    )
    tracker.behave = lambda _hit, _number: Reaction(503, (("no header", "\x00"), ("\x01", "x")))
    told = subprocess.run(
        [sys.executable, "-c", program, f"{tracker.url}/{SECRET}"], capture_output=True, text=True, check=True
    )
    assert "failed" in told.stderr
    assert SECRET not in told.stdout + told.stderr


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=examples(30),
    deadline=None,
)
@given(st.text(st.characters(categories=None)).map(lambda text: text * 3000))
def test_the_text_is_sent_as_utf_8_and_cut_between_characters(tracker: Tracker, said: str) -> None:
    tracker.forget()
    ping(tracker.url).end(1, said)
    body = tracker.hits[0].body
    assert len(body) <= 10_000
    assert said.encode(errors="backslashreplace").decode().startswith(body.decode())
    assert len(body) > 9_990 or body.decode() == said.encode(errors="backslashreplace").decode()


@pytest.mark.parametrize(
    "url",
    [
        "https://hc-ping.com/UUID",
        "http://monitor.lan:8000/ping/UUID",
        "HTTPS://hc-ping.com/a/b?create=1",
        "https://[::1]:8443/x@y",
    ],
)
def test_urls_that_can_be_pinged(url: str) -> None:
    check_ping(url)


@pytest.mark.parametrize(
    "url",
    [
        "hc-ping.com/secret",
        "ftp://hc-ping.com/secret",
        "https://",
        "https:///secret",
        "https://me:secret@hc-ping.com/",
        "https://secret@hc-ping.com/",
        "https://hc-ping.com/secret\n",
        "https://hc-ping.com/secret\x00",
        "https://hc-ping.com/secret space",
        "https://hc-ping.com\\secret",
        "https://hc-ping.com:99999/secret",
        "https://hc-ping.com:secret/",
        "https://[secret/",
        "https://hc-ping.com/#secret",
        "https://gr\u00fc\u00dfe.example/secret",
        "/secret",
    ],
)
def test_urls_that_are_refused_are_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match="--ping") as caught:
        check_ping(url)
    assert caught.value.hint
    assert "secret" not in str(caught.value) + caught.value.hint


@given(st.text(st.characters(categories=None)) | st.text().map("https://host/".__add__))
def test_any_url_is_taken_or_refused(url: str) -> None:
    """Nothing else is raised; a URL that is accepted is ASCII."""
    with contextlib.suppress(UsageError):
        check_ping(url)
        assert url.isascii()
