"""A real S3 server on 127.0.0.1: moto's, which also records requests and misbehaves on command.

Without moto and s3fs (the dependency group `objects`), tests that need it are skipped.
"""

from __future__ import annotations

import http.client
import logging
import re
import threading
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest

REGION = "eu-west-1"
SECRET = "s3cr3t/of+the=object-store-0123456789abcd"


class Asked(NamedTuple):
    """A request: its method, its path in the bucket, its query, its range and the ETags that it demands.

    `unless` is the ETag that the object must not have: "*" for any.
    """

    method: str
    path: str
    query: str
    range: str
    etag: str
    unless: str = ""


class Answer(NamedTuple):
    """An answer instead of the store's own. `most` cuts the store's own off after so many bytes.

    `without` are headers of the request that the store does not see, as behind a proxy that drops them. If it
    `is_lost`, the store has done as it was asked, and its own answer is replaced.
    """

    status: str = ""
    code: str = ""
    most: int = -1
    headers: tuple[tuple[str, str], ...] = ()
    without: tuple[str, ...] = ()
    is_lost: bool = False


Behave = Callable[[Asked, int], Answer | None]
"""Says what happens to the request of this number, from 1; None for the store's own answer."""


@dataclass
class Store:
    """A bucket of its own on the server. `behave` decides on each request that a command makes."""

    host: str
    bucket: str = field(default_factory=lambda: f"logs-{uuid.uuid4().hex[:12]}")
    asked: list[Asked] = field(default_factory=list)
    behave: Behave = lambda _asked, _number: None

    def url(self, key: str) -> str:
        """The address of an object."""
        return f"s3://{self.bucket}/{key}"

    def put(self, key: str, content: bytes) -> str:
        """Write an object; return its address."""
        self._send("PUT", quote(f"/{self.bucket}/{key}"), content)
        return self.url(key)

    def get(self, key: str) -> bytes:
        """Return the content of an object."""
        return self._send("GET", quote(f"/{self.bucket}/{key}"))

    def names(self) -> list[str]:
        """Return the keys of all objects, sorted."""
        return re.findall("<Key>([^<]*)</Key>", self._send("GET", f"/{self.bucket}?list-type=2").decode())

    def delete(self, key: str) -> None:
        """Delete an object."""
        self._send("DELETE", quote(f"/{self.bucket}/{key}"))

    def create(self) -> None:
        """Create the bucket."""
        place = f"<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint>"
        self._send("PUT", f"/{self.bucket}", f"{place}</CreateBucketConfiguration>".encode())

    def of(self, key: str) -> list[Asked]:
        """Return the requests for an object."""
        return [asked for asked in self.asked if asked.path == f"/{self.bucket}/{key}"]

    def _send(self, method: str, path: str, content: bytes = b"") -> bytes:
        connection = http.client.HTTPConnection(self.host)
        try:
            scope = f"AKID/20260101/{REGION}/s3/aws4_request"
            headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}", "X-Of-The-Tests": "yes"}
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status < 300, body
            return body
        finally:
            connection.close()


class Server:
    """Stands before moto, and asks the store of a bucket what to do."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._lock = threading.Lock()
        self.stores: dict[str, Store] = {}
        self.host = ""

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which a command finds the server."""
        return {
            "AWS_ENDPOINT_URL": f"http://{self.host}",
            "AWS_ACCESS_KEY_ID": "AKIDOFTHETESTS",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"].encode("latin-1").decode()
        store = self.stores.get(path.split("/")[1])
        if store is None or "HTTP_X_OF_THE_TESTS" in environ:
            return self._app(environ, start)
        query, span = environ["QUERY_STRING"], environ.get("HTTP_RANGE", "")
        asked = Asked(environ["REQUEST_METHOD"], path, query, span, *_conditions(environ))
        with self._lock:
            store.asked.append(asked)
            number = len(store.asked)
        answer = store.behave(asked, number)
        if answer is None:
            return self._app(environ, start)
        if answer.without:
            return self._app({name: environ[name] for name in environ if name not in answer.without}, start)
        if answer.most >= 0:
            return _cut(b"".join(self._app(environ, _closing(start))), answer.most)
        if answer.is_lost:
            b"".join(self._app(environ, lambda *_: None))
        body = f"<Error><Code>{answer.code}</Code><Message>{answer.code}</Message></Error>".encode()
        start(answer.status, [*answer.headers, ("Content-Length", str(len(body)))])
        return [body]


def _conditions(environ: dict[str, Any]) -> tuple[str, str]:
    return environ.get("HTTP_IF_MATCH", ""), environ.get("HTTP_IF_NONE_MATCH", "")


def _closing(start: Any) -> Any:
    """Begin an answer after which the connection ends."""
    return lambda status, headers, *more: start(status, [*headers, ("Connection", "close")], *more)


def _cut(body: bytes, most: int) -> Iterator[bytes]:
    """Yield the beginning of an answer, although its head promises all of it."""
    yield body[:most]


@contextmanager
def server() -> Iterator[Server]:
    """Start the server. Tests are skipped where moto or s3fs is missing."""
    if find_spec("moto") is None or find_spec("s3fs") is None:
        pytest.skip("needs moto and s3fs, of the dependency group `objects`")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that moto imports
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import WSGIRequestHandler, make_server

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, *_arguments: Any) -> None:
            pass

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = Server(DomainDispatcherApplication(create_backend_app))
    running = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Handler)
    running.daemon_threads = True
    thread = threading.Thread(target=running.serve_forever, args=(0.05,))
    thread.start()
    application.host = f"127.0.0.1:{running.server_port}"
    try:
        yield application
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


@contextmanager
def bucket(application: Server) -> Iterator[Store]:
    """A bucket of its own."""
    store = Store(application.host)
    application.stores[store.bucket] = store
    store.create()
    yield store
    store.behave = lambda _asked, _number: None
