"""`km-cli serve` as a process: its first line, signals, errors with hints, and calls that outlive it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import Command
from tests.support.serving import served, serving


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_cleanly_and_answered_calls_are_kept(km: Command, number: int) -> None:
    with served(km) as server:
        assert server.line.startswith("km-cli serve: http://127.0.0.1:")
        for person in range(20):
            assert server.client.send(_p=f"p{person}").status == 200
        assert server.end(number) == (0, "", "")
    with serving(km.state / "local.db") as client:
        assert client.api("/api/summary")["received"] == 20


def test_a_signal_ends_it_with_a_stream_and_a_wait_open(km: Command) -> None:
    with served(km) as server, server.client.raw() as stream, server.client.raw() as waiting:
        stream.sendall(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"event: calls" in _until(stream.recv, b"event: calls")
        waiting.sendall(b"GET /api/calls?wait=60s HTTP/1.1\r\nHost: localhost\r\n\r\n")
        server.client.send()  # it was read after the wait: the connection is answered at once
        assert b'"Signed Up"' in _until(waiting.recv, b'"Signed Up"')
        waiting.sendall(b"GET /api/calls?since=1&wait=60s HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert server.end() == (0, "", "")


def _until(receive: object, text: bytes) -> bytes:
    found = b""
    while text not in found:
        part = receive(65536)  # type: ignore[operator]
        assert part, found
        found += part
    return found


def test_kill_loses_no_call_that_was_answered(km: Command) -> None:
    with served(km) as server:
        for person in range(50):
            assert server.client.send(_p=f"p{person}").status == 200
        os.kill(server.process.pid, signal.SIGKILL)
    with serving(km.state / "local.db") as client:
        assert client.api("/api/summary")["received"] == 50


def test_it_is_quiet_unless_asked(km: Command) -> None:
    """With -v each request has a line, and none has the key."""
    key = "fedcba9876543210"
    with served(km) as server:
        server.client.send(_k=key)
        assert server.end() == (0, "", "")
    with served(km, "-v") as server:
        server.client.send(_k=key)
        code, out, err = server.end()
    assert (code, out) == (0, "")
    assert "GET /e 200" in err
    assert key not in err


def test_a_port_in_use_is_an_error_with_a_hint(km: Command) -> None:
    with served(km) as server:
        port = str(server.client.address[1])
        result = km("serve", "--port", port, "--store", km.home / "other.db").ended(2)
    assert f"--port {port}: another program listens there" in result.err
    assert "--port 0" in result.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fault", "failures"], "--fault failures: it has no value"),
        (["--fault", "failure=0.1"], "did you mean failures?"),
        (["--fault", "failures=2"], "failures is not a number from 0 to 1"),
        (["--fault", "failures=0.7", "--fault", "lost=0.7"], "the shares add up to 1.4"),
        (["--show-after", "soon"], "--show-after 'soon' is not a time"),
        (["--port", "70000"], "--port '70000' is not a whole number from 0 to 65,535"),
        (["--host", "192.0.2.1"], "--host 192.0.2.1: this machine cannot listen there"),
        (["--queries-per-minute", "0"], "--queries-per-minute '0' is not a whole number"),
    ],
)
def test_mistakes_are_errors_with_hints(km: Command, words: list[str], said: str) -> None:
    port = () if "--port" in words else ("--port", "0")
    result = km("serve", *port, *words).ended(2)
    assert said in result.err


def test_a_store_that_is_no_store_is_an_error(km: Command) -> None:
    path = km.home / "notes.txt"
    path.write_text("these are no calls, and this file is left as it is\n" * 100)
    result = km("serve", "--port", "0", "--store", path).ended(73)
    assert f"--store {path}: the file cannot be used" in result.err
    assert path.read_text().startswith("these are no calls")


def test_an_address_that_others_reach_is_warned_of(km: Command) -> None:
    with served(km, "--host", "0.0.0.0") as server:
        assert server.line.startswith("km-cli serve: http://127.0.0.1:")
        assert server.client.get("/api/summary", Host="10.1.2.3:80").status == 200
        assert server.client.get("/api/summary", Host="evil.example").status == 421
        _, _, err = server.end()
    assert "every machine that reaches this one can see and change all calls" in err


def test_without_the_extra_it_says_how_to_install_it(km: Command, tmp_path: Path) -> None:
    """The libraries are hidden from the process: their names lead to modules that cannot be imported."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "starlette.py").write_text('raise ImportError("hidden", name="starlette")\n')
    found = subprocess.run(
        [sys.executable, "-m", "km_cli", "serve", "--port", "0"],
        env={
            **km.surroundings(),
            "PYTHONPATH": os.pathsep.join([str(hidden), os.environ.get("PYTHONPATH", "")]),
        },
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 2
    assert "pip install starlette uvicorn" in found.stderr
    assert "Traceback" not in found.stderr


def test_sites_and_personas_come_from_km_toml(km: Command) -> None:
    config = km.home / "km.toml"
    config.write_text(
        '[sites.main]\nkey_env = "KM_API_KEY"\n[sites.accounts]\nkey_env = "KM_TEAMS_KEY"\n'
        '[[personas]]\nname = "user"\n[[personas]]\nname = "team"\nsite = "accounts"\n'
    )
    km.environment["KM_TEAMS_KEY"] = "abcdefabcdef"
    with served(km, "--config", config) as server:
        client = server.client
        client.send(_k=km.surroundings()["KM_API_KEY"], _p="ada")
        client.send(_k="abcdefabcdef", _p="7")
        client.send(_k="unheard of", _p="x")
        calls = client.api("/api/calls")["calls"]
    found = [(call["site"], call["persona"]) for call in calls]
    assert found == [("main", "user"), ("accounts", "team"), ("site-1", "unknown")]
    assert "abcdefabcdef" not in json.dumps(calls)
