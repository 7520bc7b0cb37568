"""Calls that a destination cannot hold: they are rejected before they take a second."""

from __future__ import annotations

from collections.abc import Callable

from km_cli.model import Wired
from km_cli.planning.decision import NotPlanned

Limits = Callable[[Wired], str]
"""Returns the reason why a destination cannot hold a call, "" if it can."""

UNFIT = "unfit"
"""The code of rejects: the destination has no way to hold the call."""


def check_limits(limits: Limits | None, call: Wired) -> None:
    """Raise NotPlanned if the destination cannot hold a call. None: it holds all."""
    if limits is not None and (reason := limits(call)):
        raise NotPlanned(UNFIT, reason)
