"""All that a sender has to know, whichever library sends: address, keys, proxies, certificates, limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
from requests.utils import select_proxy

from km_cli.destinations.answers import Reply, Route, classify_reply
from km_cli.destinations.base import LONGEST_GET
from km_cli.destinations.masking import Mask
from km_cli.model import Answer, PlannedCall

USER_AGENT = "km-cli"


class Wire(NamedTuple):
    """The way to a tracker.

    `proxies` and `verify` are as requests takes them, `proxy` is the one for this URL or "". `connect`,
    `read` and `whole` are the most seconds that a connection, a pause of the answer, and an attempt may take.
    `now` returns seconds since 1970: Retry-After may be a date.
    """

    url: str
    keys: Mapping[str, str]
    proxies: Mapping[str, str]
    proxy: str
    verify: Any
    connect: float
    read: float
    whole: float
    route: Route
    mask: Mask
    now: Callable[[], float]

    def request(self, planned_call: PlannedCall) -> tuple[str, str | None]:
        """Return the URL of a call with its key, and the form to post if the URL would become too long."""
        path, _, query = planned_call.payload.decode("ascii").partition("?")
        query = f"_k={self.keys[planned_call.site]}&{query}"
        if len(self.url) + len(planned_call.payload) <= LONGEST_GET:
            return f"{self.url}{path}?{query}", None
        return self.url + path, query

    def classify(self, reply: Reply) -> Answer:
        """Classify an answer, without a key in its text."""
        return self.masked(classify_reply(reply, self.now()))

    def masked(self, answer: Answer) -> Answer:
        """Return an answer without a key in its text."""
        return answer._replace(reason=self.mask(answer.reason)) if answer.reason else answer


def make_wire(url: str, keys: Mapping[str, str], timeout: float, now: Callable[[], float]) -> Wire:
    """Return the way to a tracker from this machine, as its environment describes it.

    Proxies and certificates are looked up once: with trust_env requests does so for every call. A tracker on
    this machine is reached without a proxy, which would see the key unencrypted.
    """
    with requests.Session() as session:
        session.trust_env = not url.startswith("http:")
        found = session.merge_environment_settings(url, {}, None, None, None)
    proxies = dict(found["proxies"])
    proxy = select_proxy(url, proxies) or ""
    connect, read = min(5.0, timeout), min(15.0, timeout)
    return Wire(
        url,
        dict(keys),
        proxies,
        proxy,
        found["verify"],
        connect,
        read,
        max(read, timeout),
        Route(urlsplit(url).netloc, _place(proxy) if proxy else ""),
        Mask(keys.values()),
        now,
    )


def _place(url: str) -> str:
    """Return host and port of a proxy's URL, and no more of it: a password may stand anywhere."""
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        if parts.hostname and "@" not in f"{parts.path}{parts.query}{parts.fragment}":
            return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
    except ValueError:
        pass
    return "of https_proxy"
