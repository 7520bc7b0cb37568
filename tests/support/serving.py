"""A server of `km-cli serve`, asked over real sockets without the code of the product."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from km_cli.serve.running import RunningServer
from km_cli.serve.settings import ServeSettings
from tests.support.command import Command

SECOND = 1_600_000_000


class Asked(NamedTuple):
    """An answer: names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client(NamedTuple):
    """Asks a server, with a new connection each time."""

    url: str

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 0

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Asked:
        with closing(http.client.HTTPConnection(*self.address, timeout=60)) as connection:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Asked(answer.status, found, answer.read())

    def get(self, path: str, **headers: str) -> Asked:
        return self.ask("GET", path, None, {name.replace("_", "-"): value for name, value in headers.items()})

    def api(self, path: str) -> Any:
        """The JSON of an address that answers well."""
        found = self.get(path)
        assert found.status == 200, found.body
        return found.json

    def change(self, method: str, path: str, value: object, **headers: str) -> Asked:
        given = {name.replace("_", "-"): text for name, text in headers.items()}
        return self.ask(
            method, path, json.dumps(value).encode(), {"Content-Type": "application/json", **given}
        )

    def send(self, kind: str = "e", /, **parameters: object) -> Asked:
        """A good call by ada; a parameter of None is left out."""
        whole = {"_k": "K", "_p": "ada", "_n": "Signed Up", "_t": SECOND, "_d": 1} | parameters
        return self.get(f"/{kind}?" + urlencode({k: v for k, v in whole.items() if v is not None}))

    def raw(self) -> socket.socket:
        """A connection to write bytes to."""
        return socket.create_connection(self.address, timeout=60)


@contextmanager
def serving(store: Path, **changes: Any) -> Iterator[Client]:
    """A server in this process."""
    with RunningServer(ServeSettings(store=store, **{"port": 0, **changes})) as server:
        yield Client(server.url)


class Served(NamedTuple):
    """The command in a process of its own, and its first line."""

    process: subprocess.Popen[str]
    line: str

    @property
    def client(self) -> Client:
        return Client(self.line.split()[2].rstrip("/"))

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """End it with a signal; return its code and the rest of what it printed."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@contextmanager
def served(command: Command, *arguments: str | Path) -> Iterator[Served]:
    """`km-cli serve --port 0`, from its first line on."""
    process = command.start("serve", "--port", "0", *arguments)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise AssertionError(process.communicate(timeout=60)[1])
        yield Served(process, line)
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.communicate()
