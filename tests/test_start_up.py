"""How fast it starts, and what it does without then."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.command import Command

HELP = ("-m", "km_cli", "--help")
ROUNDS = 15


def seconds(*words: str) -> float:
    """Return the processor time that a process took. It does not count the turns of others."""
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_utime + used.ru_stime


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


def test_ctrl_c_while_the_command_line_is_loaded_has_no_traceback(km: Command, tmp_path: Path) -> None:
    """A click that gets SIGINT stands for the moment in which the real one is imported."""
    (tmp_path / "click.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\nsignal.pause()\n")
    km.environment["PYTHONPATH"] = f"{tmp_path}:{Path(__file__).parent.parent}"
    result = km.alone("--help").ended(130)
    assert result.err == "km-cli: interrupted\n  next: run the same command again\n"


def test_the_installed_program_is_the_module() -> None:
    pyproject = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
    assert pyproject["project"]["scripts"] == {"km-cli": "km_cli.__main__:main"}
