"""The command on a pseudo-terminal: in a process of its own, or in this one."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Sequence
from io import FileIO, TextIOWrapper
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from km_cli.cli import group
from km_cli.cli.outcome import exit_code_of
from tests.support.command import KEY, Command
from tests.support.inprocess import environment
from tests.support.patience import PATIENCE
from tests.support.screen import Screen


class Terminal:
    """The command on a pseudo-terminal, with its output and typed input."""

    def __init__(
        self,
        km: Command,
        *words: str | Path,
        out: int | None = None,
        stdin: int | None = None,
        columns: int = 0,
        lines: int = 50,
        environment: dict[str, str] | None = None,
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        streams = {
            "stdin": slave if stdin is None else stdin,
            "stderr": slave,
            "stdout": slave if out is None else out,
        }
        kept = {
            name: value
            for name, value in os.environ.items()
            if name != "NO_COLOR" and not name.startswith("KM_")
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "km_cli", *map(str, words)],
            env={**kept, "XDG_STATE_HOME": str(km.home / "state"), "KM_API_KEY": KEY, "TERM": "dumb",
                 "HTTPS_PROXY": "http://127.0.0.1:9", **(environment or {})},
            cwd=km.home,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(2, termios.TIOCSCTTY, 0),
            **streams,
        )  # fmt: skip
        os.close(slave)
        self.shown = ""

    def until(self, text: str, seconds: float = PATIENCE) -> None:
        """Read until this is shown, or the end. Raises TimeoutError if nothing more comes."""
        while text not in self.shown:
            if not select.select([self._master], [], [], seconds)[0]:
                raise TimeoutError(self.shown)
            try:
                more = os.read(self._master, 4096)
            except OSError:  # the other side is closed
                more = b""
            if not more:
                return
            self.shown += more.decode().replace("\r\n", "\n")

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    @property
    def echoes(self) -> bool:
        """Whether keys that are typed are shown."""
        return bool(termios.tcgetattr(self._master)[3] & termios.ECHO)

    def hang_up(self, meanwhile: Callable[[], object]) -> int:
        """Close the terminal, as a closed window or a lost connection does; return the exit code.

        `meanwhile` is done a few times a second until the process has ended.
        """
        os.close(self._master)
        while self.process.poll() is None:
            meanwhile()
            time.sleep(0.2)
        return self.process.returncode

    def ended(self) -> int:
        """Read to the end; return the exit code."""
        self.until("\0")
        os.close(self._master)
        assert "Traceback" not in self.shown
        assert KEY not in self.shown
        return self.process.wait(PATIENCE)


class Shown(NamedTuple):
    """How a command ended on a terminal: its exit code, the screen at its end, and all that it wrote.

    `asked` is the screen at each question, before the answer was typed.
    """

    code: int
    screen: str
    raw: str
    asked: list[str]


class _Watcher(threading.Thread):
    """Reads what a command writes to a terminal, and types the answers when their questions stand there."""

    def __init__(self, master: int, columns: int, answers: Sequence[tuple[str, str]]) -> None:
        super().__init__(daemon=True)
        self._master = master
        self._answers = list(answers)
        self._since = 0
        self.screen = Screen(columns)
        self.raw = ""
        self.asked: list[str] = []
        self.is_over = False

    def run(self) -> None:
        while True:
            is_over = self.is_over  # Asked before, or what is written in between would be lost.
            ready = bool(select.select([self._master], [], [], 0.02)[0])
            if ready:
                more = os.read(self._master, 1 << 16).decode(errors="replace")
                self.raw += more
                self.screen.feed(more)
            elif is_over:
                return
            if self._answers and self._answers[0][0] in self.raw[self._since :]:
                _, answer = self._answers.pop(0)
                self._since = len(self.raw)
                self.asked.append(self.screen.text)
                os.write(self._master, answer.encode())


def on_terminal(
    km: Command,
    *words: str | Path,
    columns: int = 80,
    answers: Sequence[tuple[str, str]] = (),
    typed: str = "",
    **variables: str,
) -> Shown:
    """Run a command in this process, its streams on a terminal of so many columns.

    Each of the `answers` is typed when its question is on the screen. The lines `typed` stand in the
    terminal's input before the command begins.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    kept = {name: value for name, value in km.surroundings().items() if name not in ("NO_COLOR", "COLUMNS")}
    # rich asks the descriptors of this process how wide the terminal is, unless COLUMNS says it.
    surroundings = {**kept, "TERM": "xterm", "COLUMNS": str(columns), **variables}
    if typed:
        os.write(master, typed.encode())
        select.select([slave], [], [])
    watcher = _Watcher(master, columns, answers)
    watcher.start()
    streams = [
        TextIOWrapper(FileIO(os.dup(slave), mode), encoding="utf-8", write_through=True) for mode in "rww"
    ]
    try:
        with patch.dict(os.environ, surroundings, clear=True):
            code = exit_code_of(group, list(map(str, words)), environment(surroundings, *streams))
    finally:
        for stream in streams:
            stream.close()
        watcher.is_over = True
        watcher.join()
        os.close(slave)
        os.close(master)
    assert KEY not in watcher.raw
    assert "Traceback" not in watcher.raw
    return Shown(code, watcher.screen.text, watcher.raw, watcher.asked)
