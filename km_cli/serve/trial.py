"""A local Kissmetrics as tests see it: where to send calls, and what arrived."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

_TIMEOUT = 90
"""Seconds; longer than a request with `wait` may take."""

# A proxy of the environment does not know this machine's loopback.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class RefusedError(AssertionError):
    """The server did not do what a test asked of it; the message says why, and what to do."""


class Standin(NamedTuple):
    """A running server. `url` is its base URL; `ledger` is a path for `km-cli import --ledger`.

    The objects that the methods return are those of the API: see `km-cli serve` in the reference.
    """

    url: str
    ledger: Path

    def summary(self) -> dict[str, Any]:
        """Return the counts: received, kept, and merged, changed and dropped by rule."""
        return self._ask("GET", "/api/summary")

    def calls(self, **filters: str | int) -> list[dict[str, Any]]:
        """Return calls, oldest first: person, event, site, text, since, limit; wait="5s" waits for one."""
        return list(self._ask("GET", f"/api/calls?{urlencode(filters)}")["calls"])

    def facts(self, **filters: str | int) -> list[dict[str, Any]]:
        """Return what Kissmetrics would merge, change or drop: rule, since, limit."""
        return list(self._ask("GET", f"/api/facts?{urlencode(filters)}")["facts"])

    def people(self, **filters: str | int) -> list[dict[str, Any]]:
        """Return the list of people: text, site, limit."""
        return list(self._ask("GET", f"/api/people?{urlencode(filters)}")["people"])

    def person(self, identity: str) -> list[dict[str, Any]]:
        """Return a person in each site, with events, properties and timeline. Raises RefusedError."""
        return list(self._ask("GET", f"/api/people/{quote(identity, safe='')}")["people"])

    def delete_calls(self) -> None:
        """Forget all calls."""
        self._ask("DELETE", "/api/calls", {})

    def set_faults(self, **faults: float | str) -> None:
        """Spoil answers from now on: failures, resets, lost, throttled, html, redirects, latency, seed.

        Without arguments all faults are off.
        """
        self._ask("PUT", "/api/faults", faults)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, content, {"Content-Type": "application/json"}, method=method
        )
        try:
            with _OPENER.open(request, timeout=_TIMEOUT) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            with error:
                told = json.load(error)
            raise RefusedError(f"{told['error']}: {told['hint']}") from None
