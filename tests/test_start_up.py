"""How fast it starts, and what it does without then."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

HELP = ("-m", "km_cli", "--help")
ROUNDS = 15


def seconds(*words: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


@pytest.mark.slow  # one at a time: others beside it would be measured too
def test_help_takes_at_most_twice_as_long_as_click_alone() -> None:
    """The fastest of several runs each, taken in turns, so that a busy machine slows both alike."""
    rounds = [(seconds(*HELP), seconds("-c", "import click")) for _ in range(ROUNDS)]
    help_alone, click_alone = map(min, zip(*rounds, strict=True))
    assert help_alone <= 2 * click_alone


def test_help_imports_nothing_heavy() -> None:
    """Of a command as well: what it needs is imported when it runs."""
    commands = [("-m", "km_cli", name, "--help") for name in ("import", "dry-run", "init")]
    for words in (HELP, *commands):
        told = subprocess.run(
            [sys.executable, "-X", "importtime", *words], check=True, capture_output=True, text=True
        ).stderr
        modules = {line.rpartition("|")[2].strip() for line in told.splitlines()}
        assert "click" in modules
        assert not modules & {"requests", "urllib3", "rich", "sqlite3", "km_cli.run.pipeline"}
