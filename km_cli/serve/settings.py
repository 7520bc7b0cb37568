"""What a server is started with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from km_cli.errors import UsageError
from km_cli.model import Persona
from km_cli.serve.faults import Faults

PORT = 8808
LOOPBACK = "127.0.0.1"

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*(ms|s|m|h|d)?", re.ASCII)


class ServeSettings(NamedTuple):
    """The settings of a server.

    `store` is the file of the store. A `port` of 0 is any free one. `keys` has the API key of each site that
    has a name; they are compared, and never stored. `show_after` is how many seconds the Query API takes to
    show a call (Q4), `queries_a_minute` its limit (Q1).
    """

    store: Path
    host: str = LOOPBACK
    port: int = PORT
    keys: Mapping[str, str] = {}
    personas: tuple[Persona, ...] = ()
    show_after: float = 0
    queries_a_minute: int = 15
    faults: Faults = Faults()
    is_verbose: bool = False


def seconds_of(text: str, name: str) -> float:
    """Return the seconds of a time such as 90m, 5s, 250ms or 0. `name` begins the message of UsageError."""
    found = _SPAN.fullmatch(text.strip().casefold())
    if found is None:
        raise UsageError(f"{name} {text!r} is not a time", "write it as 5s, 250ms, 90m, 12h or 1d")
    return float(found[1]) * _UNITS[found[2] or "s"]
