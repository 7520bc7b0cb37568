"""Faults on demand: each spoils answers as it says, a seed the same ones, and they change at any time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from km_cli.errors import UsageError
from km_cli.serve.faults import Drawing, Fault, Faults, make_faults
from tests.support.serving import Client, serving
from tests.support.tracker import GIF


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with serving(tmp_path / "s.db") as found:
        yield found


def put(client: Client, **faults: Any) -> None:
    assert client.change("PUT", "/api/faults", faults).status == 200


def received(client: Client) -> int:
    return int(client.api("/api/summary")["received"])


@pytest.mark.parametrize(
    ("name", "status"), [("failures", 503), ("throttled", 429), ("html", 200), ("redirects", 302)]
)
def test_a_fault_that_answers_does_not_keep_the_call(client: Client, name: str, status: int) -> None:
    put(client, **{name: 1}, retry_after="7")
    answer = client.send()
    assert answer.status == status
    assert answer.body != GIF
    assert answer.headers.get("retry-after") == ("7" if name == "throttled" else None)
    assert ("location" in answer.headers) == (name == "redirects")
    assert answer.headers["content-type"].startswith("text/html" if name == "html" else "text/plain")
    assert received(client) == 0


@pytest.mark.parametrize(("name", "kept"), [("resets", 0), ("lost", 1)])
def test_a_connection_is_cut_before_or_after_the_call_is_kept(client: Client, name: str, kept: int) -> None:
    put(client, **{name: 1})
    with pytest.raises(ConnectionError):
        client.send()
    assert received(client) == kept


def test_faults_spoil_calls_only(client: Client) -> None:
    put(client, failures=1)
    assert client.get("/readyz").status == 200
    assert client.api("/api/faults")["failures"] == 1


def test_faults_can_be_taken_off(client: Client) -> None:
    put(client, failures=1)
    put(client)
    assert client.send().body == GIF
    assert client.api("/api/faults") == Faults()._asdict()


def test_faults_from_the_start(tmp_path: Path) -> None:
    with serving(tmp_path / "s.db", faults=Faults(throttled=1)) as client:
        assert client.send().status == 429


def test_the_same_seed_spoils_the_same_calls(client: Client) -> None:
    found = []
    for _ in range(2):
        put(client, seed=11, failures=0.3, html=0.2)
        found.append([(one.status, len(one.body)) for one in (client.send() for _ in range(20))])
    assert found[0] == found[1]
    assert len(set(found[0])) == 3


@pytest.mark.parametrize("given", [" 7 ", 7, "7"])
def test_a_header_has_no_blanks_around_its_value(client: Client, given: object) -> None:
    client.change("PUT", "/api/faults", {"throttled": 1, "retry_after": given})
    answer = client.send()
    assert (answer.status, answer.headers["retry-after"]) == (429, "7")


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ({"failure": 1}, "there is no fault 'failure'"),
        ({"failures": -1}, "failures is not a number from 0 to 1"),
        ({"failures": True}, "failures is not a number"),
        ({"failures": float("nan")}, "failures is not a number"),
        ({"latency": 1e9}, "latency is not a number from 0 to 3,600 (seconds)"),
        ({"seed": "x"}, "seed is not a whole number"),
        ({"retry_after": "1\r\nX: y"}, "retry_after is not the value of a header"),
        ({"retry_after": None}, "retry_after is not the value of a header"),
        ({"retry_after": [1]}, "retry_after is not the value of a header"),
        ({"failures": 0.6, "lost": 0.6}, "the shares add up to 1.2"),
    ],
)
def test_wrong_faults_are_refused_and_change_nothing(client: Client, faults: Any, said: str) -> None:
    answer = client.change("PUT", "/api/faults", faults)
    assert answer.status == 400
    assert said in answer.json["error"]
    assert answer.json["hint"]
    assert client.api("/api/faults") == Faults()._asdict()


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 50_000, b"\xff"])
def test_a_body_that_is_no_object_is_refused(client: Client, body: bytes) -> None:
    answer = client.ask("PUT", "/api/faults", body, {"Content-Type": "application/json"})
    assert answer.status == 400
    assert "not a JSON object" in answer.json["error"]


_SHARES = ("failures", "resets", "lost", "throttled", "html", "redirects")


@given(st.integers(0, 2**31), st.lists(st.integers(0, 10), min_size=6, max_size=6))
def test_faults_come_in_their_shares(seed: int, tenths: list[int]) -> None:
    """Each fault that has a share may come, no other, and a share of all leaves no good answer."""
    whole = sum(tenths) or 1
    shares = {name: part / whole for name, part in zip(_SHARES, tenths, strict=True)}
    try:
        drawing = Drawing(make_faults({"seed": seed, **shares}))
    except UsageError:
        assert sum(shares.values()) > 1  # by a rounding error
        return
    drawn = Counter(drawing.next() for _ in range(300))
    for fault in Fault:
        if fault is not Fault.NONE and not shares[fault.value]:
            assert not drawn[fault]
    if any(tenths):
        assert drawn[Fault.NONE] <= 1  # by a rounding error
    else:
        assert drawn[Fault.NONE] == 300


def test_a_cut_connection_is_no_error_of_the_server(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """uvicorn would log that an answer is missing, into the output of tests that use the fixture."""
    put(client, lost=0.5, resets=0.5)
    for _ in range(20):
        with pytest.raises(ConnectionError):
            client.send()
    assert received(client)
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []
