"""The door of the server: every request passes it before anything reads what it says.

A page of another origin in the user's browser can send requests to this machine. So the Host must be one of
ours: another name that leads here is DNS rebinding. A request that changes anything must carry JSON, which
a foreign page cannot send unasked, and no foreign Origin. `/e`, `/s`, `/a` and `/readyz` answer to any
Host: their answers hold no data, and in a network of containers they are called by other names.
"""

from __future__ import annotations

import ipaddress
import json
import time
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from km_cli.serve.asgi import Answer, respond
from km_cli.serve.tracker import PATHS

OPEN: Final = (*PATHS, "/readyz")
"""Paths that answer to any Host."""

_CHANGING: Final = ("DELETE", "PATCH", "POST", "PUT")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})
_HEADERS: Final = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)

Told = Callable[[str], None]
"""Prints a line for people."""


def error_answer(status: int, error: str, hint: str) -> Answer:
    """Return the answer of an API that could not do what it was asked."""
    text = json.dumps({"error": error, "hint": hint}, ensure_ascii=False)
    return Answer(status, text.encode(), "application/json")


class Guard:
    """Wraps the server's application. `told` gets a line for each request, if there is one."""

    def __init__(self, app: ASGIApp, host: str, told: Told | None) -> None:
        self._app = app
        self._host = host
        self._told = told

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it here."""
        if scope["type"] != "http":
            return
        begun, status = time.monotonic(), 0

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if scope["path"] not in PATHS:
                    present = {name for name, _ in message["headers"]}
                    added = [one for one in _HEADERS if one[0] not in present]
                    message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        try:
            refusal = self._refusal(scope)
            if refusal is None:
                await self._app(scope, receive, send_on)
            else:
                await respond(send_on, refusal)
        except Exception as error:  # noqa: BLE001 - a bug in one answer must not end the others
            if self._told:
                self._told(f"a bug in km-cli: {type(error).__name__}: {error}")
            if not status:
                await respond(send_on, _bug(error))
        if self._told:
            # The query is left out: it has the key. The path is as it was sent: decoded, it may break lines.
            path = scope["raw_path"].decode("ascii", "replace")
            self._told(f"{scope['method']} {path} {status or 'no answer'} {_ms(begun)} ms")

    def _refusal(self, scope: Scope) -> Answer | None:
        if scope["path"] in OPEN:
            return None
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        if not self._is_ours(host):
            return error_answer(
                421, "this server does not answer to that host", "open it by its address, as it was printed"
            )
        if scope["method"] not in _CHANGING:
            return None
        if headers.get(b"origin", f"http://{host}") != f"http://{host}":
            return error_answer(
                403, "a page of another origin may change nothing", "use the page of this server"
            )
        if headers.get(b"content-type", "").partition(";")[0].strip().lower() != "application/json":
            return error_answer(
                415, "a request that changes something carries JSON", "send Content-Type: application/json"
            )
        return None

    def _is_ours(self, host: str) -> bool:
        name = _name_of(host)
        if name in _LOOPBACK or name == self._host:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or self._host in _EVERYWHERE


def _name_of(host: str) -> str:
    """Return a Host header without its port, in small letters; "" if it cannot be one."""
    host = host.lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def _ms(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)


def _bug(error: Exception) -> Answer:
    return error_answer(
        500,
        f"this is a bug in km-cli: {type(error).__name__}",
        "please report it, with the output of km-cli serve -v",
    )


def is_loopback(host: str) -> bool:
    """Tell whether only programs on this machine can reach a server that listens there."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
