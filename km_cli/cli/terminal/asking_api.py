"""Says what happens while the Query API is asked: each list on a terminal, and longer waits anywhere."""

from __future__ import annotations

from km_cli.cli.terminal.show import counted, say

_LONG = 5.0
"""Seconds; a shorter wait is not worth a line."""


class ApiWatcher:
    """Prints lines to standard error. Off a terminal, each reason to wait is printed once."""

    def __init__(self, *, is_shown: bool, is_quiet: bool) -> None:
        self._is_shown = is_shown and not is_quiet
        self._is_quiet = is_quiet
        self._asked = ""
        self._waited: set[str] = set()

    def asking(self, what: str, names: int) -> None:
        """Print which list is asked for, once."""
        if self._is_shown and what != self._asked:
            self._asked = what
            say(f"asking for {what}", to_stderr=True)
        elif self._is_shown and names:
            say(f"  {counted(names, 'name')} so far", to_stderr=True)

    def waiting(self, seconds: float, why: str) -> None:
        """Print a wait and its reason."""
        if self._is_quiet or seconds < _LONG or (not self._is_shown and why in self._waited):
            return
        self._waited.add(why)
        say(f"waiting {seconds:,.0f} s: {why}", to_stderr=True)
