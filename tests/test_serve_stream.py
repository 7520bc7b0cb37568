"""The event stream, and waiting for calls: all arrive in order, and slow readers are dropped."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from km_cli.serve.stream import MOST_CALLS
from km_cli.standin import Store
from tests.support.serving import SECOND, Client, serving


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with serving(tmp_path / "s.db") as found:
        yield found


class Reader:
    """Reads messages of the stream as they come."""

    def __init__(self, client: Client) -> None:
        self._raw = client.raw()
        self._raw.sendall(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self._lines = self._raw.makefile("rb")
        while self._lines.readline() != b"\r\n":
            pass

    def message(self) -> dict[str, Any]:
        """The next message; comments and the framing of HTTP are left out."""
        while line := self._lines.readline():
            if line.startswith(b"data: "):
                return json.loads(line.removeprefix(b"data: "))
        raise EOFError

    def until(self, received: int) -> list[dict[str, Any]]:
        """The messages up to that number of calls."""
        found = [self.message()]
        while found[-1]["summary"]["received"] < received:
            found.append(self.message())
        return found

    def close(self) -> None:
        self._lines.close()
        self._raw.close()


def test_the_first_message_says_where_things_stand(client: Client) -> None:
    client.send()
    with closing(Reader(client)) as reader:
        message = reader.message()
    assert (message["calls"], message["missed"]) == ([], 0)
    assert message["summary"] == client.api("/api/summary")


def test_calls_arrive_as_the_api_tells_them(client: Client) -> None:
    with closing(Reader(client)) as reader:
        reader.message()
        for number in range(30):
            client.send(_p=f"p{number % 7}", plan="pro")
        calls = [call for message in reader.until(30) for call in message["calls"]]
    assert calls == client.api("/api/calls")["calls"]


def test_more_calls_than_fit_are_counted_as_missed(client: Client, tmp_path: Path) -> None:
    """Here one transaction of another process brings them: an import with --to local does."""
    with closing(Reader(client)) as reader, closing(Store(tmp_path / "s.db")) as store:
        reader.message()
        store.receive(
            (f"/e?_k=main&_p=p{number}&_n=In&_t={SECOND}&_d=1", b"") for number in range(MOST_CALLS + 50)
        )
        (message,) = reader.until(MOST_CALLS + 50)
    assert message["missed"] == 50
    assert [call["person"] for call in message["calls"]] == [f"p{n}" for n in range(50, MOST_CALLS + 50)]


def test_a_deletion_is_told(client: Client) -> None:
    client.send()
    with closing(Reader(client)) as reader:
        reader.message()
        assert client.change("DELETE", "/api/calls", {}).status == 200
        assert reader.message()["summary"]["received"] == 0


@pytest.mark.slow
def test_a_reader_who_does_not_read_is_dropped(client: Client) -> None:
    """Others go on. The calls are large, so that the buffers of the system are full soon."""
    with closing(Reader(client)) as reader, client.raw() as idle:
        reader.message()
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        idle.sendall(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        sending = threading.Event()

        def send() -> None:
            while not sending.is_set():
                client.send(note="x" * 8000)

        sender = threading.Thread(target=send)
        sender.start()
        try:
            while not _is_dropped(idle):
                reader.message()
        finally:
            sending.set()
            sender.join()
        received = client.api("/api/summary")["received"]
        client.send(_p="last")
        assert reader.until(received + 1)[-1]["calls"][-1]["person"] == "last"


def _is_dropped(idle: socket.socket) -> bool:
    """Whether the connection was reset; nothing is read from it."""
    return bool(idle.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)) or _state(idle) == 7


def _state(idle: socket.socket) -> int:
    """The state of TCP: 7 is closed."""
    return idle.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] if hasattr(socket, "TCP_INFO") else 0


def test_waiting_ends_when_a_call_matches(client: Client) -> None:
    answers: list[Any] = []
    waiting = threading.Thread(
        target=lambda: answers.append(client.api("/api/calls?person=bob&event=Paid&wait=60s"))
    )
    waiting.start()
    while not answers:
        client.send(_p="ada", _n="Paid")
        client.send(_p="bob", _n="In")
        if len(client.api("/api/calls?person=ada")["calls"]) == 3:
            client.send(_p="bob", _n="Paid")
        waiting.join(0.01)
    waiting.join()
    (call,) = answers[0]["calls"][:1]
    assert (call["person"], call["name"]) == ("bob", "Paid")


def test_waiting_sees_calls_of_another_process(client: Client, tmp_path: Path) -> None:
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(client.api("/api/calls?person=bob&wait=60s")))
    waiting.start()
    with closing(Store(tmp_path / "s.db")) as store:
        store.receive([(f"/e?_k=main&_p=bob&_n=In&_t={SECOND}&_d=1", b"")])
    waiting.join()
    assert [call["person"] for call in answers[0]["calls"]] == ["bob"]


def test_waiting_ends_without_a_call_after_its_time(client: Client) -> None:
    assert client.api("/api/calls?person=nobody&wait=10ms") == {"calls": [], "last": 0}


def test_many_clients_at_once_lose_nothing(client: Client) -> None:
    def send(first: int) -> None:
        for number in range(first, first + 25):
            assert client.send(_p=f"p{number}").status == 200

    threads = [threading.Thread(target=send, args=(first,)) for first in range(0, 200, 25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    calls = client.api("/api/calls?limit=1000")["calls"]
    assert sorted(call["person"] for call in calls) == sorted(f"p{number}" for number in range(200))
    assert [call["id"] for call in calls] == list(range(1, 201))


def test_a_reader_who_leaves_is_forgotten() -> None:
    """The stream stops looking for calls when the last reader has gone."""
    from km_cli.serve.connections import Connections
    from km_cli.serve.news import News
    from km_cli.serve.stream import Stream, Update

    looks = 0

    async def look(_last: int | None) -> Update | None:
        nonlocal looks
        looks += 1
        return Update([], 0, {}, looks)

    async def visit() -> int:
        stream = Stream(look, News(), Connections())
        sent = asyncio.Queue[Any]()
        leave = asyncio.Event()

        async def receive() -> Any:
            await leave.wait()
            return {"type": "http.disconnect"}

        visiting = asyncio.create_task(stream({"client": ("127.0.0.1", 1)}, receive, sent.put))
        for _ in range(3):
            await sent.get()
        leave.set()
        await visiting
        while stream.is_looking:
            await asyncio.sleep(0)
        return stream.readers

    assert asyncio.run(visit()) == 0
