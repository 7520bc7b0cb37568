"""How long an import will take, and why."""

from __future__ import annotations

from typing import NamedTuple

from km_cli.cli.terminal.show import counted
from km_cli.config.settings import Settings

_GUESSED = 16
"""Calls in flight, where their number adapts: it is not known before, and this is a cautious guess."""


class Estimate(NamedTuple):
    """The time of an import in words, the calls a second, and why there are not more."""

    duration: str
    rate: float
    reason: str


def estimate(settings: Settings, calls: int) -> Estimate:
    """Estimate the time of so many calls, for a destination that says how long a call takes."""
    seconds_a_call = settings.target.seconds_a_call
    in_flight = settings.concurrency or _GUESSED
    rate = in_flight / seconds_a_call
    if settings.rate and settings.rate < rate:
        return Estimate(duration(calls / settings.rate), settings.rate, "as --rate says")
    guess = "" if settings.concurrency else "about "
    reason = f"if {guess}{in_flight} calls are in flight and each takes {seconds_a_call:g} s"
    return Estimate(duration(calls / rate), rate, reason)


def duration(seconds: float) -> str:
    """Return a time of at least a second in words: `51 seconds`, `3 minutes`."""
    for unit, size in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return counted(max(1, round(seconds)), "second")
