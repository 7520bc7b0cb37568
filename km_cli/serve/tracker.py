"""Takes calls as Kissmetrics' tracker does: it answers 200 and an image, even to a wrong call (W3)."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Final

from starlette.types import Receive, Scope, Send

from km_cli.serve.asgi import Answer, ClientGoneError, read_body, respond
from km_cli.serve.connections import Connections
from km_cli.serve.faults import Drawing, Fault
from km_cli.serve.sites import SiteOf, without_key
from km_cli.serve.writer import Writer

PATHS: Final = ("/e", "/s", "/a")
LARGEST_BODY: Final = 1 << 20
"""Bytes. Kissmetrics publishes no limit; a value has 8,192 bytes at most (D5)."""

GIF: Final = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"
    b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
_IMAGE: Final = Answer(200, GIF, "image/gif")
_TOO_LARGE: Final = Answer(413, b"the body has more than 1 MiB; the call was not kept\n", close=True)
_WRONG_METHOD: Final = Answer(405, b"use GET or POST\n", headers=((b"allow", b"GET, HEAD, POST"),))
_FAILURE: Final = Answer(503, b"a fault that was asked for: the call was not kept\n")
_HTML: Final = Answer(
    200, b"<!doctype html><title>Sign in</title><p>Please sign in to use this network.</p>", "text/html"
)
_REDIRECT: Final = Answer(
    302, b"a fault that was asked for: the call was not kept\n", headers=((b"location", b"/elsewhere"),)
)


class Tracker:
    """An ASGI application for `/e`, `/s` and `/a`. A call is answered after it is kept."""

    def __init__(self, writer: Writer, site_of: SiteOf, drawing: Drawing, connections: Connections) -> None:
        self._writer = writer
        self._site_of = site_of
        self._drawing = drawing
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        if scope["method"] not in ("GET", "HEAD", "POST"):
            await respond(send, _WRONG_METHOD)
            return
        try:
            body = await read_body(receive, LARGEST_BODY)
        except ClientGoneError:
            if _has_body(scope):
                return  # half a call would be kept with a value that was cut
            body = b""  # the call is whole in the query; its client does not wait for the answer
        if body is None:
            await respond(send, _TOO_LARGE)
            return
        fault = self._drawing.next()
        kept = fault in (Fault.NONE, Fault.LOST)
        answer = await self._keep(scope, body) if kept else self._spoiled(fault)
        if self._drawing.faults.latency:
            await asyncio.sleep(self._drawing.faults.latency)
        if fault in (Fault.LOST, Fault.RESET):
            self._connections.reset(scope)
            await asyncio.sleep(0)  # then uvicorn knows that the connection is gone, and misses no answer
        else:
            await respond(send, answer, without_body=scope["method"] == "HEAD")

    async def _keep(self, scope: Scope, body: bytes) -> Answer:
        try:
            path, rest = without_key(scope["path"], scope["query_string"], body, self._site_of)
            await self._writer.do((path, rest))
        except sqlite3.Error as error:
            return Answer(503, f"the store cannot be written: {error}; the call was not kept\n".encode())
        return _IMAGE

    def _spoiled(self, fault: Fault) -> Answer:
        if fault is Fault.THROTTLED:
            header = (b"retry-after", self._drawing.faults.retry_after.encode("ascii"))
            return Answer(429, b"a fault that was asked for: slow down\n", headers=(header,))
        return {Fault.HTML: _HTML, Fault.REDIRECT: _REDIRECT}.get(fault, _FAILURE)


def _has_body(scope: Scope) -> bool:
    """Tell whether a request says that a body follows its head."""
    headers = dict(scope["headers"])
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0").strip(b" 0") != b""
