"""What every destination shares: how a call looks on the wire (W1, W2, W4)."""

from __future__ import annotations

from urllib.parse import quote

from km_cli.model import Alias, Record, Wired

LONGEST_GET = 2048
"""Characters of a URL without the key; above it the call is a POST form (W1)."""

_LONGEST_KEPT = 100
_MOST_KEPT = 100_000


class QueryEncoder:
    """Encodes calls as a path and a query, each repeated part once.

    The bytes are `/e?_p=…&_n=…&_t=…&_d=1&NAME=VALUE…`, final but for the key; `/s` without an event; of an
    alias `/a?_p=…&_n=…`, whose time does not matter.
    """

    def __init__(self) -> None:
        self._quoted: dict[str, str] = {}
        self._pairs: dict[tuple[str, str], str] = {}
        self._last: tuple[object, str] = (None, "")

    def encode(self, call: Wired, second: int) -> bytes:
        """Return the call's final bytes but for the key. `_d=1`, or the time would be ignored (W2)."""
        person = self._quoted.get(call.identity) or self._quote(call.identity)
        if type(call) is Alias:
            return f"/a?_p={person}&_n={quote(call.other, safe='')}".encode("ascii")
        assert not isinstance(call, Alias)
        if self._last[0] is not call.properties:
            pairs = self._pairs
            if len(pairs) > _MOST_KEPT:
                pairs.clear()
            parts = [pairs.get(pair) or self._pair(pair) for pair in call.properties]
            self._last = (call.properties, "".join(parts))
        if type(call) is not Record:
            return f"/s?_p={person}&_t={second}&_d=1{self._last[1]}".encode("ascii")
        event = self._quoted.get(call.event) or self._quote(call.event)
        return f"/e?_p={person}&_n={event}&_t={second}&_d=1{self._last[1]}".encode("ascii")

    def _quote(self, text: str) -> str:
        if len(self._quoted) > _MOST_KEPT:
            self._quoted.clear()
        quoted = self._quoted[text] = quote(text, safe="")
        return quoted

    def _pair(self, pair: tuple[str, str]) -> str:
        made = f"&{quote(pair[0], safe='')}={quote(pair[1], safe='')}"
        if len(made) <= _LONGEST_KEPT:  # long texts hardly come again, and would fill the memory
            self._pairs[pair] = made
        return made
