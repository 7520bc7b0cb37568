"""`--transport`: both libraries send the same bytes; one that cannot be used is passed over, or refused."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import SAMPLES
from tests.support.command import Command
from tests.support.logs import said
from tests.support.tracker import Tracker, flaky

needs_pycurl = pytest.mark.skipif(find_spec("pycurl") is None, reason="needs pycurl")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The first 200 lines of the sample."""
    path = tmp_path / "log.csv"
    path.write_bytes(b"".join((SAMPLES / "events.csv").read_bytes().splitlines(keepends=True)[:200]))
    return path


def sent(folder: Path, tracker: Tracker, log: Path, *flags: str) -> set[tuple[str, str, str, bytes]]:
    """Import a log with a ledger of its own; return the calls."""
    tracker.forget()
    Command(folder, to=tracker.url)("import", log, *flags).ended(0)
    return {hit.wire for hit in tracker.hits}


@needs_pycurl
def test_both_send_the_same_bytes(tmp_path: Path, tracker: Tracker, log: Path) -> None:
    by_requests = sent(tmp_path / "one", tracker, log, "--transport", "requests")
    assert len(by_requests) > 200
    for concurrency in ("1", "4", "256"):
        flags = ("--transport", "curl", "--concurrency", concurrency)
        assert sent(tmp_path / concurrency, tracker, log, *flags) == by_requests


@pytest.mark.slow
@needs_pycurl
def test_a_bad_network_loses_nothing(tmp_path: Path, tracker: Tracker, log: Path) -> None:
    by_requests = sent(tmp_path / "one", tracker, log, "--transport", "requests")
    tracker.behave = flaky(3)
    command = Command(tmp_path / "two", to=tracker.url)
    tracker.forget()
    command("import", log, "--transport", "curl").ended(0)
    assert {hit.wire for hit in tracker.hits} == by_requests


def broken(folder: Path, error: str) -> dict[str, str]:
    """Return variables with which Python finds a pycurl that cannot be imported."""
    folder.mkdir()
    (folder / "pycurl.py").write_text(f"raise {error}", encoding="utf-8")
    return {"PYTHONPATH": str(folder)}


def test_a_pycurl_that_cannot_be_loaded_is_passed_over(tmp_path: Path, tracker: Tracker, log: Path) -> None:
    """Unless it is asked for."""
    variables = broken(tmp_path / "modules", "ImportError('libcurl.so.4: cannot open shared object file')")
    command = Command(tmp_path, to=tracker.url, environment=variables)
    refused = command.alone("import", log, "--transport", "curl").ended(2)
    said(refused, "--transport curl needs pycurl", "libcurl.so.4", "pip install pycurl")
    assert not tracker.seen
    result = command.alone("import", log, "--transport", "auto").ended(0)
    assert "libcurl.so.4" in result.err
    assert "which is slower" in result.err
    assert tracker.seen


def test_an_absent_pycurl_is_no_news(tmp_path: Path, tracker: Tracker, log: Path) -> None:
    command = Command(
        tmp_path, to=tracker.url, environment=broken(tmp_path / "modules", "ModuleNotFoundError('pycurl')")
    )
    said(
        command.alone("import", log, "--transport", "curl").ended(2),
        "it is not installed",
        "pip install pycurl",
    )
    assert "pycurl" not in command.alone("import", log, "--transport", "auto").ended(0).err
