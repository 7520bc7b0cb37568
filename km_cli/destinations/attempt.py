"""An HTTP adapter with a time limit for the whole answer.

The timeout of the HTTP library begins anew with every byte, so that a slow answer could keep a worker busy
for ever.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from functools import cache
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class _Answer(io.RawIOBase):
    """The bytes of one answer, which may take `seconds` in all; one read may wait for `pause` seconds."""

    def __init__(self, connection: socket.socket, seconds: float, pause: float) -> None:
        self._connection = connection
        self._raw = connection.makefile("rb", buffering=0)
        self._until = time.monotonic() + seconds
        self._pause = pause

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0.0:
            raise TimeoutError("the answer does not end")
        if left < self._pause:
            self._connection.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _is_interim(status: int) -> bool:
    """Tell whether another answer follows (RFC 9110, 15.2). After 101 another protocol follows."""
    return 100 <= status < 200 and status != http.client.SWITCHING_PROTOCOLS


@cache
def _bounded_pools(seconds: float, pause: float) -> dict[str, type[HTTPConnectionPool]]:
    """Return the library's classes with these limits. All connections of a run share them."""

    class Response(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *args: Any, **more: Any) -> None:
            super().__init__(sock, *args, **more)
            self.fp.close()
            self.fp = io.BufferedReader(_Answer(sock, seconds, pause))

        def begin(self) -> None:
            """Read the final answer. The library itself skips only 100, and takes 103 for an answer."""
            super().begin()
            this: Any = self
            while _is_interim(self.status):
                this.headers = None  # begin() returns at once as long as it has headers
                super().begin()

    class Plain(HTTPConnection):
        response_class = Response

    class Secure(HTTPSConnection):
        response_class = Response

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


class BoundedAdapter(HTTPAdapter):
    """One connection without retries. An answer may take `seconds`, and one read may wait for `pause`."""

    def __init__(self, seconds: float, pause: float) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)
        self._pools = _bounded_pools(seconds, pause)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **more: Any) -> Any:
        """Return the pools for a proxy, with the same time limit."""
        manager = super().proxy_manager_for(proxy, **more)
        manager.pool_classes_by_scheme = self._pools
        return manager
