"""Answers that are unusual, byte by byte: interim ones, waits of any size, keys that come back."""

from __future__ import annotations

import math
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from km_cli.destinations.answers import retry_after
from km_cli.destinations.http import TrackerDestination
from km_cli.destinations.masking import HIDDEN, Mask
from km_cli.model import Answer, AnswerKind
from tests.support.delivering import KEY, connected, planned_call, record
from tests.support.patience import PATIENCE
from tests.support.tracker import GIF

HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nContent-Length: 7\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
IMAGE = b"HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nContent-Length: %d\r\n\r\n%s" % (len(GIF), GIF)
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def saying(*answers: bytes) -> Iterator[tuple[str, list[int]]]:
    """A server that gives each request the next of these answers; its URL, and how many connections it had.

    A connection stays open as long as the client keeps it.
    """
    left, connections = list(answers), [0]

    def serve(listener: socket.socket) -> None:
        while left:
            peer, _ = listener.accept()
            connections[0] += 1
            with peer, suppress(ConnectionError):  # A client whose time is up may close before it has read.
                while left and peer.recv(65_536):
                    peer.sendall(left.pop(0))
                peer.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,), daemon=True)
        server.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", connections
        server.join(PATIENCE)


def answers_to(url: str, count: int, key: str = KEY, timeout: float = 30.0) -> list[Answer]:
    """Send so many calls over one connection."""
    destination = TrackerDestination(url, {"main": key, "other": "another-key"}, timeout=timeout)
    with closing(connected(destination)) as connection:
        return [
            connection.send([planned_call(destination, number, record(number))]) for number in range(count)
        ]


# Interim answers


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize(
    "interim", [HINTS, PROCESSING, CONTINUE, HINTS + HINTS, CONTINUE + HINTS + PROCESSING]
)
def test_interim_answers_are_passed_over(interim: bytes) -> None:
    """Each call has its own answer: the one that follows the interim ones, never the one before."""
    with saying(interim + IMAGE, interim + BUSY, IMAGE, interim + IMAGE) as (url, connections):
        found = [answer.kind for answer in answers_to(url, 4)]
    assert found == [
        AnswerKind.ACKNOWLEDGED,
        AnswerKind.RETRY,
        AnswerKind.ACKNOWLEDGED,
        AnswerKind.ACKNOWLEDGED,
    ]
    assert connections == [1], "the connection is kept"


@pytest.mark.usefixtures("transport")
def test_an_interim_answer_alone_acknowledges_nothing() -> None:
    with saying(HINTS) as (url, _):
        (answer,) = answers_to(url, 1, timeout=0.3)
    assert answer.kind is AnswerKind.RETRY


@pytest.mark.usefixtures("transport")
def test_interim_answers_without_an_end_do_not_hold_a_worker() -> None:
    with saying(HINTS * 1000) as (url, _):
        (answer,) = answers_to(url, 1, timeout=0.5)
    assert answer.kind is AnswerKind.RETRY


@pytest.mark.usefixtures("transport")
def test_another_protocol_is_refused() -> None:
    with saying(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n") as (url, _):
        (answer,) = answers_to(url, 1)
    assert answer.kind is AnswerKind.REFUSED
    assert "101" in answer.reason


# Retry-After of any size

NOW = 1_800_000_000.0
YEAR = 366 * 24 * 3600.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("1" + "0" * 400, YEAR),
        ("9" * 60_000, YEAR),
        ("0" * 60_000, 0.0),
        (format_datetime(datetime.fromtimestamp(NOW + 90, UTC), usegmt=True), 90.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", YEAR),
        ("Fri, 31 Dec 9999 23:59:59 -2359", YEAR),
        ("Fri, 31 Dec 9999 23:59:59 -0000", YEAR),
        ("Mon, 01 Jan 0001 00:00:00 GMT", 0.0),
        ("Fri, 31 Dec 99999 23:59:59 GMT", 0.0),
        ("-5", 0.0),
        ("-" + "9" * 400, 0.0),
        ("nan", 0.0),
        ("inf", 0.0),
        ("1e400", 0.0),
        ("\u0661\u0662", 0.0),
        ("", 0.0),
    ],
)
def test_retry_after_is_cut_to_something_sane(text: str, seconds: float) -> None:
    assert retry_after(text, NOW) == seconds


_PIECES = st.sampled_from(
    ["Fri, ", "31 ", "Dec ", "9999 ", "23:59:59 ", "GMT", "+9999", "-", ":", "9" * 30, "(", ")"]
)


@given(st.one_of(st.text(max_size=60), st.lists(_PIECES, max_size=12).map("".join)))
def test_no_retry_after_crashes(text: str) -> None:
    assert 0.0 <= retry_after(text, NOW) <= YEAR


@pytest.mark.parametrize("asked", ["1" + "0" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_wait_of_any_size_is_a_finite_number(asked: str) -> None:
    head = f"HTTP/1.1 429 Too Many Requests\r\nRetry-After: {asked}\r\nContent-Length: 0\r\n\r\n"
    with saying(head.encode()) as (url, _):
        (answer,) = answers_to(url, 1)
    assert answer.retry_after == YEAR


# Keys that come back


def encoded(text: str, form: str = "%{:02x}") -> str:
    """Every letter percent-encoded."""
    return "".join(form.format(ord(letter)) for letter in text)


_KEY = "aB3-_.xYz0123456789"
_FORMS = [
    _KEY,
    _KEY.upper(),
    _KEY.lower(),
    encoded(_KEY),
    encoded(_KEY, "%{:02X}"),
    encoded(_KEY, "%25{:02x}"),
    encoded(_KEY, "%2525{:02x}"),
    _KEY.replace("-", "%2D").replace("_", "%5f"),
    _KEY[:5] + encoded(_KEY[5:]),
]


@pytest.mark.parametrize("form", _FORMS)
def test_a_key_is_masked_in_every_form(form: str) -> None:
    mask = Mask(["another-key", _KEY])
    assert mask(f"no {form}, no!{form}{form}") == f"no {HIDDEN}, no!{HIDDEN}{HIDDEN}"
    assert mask("another-key") == HIDDEN


def test_of_two_keys_the_longer_is_masked_as_a_whole() -> None:
    assert Mask(["key", "key-of-accounts"])("key-of-accounts, key") == f"{HIDDEN}, {HIDDEN}"


def test_without_keys_nothing_is_masked() -> None:
    assert Mask([])("HTTP 503") == Mask([""])("HTTP 503") == "HTTP 503"


@given(st.from_regex(r"[A-Za-z0-9_.-]{6,40}", fullmatch=True), st.text(), st.text())
def test_no_key_is_left_in_any_text(key: str, before: str, after: str) -> None:
    assert key.lower() not in Mask([key])(before + key + after).lower()


def test_words_are_cut_behind_the_mask() -> None:
    """Cut before it, half a key would pass."""
    said = Mask([_KEY])("x" * 195 + _KEY)
    assert said == "x" * 195 + HIDDEN[:4] + "…"


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize("form", _FORMS)
@pytest.mark.parametrize("status", [400, 403, 503, 204, 302, 101])
def test_a_key_in_a_reason_phrase_is_masked(status: int, form: str) -> None:
    head = f"HTTP/1.1 {status} Bad key {form} or another-key\r\nContent-Length: 0\r\n\r\n"
    with saying(head.encode()) as (url, _):
        (answer,) = answers_to(url, 1, _KEY)
    assert f"HTTP {status} Bad key {HIDDEN} or {HIDDEN}" in answer.reason


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize("form", _FORMS)
def test_a_key_in_a_content_type_is_masked(form: str) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {form}/html\r\nContent-Length: 0\r\n\r\n"
    with saying(head.encode()) as (url, _):
        (answer,) = answers_to(url, 1, _KEY)
    assert answer.reason == f"HTTP 200 OK with {HIDDEN}/html instead of an image (W3)"


@pytest.mark.usefixtures("transport")
def test_an_answer_without_a_phrase_has_the_usual_one() -> None:
    with saying(b"HTTP/1.1 503 \r\nContent-Length: 0\r\n\r\n") as (url, _):
        assert answers_to(url, 1)[0].reason == "HTTP 503 Service Unavailable"


@pytest.mark.usefixtures("transport")
def test_a_reason_phrase_of_sixty_thousand_letters_is_cut() -> None:
    with saying(b"HTTP/1.1 503 " + b"x" * 60_000 + b"\r\nContent-Length: 0\r\n\r\n") as (url, _):
        (answer,) = answers_to(url, 1)
    assert len(answer.reason) <= 200
    assert re.fullmatch("HTTP 503 x+…", answer.reason)
    assert math.isfinite(answer.retry_after)
