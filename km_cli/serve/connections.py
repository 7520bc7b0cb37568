"""The open connections, so that one can be cut: ASGI has no way to say that."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any, Final

from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

_AT_ONCE: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on, for 0 seconds: closing sends a reset."""

_Client = tuple[str, int]


class Connections:
    """The transports of the open connections, by the address of the client."""

    def __init__(self) -> None:
        self._transports: dict[_Client, asyncio.Transport] = {}

    def protocol(self) -> type[H11Protocol]:
        """Return uvicorn's protocol, which also notes its connections here."""
        transports = self._transports

        class Noted(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                if self.client:
                    transports[self.client] = transport

            def connection_lost(self, exc: Exception | None) -> None:
                if self.client:
                    transports.pop(self.client, None)
                super().connection_lost(exc)

        return Noted

    def reset(self, scope: Scope) -> None:
        """Cut the connection of a request with a reset."""
        transport = self._transports.get(_client(scope))
        if transport is None:
            return
        raw: Any = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        transport.abort()


def _client(scope: Scope) -> _Client:
    host, port = scope.get("client") or ("", 0)
    return str(host), int(port)
