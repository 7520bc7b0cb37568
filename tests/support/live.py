"""A server of `km-cli serve` with its Live page, and calls that are sent to it by a plain HTTP client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from km_cli.serve.running import RunningServer
from km_cli.serve.settings import ServeSettings

T = 1_709_283_600  # 2024-03-01 09:00:00 UTC


@contextmanager
def serving(store: Path, port: int = 0) -> Iterator[RunningServer]:
    """Serve a store on loopback."""
    with RunningServer(ServeSettings(store=store, port=port)) as server:
        yield server


def path_of(kind: str, person: str, name: str = "", second: int = T, **properties: str) -> str:
    """Return the path of a call; `kind` is e, s or a."""
    special = {"_k": "trial", "_p": person, "_t": str(second), "_d": "1"} | ({"_n": name} if name else {})
    return f"/{kind}?{urlencode(special | properties)}"


def send(server: RunningServer, *paths: str) -> None:
    """Send calls, one after the other. Each is answered with 200."""
    with closing(HTTPConnection(urlsplit(server.url).netloc, timeout=60)) as connection:
        for path in paths:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
