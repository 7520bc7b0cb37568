"""The event stream: calls as they arrive, in server-sent events.

One task looks for new calls and makes one message of them for all readers, at most four times a second. A
reader who does not read is dropped: it does not hold up the others, and nothing piles up for it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from starlette.types import Receive, Scope, Send

from km_cli.serve.connections import Connections
from km_cli.serve.news import LOOK_EACH, News

MOST_CALLS: Final = 200
"""Calls in one message; of more, the last ones are sent, and the message says how many are missing."""

_MOST_WAITING: Final = 8
"""Messages that wait for a reader before it is dropped: two seconds of a busy server."""

_HEARTBEAT: Final = 15
"""Seconds without calls after which a comment shows that the connection stands."""

_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class Update(NamedTuple):
    """The calls after one id: the last ones of them as objects, how many are missing, and the last id."""

    calls: list[dict[str, Any]]
    missed: int
    summary: dict[str, Any]
    last: int

    def message(self) -> bytes:
        """Return the message of the stream."""
        data = {"calls": self.calls, "missed": self.missed, "summary": self.summary}
        return f"event: calls\nid: {self.last}\ndata: {json.dumps(data)}\n\n".encode()


Look = Callable[[int | None], Awaitable[Update | None]]
"""Returns the update after an id; None if there is nothing new. After None, an update without calls."""


class _Reader:
    """One open stream, with the messages that wait for it, each with its last id; None is the end."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue()

    def begin(self, first: Update) -> None:
        """Put the first message in front, and drop those that it makes needless."""
        waiting = [self.queue.get_nowait() for _ in range(self.queue.qsize())]
        self.queue.put_nowait((first.last, first.message()))
        for one in waiting:
            if one is None or one[0] > first.last:
                self.queue.put_nowait(one)


class Stream:
    """An ASGI application for `/api/stream`."""

    def __init__(self, look: Look, news: News, connections: Connections) -> None:
        self._look = look
        self._news = news
        self._connections = connections
        self._readers: dict[_Reader, Scope] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def readers(self) -> int:
        """How many streams are open."""
        return len(self._readers)

    @property
    def is_looking(self) -> bool:
        """Whether it looks for calls: as long as there are readers, and a moment longer."""
        return self._task is not None and not self._task.done()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the reader leaves, is dropped, or the server ends."""
        reader = _Reader()
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        self._readers[reader] = scope  # Before it looks: calls that arrive meanwhile are passed on to it.
        leaving = asyncio.create_task(_left(receive, reader))
        try:
            first = await self._look(None)
            if first is not None:
                reader.begin(first)
            self._begin(first.last if first is not None else 0)
            while (message := await _next(reader)) is not None:
                await send({"type": "http.response.body", "body": message, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            leaving.cancel()
            self._readers.pop(reader, None)

    def end(self) -> None:
        """End all streams: the server ends."""
        for reader in self._readers:
            reader.queue.put_nowait(None)

    def _begin(self, last: int) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(last))

    async def _run(self, last: int) -> None:
        """Look for calls as long as there are readers."""
        deletions = self._news.deletions
        while self._readers and not self._news.is_over:
            begun = asyncio.get_running_loop().time()
            is_emptied, deletions = deletions != self._news.deletions, self._news.deletions
            update = await self._look(None if is_emptied else last)
            if update is not None:
                last = update.last
                self._pass_on(update)
            await asyncio.sleep(max(0.0, begun + LOOK_EACH - asyncio.get_running_loop().time()))
            if update is None:
                await self._news.wait(LOOK_EACH)

    def _pass_on(self, update: Update) -> None:
        message = update.message()
        for reader, scope in list(self._readers.items()):
            if reader.queue.qsize() < _MOST_WAITING:
                reader.queue.put_nowait((update.last, message))
                continue
            del self._readers[reader]
            reader.queue = asyncio.Queue()
            reader.queue.put_nowait(None)
            self._connections.reset(scope)


async def _next(reader: _Reader) -> bytes | None:
    """Return the next message, a comment if there is none for a while, or None at the end."""
    try:
        found = await asyncio.wait_for(reader.queue.get(), _HEARTBEAT)
        return found[1] if found is not None else None
    except TimeoutError:
        return b": nothing new\n\n"


async def _left(receive: Receive, reader: _Reader) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    reader.queue.put_nowait(None)
