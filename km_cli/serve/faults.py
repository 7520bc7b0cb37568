"""Faults on demand: the share of calls that meet each, and which call meets which.

A fault spoils answers of `/e`, `/s` and `/a` only. Which calls meet it depends on the seed and on the
number of the call since the faults were set, and on nothing else: the same seed spoils the same calls
again.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple

from km_cli.errors import UsageError, did_you_mean


class Fault(Enum):
    """A way in which an answer goes wrong. Only with LOST and NONE is the call kept."""

    NONE = "none"
    FAILURE = "failures"
    RESET = "resets"
    LOST = "lost"
    THROTTLED = "throttled"
    HTML = "html"
    REDIRECT = "redirects"


class Faults(NamedTuple):
    """The faults in force.

    `latency` is in seconds and is added to each answer; `retry_after` is the value of that header.
    The others are shares of all calls, from 0 to 1, and together at most 1. `failures` are answers of 503;
    `resets` cut the connection before the call is kept, `lost` after it is kept; `throttled` are answers of
    429, `html` a sign-in page with 200, `redirects` answers of 302 to another address.
    """

    seed: int = 0
    latency: float = 0
    failures: float = 0
    resets: float = 0
    lost: float = 0
    throttled: float = 0
    html: float = 0
    redirects: float = 0
    retry_after: str = "1"


_SHARES = tuple(fault.value for fault in Fault if fault is not Fault.NONE)
_MOST_LATENCY = 3600


def make_faults(given: Mapping[str, Any], name: str = "faults") -> Faults:
    """Return the faults that a mapping describes; those not named are off. Raises UsageError."""
    known = Faults._fields
    for field in given:
        if field not in known:
            raise UsageError(f"{name}: there is no fault {field!r}", did_you_mean(field, known, _list(known)))
    faults = Faults(**{field: _checked(field, value, name) for field, value in given.items()})
    whole = sum(getattr(faults, share) for share in _SHARES)
    if whole > 1:
        raise UsageError(f"{name}: the shares add up to {whole:g}", "lower some: together they are at most 1")
    return faults


def _list(known: tuple[str, ...]) -> str:
    return f"they are {', '.join(known)}"


def _checked(field: str, value: Any, name: str) -> Any:
    """Return the value of one field as its type. Raises UsageError."""
    if field == "retry_after":
        text = str(value).strip()  # no header begins or ends with a blank
        is_value = isinstance(value, str | int | float) and not isinstance(value, bool)
        if not (is_value and text.isascii() and text.isprintable() and len(text) <= 100):
            raise UsageError(
                f"{name}: retry_after is not the value of a header", "write seconds or an HTTP date"
            )
        return text
    most = {"seed": 2**53, "latency": _MOST_LATENCY}.get(field, 1)
    try:
        if isinstance(value, bool):
            raise ValueError
        number = int(value) if field == "seed" else float(value)
        if not 0 <= number <= most:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        kind = "a whole number" if field == "seed" else "a number"
        unit = " (seconds)" if field == "latency" else ""
        raise UsageError(
            f"{name}: {field} is not {kind} from 0 to {most:,}{unit}", "for example failures=0.1, latency=0.2"
        ) from None
    return number


class Drawing:
    """Draws the fault of one call after another; new faults begin at their first call again."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._number = 0

    def set(self, faults: Faults) -> None:
        """Put other faults in force."""
        self.faults, self._number = faults, 0

    def next(self) -> Fault:
        """Return the fault of the next call."""
        number, faults = self._number, self.faults
        self._number += 1
        point = random.Random(f"{faults.seed}:{number}").random()
        for share in _SHARES:
            point -= getattr(faults, share)
            if point < 0:
                return Fault(share)
        return Fault.NONE
