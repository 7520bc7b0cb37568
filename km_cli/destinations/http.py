"""Sending calls to a tracker over HTTP, one request a call."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import requests
import urllib3

from km_cli.destinations.answers import MOST_ANSWER, Reply, classify_error
from km_cli.destinations.attempt import BoundedAdapter
from km_cli.destinations.base import QueryEncoder
from km_cli.destinations.trust import check_bundle
from km_cli.destinations.wire import USER_AGENT, Wire, make_wire
from km_cli.model import Answer, PlannedCall, Wired
from km_cli.protocols import Connection, Transfers


class TrackerDestination:
    """Sends each call as one request. `keys` maps a site's name to its API key, "" to send nothing.

    `now` returns seconds since 1970. Raises UsageError if the certificates to trust cannot be read.
    """

    at_once = 1
    workers = 1024

    def __init__(
        self,
        url: str,
        keys: Mapping[str, str],
        *,
        timeout: float = 30.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.url = url
        self._encoder = QueryEncoder()
        self._wire = make_wire(url, keys, timeout, now)
        if any(keys.values()) and url.startswith("https:"):
            check_bundle(self._wire.verify)

    def encode(self, call: Wired, second: int) -> bytes:
        """Return path and query without the key."""
        return self._encoder.encode(call, second)

    def connect(self) -> Connection:
        """Return a connection for one worker."""
        return _Session(self._wire)

    def transfers(self, most: int) -> Transfers:
        """Return transfers by libcurl. Raises TransportError if pycurl cannot be used."""
        from km_cli.destinations.curl import CurlTransfers

        return CurlTransfers(self._wire, most)


class _Session:
    """One worker's connection. Its requests are reused: only the URL changes from call to call.

    It sends with the adapter of requests, without a session: a session would keep cookies and follow
    redirects.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._timeout = (wire.connect, wire.read)
        self._adapter = BoundedAdapter(max(wire.read, wire.whole - wire.connect), wire.read)
        self._options = {"verify": wire.verify, "proxies": dict(wire.proxies)}
        with requests.Session() as session:
            session.trust_env = False
            session.headers["User-Agent"] = USER_AGENT
            self._get = session.prepare_request(requests.Request("GET", wire.url + "/e"))
            self._post = session.prepare_request(requests.Request("POST", wire.url + "/e", data={"_": ""}))

    def send(self, planned_calls: Sequence[PlannedCall]) -> Answer:
        """Send one call. A network error is returned as an answer too; no answer has a key in its text.

        Raises Exhausted if this machine has no more files.
        """
        (planned_call,) = planned_calls
        try:
            response = self._adapter.send(
                self._request(planned_call), stream=True, timeout=self._timeout, **self._options
            )
            try:
                body = self._read(response)
            finally:
                response.close()
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            return self._wire.masked(classify_error(error, self._wire.route))
        headers = response.headers
        kind, wait = headers.get("Content-Type"), headers.get("Retry-After")
        return self._wire.classify(Reply(response.status_code, response.reason or "", kind, wait, body))

    def _request(self, planned_call: PlannedCall) -> requests.PreparedRequest:
        url, form = self._wire.request(planned_call)
        request = self._get if form is None else self._post
        request.url = url
        if form is not None:
            request.body = form
            request.headers["Content-Length"] = str(len(form))
        return request

    def _read(self, response: requests.Response) -> bytes | None:
        """Return the whole body, or None if it is too long; the connection is closed then."""
        body = b""
        while data := response.raw.read1(MOST_ANSWER, decode_content=True):
            body += data
            if len(body) > MOST_ANSWER:
                return None
        return body

    def close(self) -> None:
        """Close the connection."""
        self._adapter.close()
