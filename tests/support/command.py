"""Runs the real command, in an environment of its own: in this process, or in one of its own."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.support.inprocess import run

TRANSPORT = {"KM_CLI_TRANSPORT": "requests"}
"""Commands send by requests, whether or not pycurl is installed here, unless a test says otherwise. So does
the fixture `transport`, which runs a test over both libraries."""

KEY = "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, Any]:
        """The object that `--json` printed."""
        return json.loads(self.out)

    def ended(self, code: int) -> Result:
        """Check the exit code, and that nobody was shown a traceback or the key."""
        assert self.code == code, f"exit {self.code}, expected {code}\n{self.out}\n{self.err}"
        assert "Traceback" not in self.err
        assert KEY not in self.out + self.err
        return self


@dataclass
class Command:
    """`km-cli` with a home folder of its own; `to` is where imports go unless told otherwise."""

    home: Path
    to: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def program(self) -> list[str]:
        """The words that run it."""
        return [sys.executable, "-m", "km_cli"]

    def start(
        self, *arguments: str | Path, stdin: Any = subprocess.DEVNULL, **more: Any
    ) -> subprocess.Popen[str]:
        """Start the command and return the process."""
        return subprocess.Popen(
            [*self.program, *self.words(arguments)],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.surroundings(),
            text=True,
            **more,
        )

    def start_with_room(self, size: int, *arguments: str | Path, **more: Any) -> subprocess.Popen[str]:
        """Start the command with files that cannot grow above so many bytes.

        Python keeps no compiled modules then: it would keep the beginning of one that has no room.
        """
        small = replace(self, environment={**self.environment, "PYTHONDONTWRITEBYTECODE": "1"})
        limits = (resource.RLIMIT_FSIZE, (size, size))
        return small.start(*arguments, preexec_fn=lambda: resource.setrlimit(*limits), **more)

    def surroundings(self) -> dict[str, str]:
        """Return the environment in which it runs."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("KM_", "XDG_"))}
        home = {"HOME": str(self.home), "XDG_STATE_HOME": str(self.home / "state")}
        return {**kept, **home, "KM_API_KEY": KEY, "PYTHONWARNINGS": "error", **TRANSPORT, **self.environment}

    def __call__(self, *arguments: str | Path, stdin: bytes | None = None) -> Result:
        """Run the command to its end, in this process: only Python's start is left out."""
        return Result(*run(self.words(arguments), self.surroundings(), stdin))

    def alone(self, *arguments: str | Path, stdin: bytes | None = None, **more: Any) -> Result:
        """Run the command to its end, in a process of its own: for tests of what only that has."""
        source = subprocess.DEVNULL if stdin is None else subprocess.PIPE
        process = self.start(*arguments, stdin=source, **more)
        out, err = process.communicate(None if stdin is None else stdin.decode(), timeout=300)
        return Result(process.returncode, out, err)

    def words(self, arguments: Sequence[str | Path]) -> list[str]:
        """Return the arguments as words, with the destination."""
        words = [str(word) for word in arguments]
        return [*words, "--to", self.to] if self.to and "--to" not in words else words

    @property
    def state(self) -> Path:
        """The state folder, where ledger and rejects go by default."""
        return self.home / "state" / "km-cli"

    def rejects(self) -> list[dict[str, Any]]:
        """Return all rejects of all runs, oldest run first."""
        texts = [path.read_text(encoding="utf-8") for path in sorted(self.state.glob("rejects-*"))]
        return [json.loads(line) for text in texts for line in text.splitlines()]


def wait_until_it_finishes(process: subprocess.Popen[str]) -> None:
    """Wait until an interrupted process says on standard error that it finishes the calls in flight."""
    assert process.stderr is not None
    said = ""
    while "finishing the calls in flight" not in said:
        line = process.stderr.readline()
        assert line, f"the process ended: {said}"
        said += line
