"""The server of `km-cli serve` over real sockets: it takes calls as Kissmetrics does, and is well guarded."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from queue import Queue
from urllib.parse import urlencode

import pytest

from km_cli.errors import UsageError
from km_cli.serve.running import RunningServer
from km_cli.serve.settings import ServeSettings
from tests.support.command import KEY
from tests.support.patience import PATIENCE
from tests.support.serving import Client, serving
from tests.support.tracker import GIF

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with serving(tmp_path / "s.db") as found:
        yield found


@pytest.mark.parametrize("kind", ["e", "s", "a"])
def test_the_three_calls_are_answered_with_the_image(client: Client, kind: str) -> None:
    answer = client.send(kind, _n="ada2" if kind == "a" else "Paid", plan="pro")
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "image/gif", GIF)
    (call,) = client.api("/api/calls")["calls"]
    assert call["kind"] == {"e": "event", "s": "set", "a": "alias"}[kind]
    assert call["person"] == "ada"


@pytest.mark.parametrize(
    "query", ["", "_p=ada", "_k=K&_p=&_n=In", "_k=K&_p=ada&_n=In&_t=soon&_d=1", "%ff%fe=%00", "&&&=&="]
)
def test_a_wrong_call_gets_the_image_too(client: Client, query: str) -> None:
    """W3: the answer says nothing about the call."""
    answer = client.get(f"/e?{query}")
    assert (answer.status, answer.body) == (200, GIF)
    assert client.api("/api/summary")["received"] == 1


def test_a_form_is_read_like_a_query(client: Client) -> None:
    body = urlencode({"_k": "K", "_p": "ada@é.example", "_n": "A+B, c", "plan": "a&b=c"}).encode()
    assert client.ask("POST", "/e", body, FORM).status == 200
    (call,) = client.api("/api/calls")["calls"]
    assert (call["person"], call["name"], call["properties"]) == (
        "ada@é.example",
        "A+B, c",
        {"plan": "a&b=c"},
    )


def test_a_body_in_pieces_is_one_call(client: Client) -> None:
    with client.raw() as raw:
        raw.sendall(b"POST /e HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in (b"_k=K&_p=a", b"da&_n=I", b"n"):
            raw.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        raw.sendall(b"0\r\n\r\n")
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert answer.endswith(GIF)
    assert [one["name"] for one in client.api("/api/calls")["calls"]] == ["In"]


def test_half_a_body_is_no_call(tmp_path: Path) -> None:
    """A client that ends in the middle of a form sent no call; one that does not wait for the answer did."""
    told: Queue[str] = Queue()
    with RunningServer(ServeSettings(store=tmp_path / "s.db", port=0), told.put) as server:
        client = Client(server.url)
        with client.raw() as raw:
            raw.sendall(
                b"POST /e HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n_k=K&_p=ada&_n=Paid&amount=12"
            )
        assert told.get(timeout=PATIENCE).startswith("POST /e no answer")
        with client.raw() as raw:
            raw.sendall(b"GET /e?_k=K&_p=ada&_n=Left HTTP/1.1\r\nHost: x\r\n\r\n")
        assert told.get(timeout=PATIENCE).startswith("GET /e ")
        assert [one["name"] for one in client.api("/api/calls")["calls"]] == ["Left"]


def test_a_line_for_people_is_one_line(tmp_path: Path) -> None:
    """A path with a line break in it would add a line that looks like another request."""
    told: Queue[str] = Queue()
    with RunningServer(ServeSettings(store=tmp_path / "s.db", port=0), told.put) as server:
        Client(server.url).get("/%1b[31m%0aGET%20/e%20200")
    assert told.get(timeout=PATIENCE).startswith("GET /%1b[31m%0aGET%20/e%20200 404 ")


def test_a_body_over_the_limit_is_refused_and_not_kept(client: Client) -> None:
    body = b"_k=K&_p=ada&_n=In&note=" + b"x" * (1 << 20)
    answer = client.ask("POST", "/e", body, FORM)
    assert answer.status == 413
    assert b"1 MiB" in answer.body
    assert client.api("/api/summary")["received"] == 0


def test_other_methods_and_addresses_say_so(client: Client) -> None:
    assert client.ask("PATCH", "/e").status == 405
    assert client.get("/nowhere").status == 404
    assert client.get("/nowhere").json["hint"]
    assert client.ask("HEAD", "/e?_k=K&_p=ada&_n=In").body == b""


def test_several_calls_on_one_connection(client: Client) -> None:
    with client.raw() as raw:
        for number in range(5):
            raw.sendall(f"GET /e?_k=K&_p=p{number}&_n=In HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        raw.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert answer.count(GIF) == 5
    assert answer.endswith(b"ready\n")
    assert [one["person"] for one in client.api("/api/calls")["calls"]] == [f"p{n}" for n in range(5)]


def test_no_key_is_stored(tmp_path: Path) -> None:
    """Neither a named nor an unknown key, in a query or a form, is in any file of the store."""
    unknown = "fedcba9876543210fedcba9876543210fedcba98"
    with serving(tmp_path / "s.db", keys={"main": KEY}) as client:
        client.send(_k=KEY)
        client.send(_k=unknown, _p="bob")
        client.get(f"/e?%5Fk={unknown}&_p=cy&_n=In")
        client.get(f"/e?_k={unknown}&_n=In")
        client.get(f"/e?_k={KEY}&_k={unknown}&_p=di&_n=In")
        client.ask("POST", "/s", f"_k={unknown}&_p=ed&plan=pro".encode(), FORM)
        calls = client.api("/api/calls")["calls"]
        held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        text = json.dumps([calls, client.api("/api/summary")])
    assert KEY.encode() not in held + text.encode()
    assert unknown.encode() not in held + text.encode()
    assert [call["site"] for call in calls if call["person"]] == ["main", *["site-1"] * 4]


def test_a_site_keeps_its_name_when_the_server_starts_again(tmp_path: Path) -> None:
    for person in ("ada", "bob"):
        with serving(tmp_path / "s.db", keys={"main": KEY}) as client:
            client.send(_k=KEY, _p=person)
            client.send(_k="other", _p=person)
            sites = {call["site"] for call in client.api("/api/calls")["calls"]}
            assert sites == {"main", "site-1"}


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::2]"])
def test_a_foreign_host_is_refused(client: Client, host: str) -> None:
    for path in ("/", "/api/calls", "/api/stream", "/v3/products", "/export/index.csv"):
        answer = client.get(path, Host=host)
        assert answer.status == 421
        assert answer.json["hint"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.2:8808", "[::1]:9"])
def test_a_loopback_host_is_let_in(client: Client, host: str) -> None:
    assert client.get("/api/summary", Host=host).status == 200


def test_calls_and_readiness_answer_to_any_host(client: Client) -> None:
    """In a network of containers they are called by the name of a service."""
    assert client.get("/e?_k=K&_p=ada&_n=In", Host="kissmetrics").body == GIF
    assert client.get("/readyz", Host="kissmetrics").body == b"ready\n"


def test_a_page_of_another_origin_changes_nothing(client: Client) -> None:
    client.send()
    for origin in ("http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1"):
        assert client.change("DELETE", "/api/calls", {}, Origin=origin).status == 403
        assert client.change("PUT", "/api/faults", {"failures": 1}, Origin=origin).status == 403
    assert client.change("DELETE", "/api/calls", {}, Origin=client.url).status == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_change_without_json_is_refused(client: Client, kind: str) -> None:
    """A foreign page can send other types without asking first."""
    client.send()
    headers = {"Content-Type": kind} if kind else {}
    assert client.ask("DELETE", "/api/calls", b"{}", headers).status == 415
    assert client.api("/api/summary")["received"] == 1


def test_every_answer_of_the_page_and_the_api_has_the_headers(client: Client) -> None:
    for path in ("/api/summary", "/nowhere", "/api/calls?oops=1"):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    assert client.api("/api/summary")
    assert client.get("/api/summary").headers["cache-control"] == "no-store"


def test_a_store_that_cannot_be_written_is_not_acknowledged(tmp_path: Path) -> None:
    """The answer is 503, not the image: a sender must not take such a call for kept."""
    path = tmp_path / "s.db"
    with serving(path) as client, closing(sqlite3.connect(path)) as database:
        client.send()
        database.execute("DROP TABLE kept_counts")
        database.commit()
        answer = client.send(_p="bob")
        assert answer.status == 503
        assert b"not kept" in answer.body


def test_the_port_in_use_is_an_error_with_a_hint(tmp_path: Path, client: Client) -> None:
    port = client.address[1]
    with pytest.raises(UsageError, match=f"--port {port}: another program listens") as error:
        RunningServer(ServeSettings(store=tmp_path / "t.db", port=port))
    assert "--port 0" in error.value.hint


def test_an_address_of_another_machine_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--host 192\.0\.2\.1"):
        RunningServer(ServeSettings(store=tmp_path / "t.db", host="192.0.2.1", port=0))
