"""Ending a run early, in good order."""

from __future__ import annotations

from km_cli.errors import KmError


class Stop:
    """Asks a run to finish the calls in flight and end. `error` is the reason, None for a signal."""

    requested = False
    error: KmError | None = None


class Stopped(Exception):
    """The run ends early: because of `error`, or because it was asked to."""

    def __init__(self, error: KmError | None = None) -> None:
        super().__init__()
        self.error = error
