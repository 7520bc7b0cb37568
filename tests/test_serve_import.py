"""Imports into `km-cli serve`, by both libraries and through faults; and calls of outside clients."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from km_cli.serve.faults import Faults
from km_cli.serve.trial import RefusedError, Standin
from tests.conftest import SAMPLES
from tests.support.browser import chromium
from tests.support.command import KEY, Command
from tests.support.serving import Client, served, serving

pytest_plugins = "km_cli.serve.fixture"

ROWS = 120


def log_of(km: Command) -> Path:
    path = km.home / "log.csv"
    rows = (
        f"2024-03-01T09:{n // 60:02}:{n % 60:02}Z,u{n % 7},Acme {n % 3},{('In', 'Paid')[n % 2]},{n}"
        for n in range(ROWS)
    )
    path.write_text("\n".join(["timestamp,user,account,event,amount", *rows, ""]))
    return path


def kept(client: Client) -> Counter[tuple[str, str, str]]:
    """What each person did when, once each, however often it arrived."""
    calls = client.api("/api/calls?limit=1000")["calls"]
    assert len(calls) < 1000
    return Counter({(call["person"], call["name"], call["time"]) for call in calls})


@pytest.mark.usefixtures("transport")
def test_an_import_arrives_whole_under_the_names_of_its_sites(km: Command, tmp_path: Path) -> None:
    with serving(tmp_path / "s.db", keys={"main": KEY}) as client:
        summary = km("import", log_of(km), "--to", client.url, "--json").ended(0).summary
        assert summary["calls"]["acknowledged"] == client.api("/api/summary")["received"] == 2 * ROWS
        assert sum(kept(client).values()) == 2 * ROWS
        assert {call["site"] for call in client.api("/api/calls")["calls"]} == {"main"}
        again = km("import", log_of(km), "--to", client.url, "--json").ended(0).summary
        assert again["rows"]["skipped"] == ROWS
        assert client.api("/api/summary")["received"] == 2 * ROWS


def test_a_store_that_a_server_writes_is_imported_into_and_looked_at(km: Command, tmp_path: Path) -> None:
    """The import before ended cleanly, so that the log beside the file is the server's alone."""
    store = tmp_path / "local.db"
    here = ("--to", f"local:{store}")
    km("import", log_of(km), "--limit", "10", *here).ended(0)
    with served(km, "--store", store) as server:
        assert server.client.send(_p="walk-in").status == 200
        assert Path(f"{store}-wal").stat().st_size
        assert "walk-in" in km("show", "walk-in", *here).ended(0).out
        km("status", *here).ended(0)
        km("dry-run", log_of(km), *here).ended(0)
        km("import", log_of(km), *here).ended(0)
        assert sum(kept(server.client).values()) == 2 * ROWS + 1
        km("import", log_of(km), *here).ended(0)
        server.end()
    km("ledger", "check", *here).ended(0)


def test_calls_of_a_server_that_was_killed_are_there_for_the_next_import(km: Command, tmp_path: Path) -> None:
    store = tmp_path / "local.db"
    here = ("--to", f"local:{store}")
    km("import", log_of(km), "--limit", "10", *here).ended(0)
    with served(km, "--store", store) as server:
        assert server.client.send(_p="walk-in").status == 200
        server.end(signal.SIGKILL)
    km("import", log_of(km), *here).ended(0)
    assert "walk-in" in km("show", "walk-in", *here).ended(0).out
    km("ledger", "check", *here).ended(0)


@pytest.mark.slow
@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize("seed", range(3))
def test_an_import_through_faults_ends_with_every_call_once(km: Command, tmp_path: Path, seed: int) -> None:
    """Lost answers make calls arrive twice; Kissmetrics counts those once."""
    shares = dict.fromkeys(("failures", "resets", "lost", "throttled"), 0.04)
    faults = Faults(seed=seed, retry_after="0", **shares)
    with serving(tmp_path / "s.db") as plain:
        km("import", log_of(km), "--to", plain.url, "--ledger", tmp_path / "1.db").ended(0)
        wanted = kept(plain)
    with serving(tmp_path / "t.db", faults=faults) as client:
        arguments = ("import", log_of(km), "--to", client.url, "--ledger", tmp_path / "2.db")
        for _ in range(10):
            if km(*arguments).code == 0:
                break
        assert client.api("/api/faults")["seed"] == seed
        client.change("PUT", "/api/faults", {})
        km(*arguments).ended(0)
        assert kept(client) == wanted
        assert set(client.api("/api/summary")["merged"]) <= {"repeat"}


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize(("name", "code"), [("html", 69), ("redirects", 69), ("throttled", 75)])
def test_an_import_that_is_refused_resumes_later(km: Command, tmp_path: Path, name: str, code: int) -> None:
    with serving(tmp_path / "s.db", faults=Faults(**{name: 1}, retry_after="3600")) as client:
        km("import", log_of(km), "--to", client.url).ended(code)
        assert client.api("/api/summary")["received"] == 0
        client.change("PUT", "/api/faults", {})
        if code == 69:
            km("import", log_of(km), "--to", client.url).ended(0)
            assert sum(kept(client).values()) == 2 * ROWS


def blocks(language: str) -> list[str]:
    """The blocks of a language in the section on the local Kissmetrics of samples/README.md."""
    text = (SAMPLES / "README.md").read_text(encoding="utf-8").partition("\n## A local Kissmetrics\n")[2]
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def found(client: Client) -> list[tuple[str, str, str | None, dict[str, str]]]:
    calls = client.api("/api/calls")["calls"]
    return [(call["kind"], call["person"], call["name"], call["properties"]) for call in calls]


def test_the_shell_of_the_page_sends_calls(km: Command, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    with serving(tmp_path / "s.db") as client:
        _, script = blocks("sh")
        script = script.replace("http://127.0.0.1:8808", client.url)
        script = script.replace("km-cli", f"{sys.executable} -m km_cli")
        script = script.replace("samples/", f"{SAMPLES}/")
        environment = {**km.surroundings(), "PYTHONPATH": str(SAMPLES.parent), "NO_PROXY": "127.0.0.1"}
        ran = subprocess.run(
            ["bash", "-euc", script],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ran.returncode == 0, ran.stderr
        assert found(client)[:2] == [
            ("event", "ada", "Signed Up", {"plan": "pro"}),
            ("set", "ada", None, {"city": "Zürich"}),
        ]
        assert len(found(client)) == 2 + 9


def test_the_public_python_library_sends_calls(tmp_path: Path) -> None:
    """It is an outside client: it wants an older urllib3, so that it has an environment of its own."""
    python = os.environ.get("PY_KISSMETRICS", "")
    if not python:
        pytest.skip("needs py-KISSmetrics: PY_KISSMETRICS names the Python of its environment")
    with serving(tmp_path / "s.db") as client:
        script = blocks("python")[0].replace("127.0.0.1:8808", client.url.removeprefix("http://"))
        script += 'answer = client.record("bob", "Paid, twice & more", timestamp=1600000000)\n'
        script += "print(answer.data[:6])\n"
        plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        ran = subprocess.run([python, "-c", script], capture_output=True, text=True, timeout=60, env=plain)
        assert ran.stdout == "b'GIF89a'\n", ran.stderr
        assert found(client) == [
            ("event", "ada", "Signed Up", {"plan": "pro"}),
            ("set", "ada", None, {"city": "Zürich"}),
            ("alias", "ada", "ada@example.com", {}),
            ("event", "bob", "Paid, twice & more", {}),
        ]
        assert client.api("/api/calls?person=bob")["calls"][0]["time"] == "2020-09-13T12:26:40Z"


@pytest.mark.slow
def test_the_queue_of_a_web_page_sends_calls(tmp_path: Path) -> None:
    with serving(tmp_path / "s.db") as client, chromium() as browser:
        page = tmp_path / "page.html"
        shutil.copy(SAMPLES / "kmq.js", tmp_path)
        html = blocks("html")[0].replace("http://127.0.0.1:8808", client.url)
        page.write_text(f"<!doctype html><meta charset=utf-8><title>Pricing</title>{html}", encoding="utf-8")
        browser.open(page)
        client.api("/api/calls?since=2&wait=60s")
        calls = sorted(found(client))
        visitor = next(person for kind, person, _, _ in calls if kind == "event")
        assert visitor.startswith("visitor ")
        assert calls == [
            ("alias", "ada", visitor, {}),
            ("event", visitor, "Viewed Pricing", {"plan": "pro"}),
            ("set", "ada", None, {"city": "Zürich"}),
        ]
        assert browser.complaints() == []


@pytest.mark.slow
def test_the_fixture_runs_in_the_tests_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "test_example.py").write_text(blocks("python")[1], encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(SAMPLES.parent)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "2 passed" in ran.stdout, ran.stdout + ran.stderr


def test_each_test_has_a_store_of_its_own(kissmetrics_standin: Standin) -> None:
    assert kissmetrics_standin.summary()["received"] == 0
    Client(kissmetrics_standin.url).send(_p="a/b+c=", plan="pro")
    assert [one["id"] for one in kissmetrics_standin.people()] == ["a/b+c="]
    assert kissmetrics_standin.person("a/b+c=")[0]["events"][0]["name"] == "Signed Up"
    kissmetrics_standin.delete_calls()
    assert kissmetrics_standin.calls() == kissmetrics_standin.facts() == []
    assert not kissmetrics_standin.ledger.exists()


def test_what_a_fixture_was_refused_is_said(tmp_path: Path) -> None:
    with serving(tmp_path / "s.db") as client:
        standin = Standin(client.url, tmp_path / "ledger.db")
        with pytest.raises(RefusedError, match=r"there is no fault 'failure'.*did you mean failures"):
            standin.set_faults(failure=1)
        with pytest.raises(RefusedError, match="no person 'nobody'"):
            standin.person("nobody")
