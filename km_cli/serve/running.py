"""A server that runs in a thread: for the command, which waits for a signal, and for the fixture of tests."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from types import TracebackType
from typing import Any, Self

import uvicorn

from km_cli.errors import KmError, UsageError
from km_cli.serve.app import App
from km_cli.serve.connections import Connections
from km_cli.serve.guard import Told
from km_cli.serve.settings import ServeSettings

_LONGEST_HEAD = 256 * 1024
"""Bytes of a request's line and headers; the query of a GET is in it."""

_GRACE = 5
"""Seconds in which open requests are finished when the server ends."""


class RunningServer:
    """A server and its store, as a context manager. It listens when the block begins."""

    def __init__(self, settings: ServeSettings, told: Told | None = None) -> None:
        """`told` gets a line for each request."""
        self._settings = settings
        self._told = told
        self._socket = _listen(settings.host, settings.port)
        self._thread = threading.Thread(target=self._run, name="km-cli serve", daemon=True)
        self._is_ready = threading.Event()
        self._is_ended = threading.Event()
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: uvicorn.Server | None = None
        self._app: App | None = None

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end. A server on all addresses is named by loopback."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._settings.host, self._settings.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._is_ready.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait(self, seconds: float | None = None) -> bool:
        """Return whether the server has ended, waiting for that at most so many seconds."""
        return self._is_ended.wait(seconds)

    def stop(self) -> None:
        """End the server: calls that were received are kept and answered first."""
        self.ask_to_stop()
        self._thread.join()

    def ask_to_stop(self) -> None:
        """Have the server end, and return at once. It may be called again, also from a signal handler."""
        if self._loop is not None and not self._is_ended.is_set():
            self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        if self._app is not None:
            self._app.end()
        if self._server is not None:
            self._server.should_exit = True

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except (Exception, SystemExit) as error:  # noqa: BLE001 - raised again where the block begins
            self._error = error
        finally:
            self._socket.close()
            self._is_ready.set()
            self._is_ended.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        connections = Connections()
        self._app = await App.open(self._settings, connections, self._told)
        try:
            self._server = _Server(_config(self._app.guarded, connections), self._is_ready)
            await self._server.serve([self._socket])
        finally:
            await self._app.close()


class _Server(uvicorn.Server):
    """uvicorn's server, which tells when it listens."""

    def __init__(self, config: uvicorn.Config, is_ready: threading.Event) -> None:
        super().__init__(config)
        self._is_ready = is_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._is_ready.set()


def _config(app: Any, connections: Connections) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=connections.protocol(),
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
        h11_max_incomplete_event_size=_LONGEST_HEAD,
    )


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises UsageError if the address is taken or is not of this machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, OverflowError, UnicodeError) as error:
        raise _refused(host, port, error) from None


def _refused(host: str, port: int, error: Exception) -> KmError:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return UsageError(
            f"--port {port}: another program listens there, perhaps another km-cli serve",
            f"open http://{host}:{port}/ to see, or choose another port; --port 0 takes one that is free",
        )
    if number in (errno.EACCES, errno.EPERM):
        return UsageError(f"--port {port}: this user may not listen there", "choose a port above 1023")
    return UsageError(
        f"--host {host}: this machine cannot listen there: {getattr(error, 'strerror', None) or error}",
        "give an address of this machine, such as 127.0.0.1; 0.0.0.0 stands for all of them",
    )
