"""The interface of a destination: a place that `--to` names, and how calls look on the wire (W1, W2, W4).

A destination is one file with a subclass of Target, registered by its scheme in `km_cli.destinations`. The
rest of km_cli asks the target for its properties, and never compares the names of destinations.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import quote

from km_cli.destinations.series import Series
from km_cli.memory import Remembered
from km_cli.model import Alias, Record, Wired
from km_cli.protocols import Clock, Destination


@dataclass(frozen=True)
class Target(ABC):
    """A place that `--to` names.

    `tracker` is the name under which the ledger keeps the calls that were sent there. Two targets with the
    same name are one to the ledger. `place` is the URL or the path, for messages.
    """

    tracker: str
    place: str

    spelling: ClassVar[str]
    """How `--to` is written for it, for hints and `--help`. It may say in a few words where calls go."""

    needs_key: bool = False
    """Whether every site needs its API key."""

    asks_first: bool = False
    """Whether an import from a terminal shows the first sequences and asks before it sends anything."""

    seconds_a_call: float = 0.0
    """The seconds that a call is assumed to take, for the estimate of a dry run; 0.0 for no estimate."""

    spelled: str = ""
    """How `--to` was written, for commands that messages propose."""

    own_ledger: Path | None = None
    """The file that holds both its store and its ledger, if it has one; `--to` is then `tracker:PATH`.

    None: the usual ledger is used, and --ledger may name another."""

    @classmethod
    @abstractmethod
    def parse(cls, to: str, folder: Path) -> Self:
        """Return the target that `to` names; `folder` is where km-cli keeps files of its own.

        Raises UsageError if `to` names no such place, or a place where no key may go.
        """

    @abstractmethod
    def open(self, keys: Mapping[str, str], timeout: float, clock: Clock) -> Destination:
        """Return the destination, which encodes calls and makes connections. Nothing is contacted yet.

        `keys` maps sites to API keys, `timeout` is the limit of one attempt, in seconds.
        """

    @property
    def route(self) -> str:
        """The name under which the ledger keeps its pending calls and its pauses."""
        return self.tracker

    def kept(self) -> Mapping[str, Any] | None:
        """Return the counts of its store; None without a store, or if it cannot be read."""
        return None

    def limits(self) -> Callable[[Wired], str] | None:
        """Return the function that says why it cannot hold a call, "" if it can; None if it holds all."""
        return None

    def bulk(self) -> Series | None:
        """Return the files that calls are written to; None if calls are sent one by one, and answered."""
        return None

    def check(self) -> None:  # noqa: B027 - most places have nothing to check
        """Raise UsageError if it cannot be used, as far as that can be seen before a run."""


LONGEST_GET = 2048
"""Characters of a URL without the key; above it the call is a POST form (W1)."""

_LONGEST_REMEMBERED = 100
_MOST_REMEMBERED = 100_000


class QueryEncoder:
    """Encodes calls as a path and a query.

    The bytes are `/e?_p=…&_n=…&_t=…&_d=1&NAME=VALUE…`, final but for the key; `/s` without an event; of an
    alias `/a?_p=…&_n=…`, whose time does not matter. The same names and values come again and again, so each
    is percent-encoded once and remembered.
    """

    def __init__(self) -> None:
        self._quoted: Remembered[str, str] = Remembered(_MOST_REMEMBERED)
        self._pairs: Remembered[tuple[str, str], str] = Remembered(_MOST_REMEMBERED)
        self._last: tuple[object, str] = (None, "")

    def encode(self, call: Wired, second: int) -> bytes:
        """Return the call's final bytes but for the key. Without `_d=1` the time would be ignored (W2)."""
        person = self._quoted.get(call.identity) or self._quote(call.identity)
        if type(call) is Alias:
            return f"/a?_p={person}&_n={quote(call.other, safe='')}".encode("ascii")
        assert not isinstance(call, Alias)
        if self._last[0] is not call.properties:  # the calls of one row mostly share their properties
            pairs = self._pairs
            parts = [pairs.get(pair) or self._pair(pair) for pair in call.properties]
            self._last = (call.properties, "".join(parts))
        if type(call) is not Record:
            return f"/s?_p={person}&_t={second}&_d=1{self._last[1]}".encode("ascii")
        event = self._quoted.get(call.event) or self._quote(call.event)
        return f"/e?_p={person}&_n={event}&_t={second}&_d=1{self._last[1]}".encode("ascii")

    def _quote(self, text: str) -> str:
        return self._quoted.remember(text, quote(text, safe=""))

    def _pair(self, pair: tuple[str, str]) -> str:
        encoded = f"&{quote(pair[0], safe='')}={quote(pair[1], safe='')}"
        if len(encoded) <= _LONGEST_REMEMBERED:  # a long text hardly comes again, and would fill the memory
            self._pairs.remember(pair, encoded)
        return encoded
