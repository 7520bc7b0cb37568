"""A small server that answers each request with an image after a while: `python -m tests.benchmarks.late MS`.

It prints its URL and ends with its input. It takes far more calls a second than a client in Python can send,
because all answers wait equally long: one timer for all is enough.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque

from tests.support.tracker import GIF

_HEAD = f"HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nContent-Length: {len(GIF)}\r\n\r\n"
ANSWER = _HEAD.encode() + GIF


class Late:
    """Answers that wait, the one that is due first in front."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: deque[tuple[float, asyncio.Transport, int]] = deque()
        self._loop = asyncio.get_running_loop()

    def put(self, transport: asyncio.Transport, answers: int) -> None:
        """Answer after the time."""
        if not self._seconds:
            transport.write(ANSWER * answers)
            return
        if not self._waiting:
            self._loop.call_later(self._seconds, self._answer)
        self._waiting.append((self._loop.time() + self._seconds, transport, answers))

    def _answer(self) -> None:
        now = self._loop.time() + 0.0002
        while self._waiting and self._waiting[0][0] <= now:
            _, transport, answers = self._waiting.popleft()
            transport.write(ANSWER * answers)
        if self._waiting:
            self._loop.call_at(self._waiting[0][0], self._answer)


class Connection(asyncio.Protocol):
    """Counts the requests that come in; none of them has a body."""

    def __init__(self, late: Late) -> None:
        self._late = late
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        *whole, self._rest = (self._rest + data).split(b"\r\n\r\n")
        if whole:
            self._late.put(self._transport, len(whole))


async def serve(seconds: float) -> None:
    """Serve until the input ends."""
    loop = asyncio.get_running_loop()
    late = Late(seconds)
    server = await loop.create_server(lambda: Connection(late), "127.0.0.1", 0, backlog=2048)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]) / 1000))
