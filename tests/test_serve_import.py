"""Imports into `km-cli serve`, by both libraries and through faults; and calls of outside clients."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from km_cli.serve.faults import Faults
from tests.support.command import KEY, Command
from tests.support.serving import Client, serving

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


def test_curl_sends_calls(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    with serving(tmp_path / "s.db") as client:
        get = ["curl", "-sS", "--noproxy", "*", f"{client.url}/e?_k=test&_p=ada&_n=Signed+Up"]
        post = [
            *("curl", "-sS", "--noproxy", "*", f"{client.url}/s", "-d", "_k=test", "-d", "_p=ada"),
            *("--data-urlencode", "plan=a & b"),
        ]
        for words in (get, post):
            assert subprocess.run(words, capture_output=True, check=True, timeout=60).stdout[:6] == b"GIF89a"
        calls = client.api("/api/calls")["calls"]
    assert [(call["kind"], call["properties"]) for call in calls] == [
        ("event", {}),
        ("set", {"plan": "a & b"}),
    ]


_CLIENT = """
import sys
from KISSmetrics.client import Client
client = Client("test", trk_host=sys.argv[1], trk_scheme="http")
answers = [
    client.record("ada", "Signed Up", {"plan": "pro & more"}, timestamp=1600000000),
    client.record("bob", "Paid, twice"),
    client.set("ada", {"city": "Zürich"}),
    client.alias("ada", "ada@example.com"),
]
print([answer.status for answer in answers])
"""


def test_the_public_python_library_sends_calls(tmp_path: Path) -> None:
    """It is an outside client: it wants an older urllib3, so that it has an environment of its own."""
    python = os.environ.get("PY_KISSMETRICS", "")
    if not python:
        pytest.skip("needs py-KISSmetrics: PY_KISSMETRICS names the Python of its environment")
    with serving(tmp_path / "s.db") as client:
        host = client.url.removeprefix("http://")
        surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        ran = subprocess.run(
            [python, "-c", _CLIENT, host],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=surroundings,
        )
        assert ran.stdout == "[200, 200, 200, 200]\n", ran.stderr
        calls = client.api("/api/calls")["calls"]
    assert [(call["kind"], call["person"], call["name"], call["properties"]) for call in calls] == [
        ("event", "ada", "Signed Up", {"plan": "pro & more"}),
        ("event", "bob", "Paid, twice", {}),
        ("set", "ada", None, {"city": "Zürich"}),
        ("alias", "ada", "ada@example.com", {}),
    ]
    assert calls[0]["time"] == "2020-09-13T12:26:40Z"


_EXAMPLE = """
import subprocess, sys, urllib.request

pytest_plugins = "km_cli.serve.fixture"


def sign_up(person, tracker):
    urllib.request.urlopen(f"{tracker}/e?_k=test&_p={person}&_n=Signed+Up").close()


def test_a_sign_up_is_recorded(kissmetrics_standin):
    assert kissmetrics_standin.summary()["received"] == 0
    sign_up("ada", tracker=kissmetrics_standin.url)
    (call,) = kissmetrics_standin.calls(event="Signed Up", wait="5s")
    assert call["person"] == "ada"
    assert kissmetrics_standin.person("ada")[0]["events"][0]["name"] == "Signed Up"


def test_each_test_has_a_store_of_its_own(kissmetrics_standin):
    assert kissmetrics_standin.summary()["received"] == 0
    kissmetrics_standin.set_faults(failures=1)
    kissmetrics_standin.set_faults()
    sign_up("bob", tracker=kissmetrics_standin.url)
    assert [one["id"] for one in kissmetrics_standin.people()] == ["bob"]
    kissmetrics_standin.delete_calls()
    assert kissmetrics_standin.calls() == kissmetrics_standin.facts() == []
    assert not kissmetrics_standin.ledger.exists()
"""


def test_the_fixture_runs_in_an_outside_test(tmp_path: Path) -> None:
    (tmp_path / "test_example.py").write_text(_EXAMPLE)
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "2 passed" in ran.stdout, ran.stdout + ran.stderr


def test_what_a_fixture_was_refused_is_said(tmp_path: Path) -> None:
    from km_cli.serve.trial import RefusedError, Standin

    with serving(tmp_path / "s.db") as client:
        standin = Standin(client.url, tmp_path / "ledger.db")
        with pytest.raises(RefusedError, match=r"there is no fault 'failure'.*did you mean failures"):
            standin.set_faults(failure=1)
        with pytest.raises(RefusedError, match="no person 'nobody'"):
            standin.person("nobody")
