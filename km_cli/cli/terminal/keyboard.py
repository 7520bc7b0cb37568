"""The keyboard of the person who watches a run: answers to questions, and Enter while km-cli works."""

from __future__ import annotations

import os
import select
import signal
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, TextIO

from km_cli.config.environment import Environment

_LONGEST = 1024
"""Bytes of an answer. The rest of a longer one counts as the next."""


class Keyboard:
    """Lines that are typed. They come from standard input, or from the terminal if that is the log.

    Keys are read from the descriptor itself: a buffer of Python would keep what was typed too early.
    """

    def __init__(self, source: TextIO, *, is_own: bool) -> None:
        """`is_own` if the source was opened for this object, which closes it then."""
        self._source = source
        self._is_own = is_own

    @classmethod
    def of(cls, environment: Environment) -> Keyboard | None:
        """Return the keyboard of the person who can answer, None if there is none."""
        if environment.stdin.isatty():
            return cls(environment.stdin, is_own=False)
        if not environment.shows_progress:
            return None
        try:
            return cls(open("/dev/tty", encoding="utf-8"), is_own=True)
        except OSError:
            return None

    def discard(self) -> None:
        """Forget what was typed so far: it is no answer to a question that was not asked yet."""
        with suppress(termios.error, OSError, ValueError):
            termios.tcflush(self._source.fileno(), termios.TCIFLUSH)

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Show no keys that are pressed meanwhile: Enter would move the progress up, out of its place.

        A process that is told to end shows them again before it does.
        """
        try:
            before = termios.tcgetattr(self._source.fileno())
        except (termios.error, OSError, ValueError):
            yield
            return
        silent = [*before]
        silent[3] = before[3] & ~termios.ECHO

        def end(number: int, _frame: FrameType | None) -> None:
            self._set(before)
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

        handler = signal.signal(signal.SIGTERM, end)
        self._set(silent)
        try:
            yield
        finally:
            self._set(before)
            signal.signal(signal.SIGTERM, handler)

    def _set(self, attributes: list[Any]) -> None:
        with suppress(termios.error, OSError, ValueError):
            termios.tcsetattr(self._source.fileno(), termios.TCSANOW, attributes)

    def has_line(self) -> bool:
        """Tell whether Enter was pressed, or the terminal is gone."""
        try:
            return bool(select.select([self._source.fileno()], [], [], 0)[0])
        except (OSError, ValueError):
            return False

    def line(self) -> str:
        """Wait for a line and return it with its end; "" if there will be none."""
        try:
            return os.read(self._source.fileno(), _LONGEST).decode(errors="replace")
        except OSError:
            return ""

    def close(self) -> None:
        """Close the terminal, if it was opened for this object."""
        if self._is_own:
            self._source.close()
