"""Sending calls to a tracker over HTTP, one request a call."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.utils import select_proxy

from km_cli.destinations.answers import MOST_ANSWER, Reply, Route, classify_error, classify_reply
from km_cli.destinations.attempt import BoundedAdapter
from km_cli.destinations.base import LONGEST_GET, QueryEncoder
from km_cli.destinations.masking import Mask
from km_cli.destinations.trust import check_bundle
from km_cli.model import Answer, OutboxCall, Wired
from km_cli.protocols import Connection, Transfers


def _place(url: str) -> str:
    """Return host and port of a proxy's URL, and no more of it: a password may stand anywhere."""
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        if parts.hostname and "@" not in f"{parts.path}{parts.query}{parts.fragment}":
            return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
    except ValueError:
        pass
    return "of https_proxy"


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
        self._keys = dict(keys)
        self._timeout = timeout
        self._now = now
        self._encoder = QueryEncoder()
        # Proxies and certificates are looked up once: with trust_env requests does so for every call.
        # A tracker on this machine is reached without a proxy, which would see the key unencrypted.
        with requests.Session() as session:
            session.trust_env = not url.startswith("http:")
            self._environ = session.merge_environment_settings(url, {}, None, None, None)
        proxy = select_proxy(url, dict(self._environ["proxies"]))
        self._route = Route(urlsplit(url).netloc, _place(proxy) if proxy else "")
        self._mask = Mask(self._keys.values())
        if any(self._keys.values()) and url.startswith("https:"):
            check_bundle(self._environ["verify"])

    def encode(self, call: Wired, second: int) -> bytes:
        """Return path and query without the key."""
        return self._encoder.encode(call, second)

    def connect(self) -> Connection:
        """Return a connection for one worker."""
        return _Session(
            self.url, self._keys, self._environ, self._timeout, self._route, self._mask, self._now
        )

    def transfers(self, most: int) -> Transfers:
        """Return transfers by libcurl. Raises TransportError if pycurl cannot be used."""
        from km_cli.destinations.curl import CurlTransfers

        return CurlTransfers(
            self.url, self._keys, self._environ, self._timeout, self._route, self._mask, self._now, most
        )


class _Session:
    """One worker's connection. Its requests are reused: only the URL changes from call to call.

    It sends with the adapter of requests, without a session: a session would keep cookies and follow
    redirects.
    """

    def __init__(
        self,
        url: str,
        keys: Mapping[str, str],
        environ: Mapping[str, Any],
        timeout: float,
        route: Route,
        mask: Mask,
        now: Callable[[], float],
    ) -> None:
        self._url = url
        self._now = now
        self._keys = keys
        self._route = route
        self._mask = mask
        self._timeout = (min(5.0, timeout), min(15.0, timeout))
        connect, read = self._timeout
        self._adapter = BoundedAdapter(max(read, timeout - connect), read)
        self._options = {"verify": environ["verify"], "proxies": dict(environ["proxies"])}
        with requests.Session() as session:
            session.trust_env = False
            self._get = session.prepare_request(requests.Request("GET", url + "/e"))
            self._post = session.prepare_request(requests.Request("POST", url + "/e", data={"_": ""}))

    def send(self, outbox_calls: Sequence[OutboxCall]) -> Answer:
        """Send one call. A network error is returned as an answer too; no answer has a key in its text.

        Raises Exhausted if this machine has no more files.
        """
        answer = self._attempt(outbox_calls)
        return answer._replace(reason=self._mask(answer.reason)) if answer.reason else answer

    def _attempt(self, outbox_calls: Sequence[OutboxCall]) -> Answer:
        (outbox_call,) = outbox_calls
        try:
            response = self._adapter.send(
                self._request(outbox_call), stream=True, timeout=self._timeout, **self._options
            )
            try:
                body = self._read(response)
            finally:
                response.close()
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            return classify_error(error, self._route)
        headers = response.headers
        return classify_reply(
            Reply(
                response.status_code,
                response.reason or "",
                headers.get("Content-Type"),
                headers.get("Retry-After"),
                body,
            ),
            self._now(),
        )

    def _request(self, outbox_call: OutboxCall) -> requests.PreparedRequest:
        path, _, query = outbox_call.payload.decode("ascii").partition("?")
        key = self._keys[outbox_call.site]
        if len(self._url) + len(outbox_call.payload) <= LONGEST_GET:
            self._get.url = f"{self._url}{path}?_k={key}&{query}"
            return self._get
        self._post.url = self._url + path
        self._post.body = f"_k={key}&{query}"
        self._post.headers["Content-Length"] = str(len(self._post.body))
        return self._post

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
