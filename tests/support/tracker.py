"""A real tracker on 127.0.0.1 that records what it is sent and misbehaves on command.

It stands for Kissmetrics' collection host in tests: HTTP/1.1 with keep-alive, a 1x1 GIF for every call (W3),
and every fault that a network or a proxy can add. It shares no code with the product.
"""

import asyncio
import math
import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self, cast
from urllib.parse import parse_qsl

from tests.support.patience import PATIENCE

GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"
    b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
_IMAGE = (("Content-Type", "image/gif"),)
_TEXT = (("Content-Type", "text/plain"),)
_REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 429: "Too Many Requests", 503: "Service Unavailable"}
_ABORT = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 seconds: close() sends RST
_CHUNK = b"10000\r\n" + b"\0" * 0x10000 + b"\r\n"


@dataclass(frozen=True, slots=True)
class Hit:
    """One request as it came in; `at` is `time.monotonic()` when its last byte was read."""

    method: str
    path: str
    query: str
    """The part after `?`, undecoded."""
    body: bytes
    params: dict[str, str]
    """Query and form body, decoded."""
    headers: dict[str, str]
    """Names in lower case."""
    at: float

    @property
    def wire(self) -> tuple[str, str, str, bytes]:
        """What has to be the same, byte for byte, when a call is sent again."""
        return self.method, self.path, self.query, self.body


@dataclass(frozen=True, slots=True)
class Reaction:
    """What the tracker does with one request."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = _IMAGE
    body: bytes = GIF
    delay: float = 0.0
    """Seconds between receiving the request and answering it (or resetting)."""
    until: float = 0
    """Answer only when so many requests have been seen, or `answer_all()` is called."""
    record: bool = True
    """Whether the service kept the call; False: as if it had been lost on the way."""
    reset: Literal["before", "after"] | None = None
    """Answer with RST instead: "before" the call was recorded (whatever `record` says) or after."""
    truncate: bool = False
    """Announce the whole body, send half of it, close."""
    endless: bool = False
    """Answer with a body that has no end; `drip` seconds between its chunks."""
    drip: float = 0.0

    @property
    def keeps(self) -> bool:
        """Whether the call is in `hits` afterwards."""
        return self.record and self.reset != "before"


Behave = Callable[[Hit, int], Reaction]

OK = Reaction()
HTML = Reaction(
    headers=(("Content-Type", "text/html; charset=utf-8"),),
    body=b"<!doctype html><title>Sign in</title><form>Please sign in to use this network</form>",
    record=False,
)
UNAVAILABLE = Reaction(503, _TEXT, b"unavailable", record=False)
RECORDED_UNAVAILABLE = Reaction(503, _TEXT, b"unavailable")
BAD = Reaction(400, _TEXT, b"bad request", record=False)
TRUNCATED = Reaction(truncate=True)
RESET_BEFORE = Reaction(record=False, reset="before")
RESET_AFTER = Reaction(reset="after")
ENDLESS = Reaction(endless=True)
DRIP = Reaction(endless=True, drip=0.05)
EMPTY = Reaction(body=b"")


def refuse(status: int, *, record: bool = False) -> Reaction:
    """An answer with this status and a line of text; `record`: the call was kept all the same."""
    return Reaction(status, _TEXT, b"no", record=record)


def too_many(retry_after: str) -> Reaction:
    """429 with this `Retry-After` (seconds or an HTTP date)."""
    return Reaction(429, (*_TEXT, ("Retry-After", retry_after)), b"slow down", record=False)


def redirect(location: str, status: int = 302) -> Reaction:
    """A redirect to `location`, which no key may follow."""
    return Reaction(status, (*_TEXT, ("Location", location)), b"moved", record=False)


def slow(seconds: float) -> Reaction:
    """Kept at once, answered well, but only after `seconds`."""
    return Reaction(delay=seconds)


def held(until: float = math.inf) -> Reaction:
    """Kept at once, answered well when so many requests have been seen; no test has to guess a time."""
    return Reaction(until=until)


def flaky(seed: int, share: float = 0.2) -> Behave:
    """A bad network: about `share` of the requests meet a fault; which, depends on (seed, number) alone."""
    faults: tuple[Callable[[random.Random], Reaction], ...] = (
        lambda draw: slow(draw.random() * 0.02),
        lambda _: RESET_BEFORE,
        lambda _: RESET_AFTER,
        lambda _: too_many("0"),
        lambda draw: refuse((500, 502, 503)[int(draw.random() * 3)]),
        lambda draw: refuse((500, 502, 503)[int(draw.random() * 3)], record=True),
        lambda _: TRUNCATED,
    )

    def behave(_hit: Hit, number: int) -> Reaction:
        draw = random.Random(f"{seed}:{number}")
        if draw.random() >= share:
            return OK
        if draw.random() < 0.02:
            return HTML
        return faults[int(draw.random() * len(faults))](draw)

    return behave


class Tracker:
    """The server, as a context manager; `behave` may be swapped at any time, None is always the GIF.

    What `behave` raises is raised again when the block ends.
    """

    def __init__(
        self, behave: Behave | None = None, latency: float = 0.0, address: tuple[str, int] = ("127.0.0.1", 0)
    ) -> None:
        """`latency`: seconds added before every answer. Port 0 is any that is free."""
        self.behave = behave
        self.latency = latency
        self.hits: list[Hit] = []
        self.seen: list[Hit] = []
        self.failures: list[Exception] = []
        self.connections = 0
        """How many were accepted so far."""
        self.unanswered: list[int] = []
        """For each request seen, how many had no answer when it came, itself included."""
        self._held_back: list[tuple[float, _Connection, Hit, Reaction]] = []
        self._host, self._port = address
        self._held: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open: set[_Connection] = set()

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        return f"http://{self._host}:{self._port}"

    def calls(self) -> list[dict[str, str]]:
        """The decoded parameters of every recorded request, without the key."""
        return [{name: value for name, value in hit.params.items() if name != "_k"} for hit in self.hits]

    def forget(self) -> None:
        """Begin with no requests, as if new."""
        self.hits.clear()
        self.seen.clear()
        self.unanswered.clear()

    def answer_all(self) -> None:
        """Answer the requests that are held back."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._answer_held, math.inf)

    def start(self) -> None:
        """Listen: on a free port the first time, on the same port from then on."""
        self._release()
        listener = socket.create_server((self._host, self._port), backlog=1024)
        self._port = listener.getsockname()[1]
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(listener, ready)), daemon=True)
        self._thread.start()
        if not ready.wait(PATIENCE):
            raise RuntimeError("the test tracker did not start")

    def stop(self) -> None:
        """Close all connections and refuse new ones, until `start()`."""
        if self._thread is None or self._loop is None:
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._thread = self._loop = None
        self._hold()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._release()
        if self.failures and error is None:
            raise self.failures[0]

    def _hold(self) -> None:
        """Bind the port without listening: connections are refused and nobody else gets it."""
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind((self._host, self._port))

    def _release(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    async def _serve(self, listener: socket.socket, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        server = await self._loop.create_server(lambda: _Connection(self), sock=listener)
        ready.set()
        await self._stopping.wait()
        server.close()
        while self._open:
            for connection in tuple(self._open):
                connection.transport.abort()
            await asyncio.sleep(0)
        await server.wait_closed()

    def _answer_held(self, seen: float) -> None:
        """Answer the requests that waited for so many, in the order in which they came."""
        due = [one for one in self._held_back if one[0] <= seen]
        self._held_back = [one for one in self._held_back if one[0] > seen]
        for _, connection, hit, reaction in due:
            connection._late(hit, reaction)

    def _react(self, hit: Hit) -> Reaction:
        """Note the request and decide; runs in the server's thread alone, so the order is one."""
        number = len(self.seen)
        self.seen.append(hit)
        self.unanswered.append(sum(connection._busy for connection in self._open))
        behave = self.behave
        try:
            reaction = OK if behave is None else behave(hit, number)
        except Exception as error:  # noqa: BLE001  raised again by __exit__
            self.failures.append(error)
            reaction = refuse(500)
        if reaction.keeps:
            self.hits.append(hit)
        return reaction


class _Connection(asyncio.Protocol):
    """One connection: requests are taken off the buffer one after the other, the next after the answer."""

    transport: asyncio.Transport

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._buffer = b""
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._flowing = True
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._tracker.connections += 1
        self._tracker._open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        self._tracker._open.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def pause_writing(self) -> None:
        self._flowing = False

    def resume_writing(self) -> None:
        self._flowing = True

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._advance()

    def _advance(self) -> None:
        """Answer what is whole in the buffer."""
        while not self._busy and not self.transport.is_closing() and (hit := self._take()):
            self._busy = True
            reaction = self._tracker._react(hit)
            wait = self._tracker.latency + reaction.delay
            seen = len(self._tracker.seen)
            if reaction.until > seen:
                self._tracker._held_back.append((reaction.until, self, hit, reaction))
            elif wait:
                self._timer = self._loop.call_later(wait, self._late, hit, reaction)
            else:
                self._answer(hit, reaction)
            self._tracker._answer_held(seen)

    def _take(self) -> Hit | None:
        """The next whole request, off the buffer; None if there is none yet."""
        head, gap, rest = self._buffer.partition(b"\r\n\r\n")
        if not gap:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)
        }
        size = int(headers.get("content-length", 0))
        if len(rest) < size:
            return None
        body, self._buffer = rest[:size], rest[size:]
        method, _, after = first.partition(" ")
        path, _, query = after.rpartition(" ")[0].partition("?")
        return Hit(method, path, query, body, _params(query, headers, body), headers, time.monotonic())

    def _late(self, hit: Hit, reaction: Reaction) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        self._answer(hit, reaction)
        self._advance()

    def _answer(self, hit: Hit, reaction: Reaction) -> None:
        if reaction.reset:
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
            self.transport.abort()
        elif reaction.endless:
            self.transport.write(_head(reaction, ("Transfer-Encoding", "chunked")))
            self._more(reaction.drip)
        elif reaction.truncate:
            whole = max(len(reaction.body), 2)
            self.transport.write(
                _head(reaction, ("Content-Length", str(whole))) + reaction.body[: whole // 2]
            )
            self.transport.close()
        else:
            length = ("Content-Length", str(len(reaction.body)))
            self.transport.write(_head(reaction, length) + reaction.body)
            self._busy = False
            if _last(hit, reaction):
                self.transport.close()

    def _more(self, drip: float) -> None:
        """The next piece of an endless body, as long as the other side reads."""
        if self.transport.is_closing():
            return
        if self._flowing:
            self.transport.write(b"1\r\n\0\r\n" if drip else _CHUNK)
        self._timer = self._loop.call_later(drip or (0 if self._flowing else 0.001), self._more, drip)


def _params(query: str, headers: dict[str, str], body: bytes) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True)
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        pairs += parse_qsl(body.decode("latin-1"), keep_blank_values=True)
    return dict(pairs)


def _head(reaction: Reaction, length: tuple[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {reaction.status} {_REASONS.get(reaction.status, 'Answer')}"]
    lines += [f"{name}: {value}" for name, value in (*reaction.headers, length)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _last(hit: Hit, reaction: Reaction) -> bool:
    """Whether either side asked to close after this answer."""
    asked = [hit.headers.get("connection", "")]
    asked += [value for name, value in reaction.headers if name.lower() == "connection"]
    return any(value.lower() == "close" for value in asked)
