"""Ending a run early, in good order."""

from __future__ import annotations

from km_cli.errors import KmError


class Stop:
    """Asks a run to finish what is in flight and end; `error` is why, if it was no signal."""

    requested = False
    error: KmError | None = None


class Stopped(Exception):
    """The run ends early: it was asked to, or `error` says why."""

    def __init__(self, error: KmError | None = None) -> None:
        super().__init__()
        self.error = error
