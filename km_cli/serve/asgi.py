"""Small parts of ASGI: an answer, reading a body up to a limit, and sending the answer."""

from __future__ import annotations

from typing import NamedTuple

from starlette.types import Receive, Send


class Answer(NamedTuple):
    """An answer as it is sent. With `close`, the connection ends after it."""

    status: int
    body: bytes
    media_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    close: bool = False


class ClientGoneError(Exception):
    """The connection ended before the body of the request did."""


async def read_body(receive: Receive, most: int) -> bytes | None:
    """Return the body of a request; None as soon as it has more than `most` bytes.

    Raises ClientGoneError if the client left before the end: a part of a body is no body.
    """
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def respond(send: Send, answer: Answer, *, without_body: bool = False) -> None:
    """Send an answer; to HEAD, without its body."""
    headers = [
        (b"content-type", answer.media_type.encode("ascii")),
        (b"content-length", str(len(answer.body)).encode("ascii")),
        (b"cache-control", b"no-store"),
        *answer.headers,
    ]
    if answer.close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if without_body else answer.body})
