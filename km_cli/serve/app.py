"""The application: opens the store, and says who answers which path."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Final, Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from km_cli.errors import LedgerError, UsageError
from km_cli.serve.answering import ON_ERRORS
from km_cli.serve.api import Api
from km_cli.serve.connections import Connections
from km_cli.serve.export import export_routes
from km_cli.serve.faults import Drawing
from km_cli.serve.guard import Guard, Told
from km_cli.serve.news import News
from km_cli.serve.page import page_routes
from km_cli.serve.personas import Personas
from km_cli.serve.query_api import QueryApi
from km_cli.serve.settings import ServeSettings
from km_cli.serve.shared import Shared
from km_cli.serve.stream import Stream
from km_cli.serve.tracker import PATHS, Tracker
from km_cli.serve.writer import Writer
from km_cli.standin import Journal, Store

_STREAM: Final = "/api/stream"


class App:
    """The ASGI application of one server, with its store."""

    def __init__(self, store: Store, shared: Shared, connections: Connections, told: Told | None) -> None:
        self._store = store
        self._shared = shared
        api = Api(shared)
        self._stream = Stream(api.update, shared.news, connections)
        self._tracker = Tracker(shared.writer, store.site_of, shared.drawing, connections)
        routes = [
            Route("/readyz", _ready),
            *api.routes(),
            *export_routes(shared.settings.store),
            *QueryApi(shared).routes(),
            *page_routes(),
        ]
        self._others = Starlette(routes=routes, exception_handlers=ON_ERRORS)
        self.guarded = Guard(self._dispatch, shared.settings.host, told)

    @classmethod
    async def open(cls, settings: ServeSettings, connections: Connections, told: Told | None) -> Self:
        """Open the store and begin to write. Raises LedgerError if the file is of no use, UsageError."""
        news = News()
        store = _opened(settings)
        shared = Shared(
            settings,
            Writer(store, news.ring),
            Journal(settings.store),
            Personas(settings.store, settings.personas),
            Drawing(settings.faults),
            news,
        )
        return cls(store, shared, connections, told)

    def end(self) -> None:
        """End everything that waits: streams, and requests that wait for a call."""
        self._shared.news.end()
        self._stream.end()

    async def close(self) -> None:
        """Keep the calls that were received, and close the store."""
        await self._shared.writer.close()
        await asyncio.to_thread(self._shared.journal.close)
        await asyncio.to_thread(self._store.close)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path in PATHS:
            await self._tracker(scope, receive, send)
        elif path == _STREAM and scope["method"] == "GET":
            await self._stream(scope, receive, send)
        else:
            await self._others(scope, receive, send)


def _ready(_request: Request) -> Response:
    return PlainTextResponse("ready\n")


def _opened(settings: ServeSettings) -> Store:
    path = settings.store
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        store = Store(path)
    except OSError as error:
        raise UsageError(
            f"--store {path}: the folder cannot be made: {error.strerror or error}", "choose another place"
        ) from None
    except sqlite3.Error as error:
        raise LedgerError(
            f"--store {path}: the file cannot be used: {error}",
            "name the store of an import with --to local, or a file that does not exist yet",
        ) from None
    try:
        for name, key in settings.keys.items():
            store.name_site(name, key)
    except ValueError as error:
        store.close()
        raise UsageError(f"the sites of km.toml and of the store differ: {error}", _OTHER_STORE) from None
    except sqlite3.Error as error:
        store.close()
        raise LedgerError(f"--store {path}: the file cannot be written: {error}", _OTHER_STORE) from None
    return store


_OTHER_STORE: Final = "name another file with --store"
