"""What an answer over HTTP, or a fault on the way, means for a call.

The shared policy decides how long to wait. Only words that are safe to tell are taken from elsewhere: reason
phrases and content types pass a mask afterwards, and faults are told by their kind, since their own words may
hold the URL with the key.
"""

from __future__ import annotations

import email.utils
import errno
import http.client
import os
import re
import ssl
import time
from typing import NamedTuple

import requests
import urllib3

from km_cli.errors import Exhausted
from km_cli.model import Answer, Verdict

_IMAGES = (b"GIF87a", b"GIF89a", b"\x89PNG", b"\xff\xd8\xff")
_REJECTED = frozenset({400, 413, 414, 422, 431})
_RETRIED = frozenset({408, 425, 429})
_NEVER_SERVED = frozenset({501, 505})
_LONGEST_WAIT = 366 * 24 * 3600.0
"""Seconds; whoever asks for more, by a number of any length, is understood to ask for this."""

_REDIRECTED = "if the destination has moved, name where to with --to"
_REFUSED = "check the key, and the URL if there is one"
_UNTRUSTED = "look for what sits in between; a certificate of your own goes into REQUESTS_CA_BUNDLE"
_PROXY = "look at the proxy's URL in https_proxy, and at its user and password"
_TOO_MANY_FILES = frozenset({errno.EMFILE, errno.ENFILE})
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")
"""How http.client says that a proxy refused; it has no type of its own for that."""

_BROKEN_URL = (
    requests.exceptions.InvalidURL,  # InvalidProxyURL among them
    requests.exceptions.InvalidSchema,
    urllib3.exceptions.LocationParseError,
)


class Route(NamedTuple):
    """The way to a destination, for people: `host`, and the `proxy` in between, "" for none.

    Neither holds a user or a password.
    """

    host: str
    proxy: str = ""

    @property
    def next_hop(self) -> str:
        """The end of the connection that this machine opens itself."""
        return f"the proxy {self.proxy}" if self.proxy else self.host


def of_response(response: requests.Response, body: bytes | None) -> Answer:
    """Classify an answer; a body of None has no end."""
    status = response.status_code
    said = f"HTTP {status} {response.reason or _phrase(status)}".strip()
    if status == 200:
        return _of_image(said, response.headers.get("Content-Type", "image/"), body)
    if status in _REJECTED:
        return Answer(Verdict.REJECTED, said)
    if _is_retried(status):
        return Answer(Verdict.RETRY, said, retry_after(response.headers.get("Retry-After", ""), time.time()))
    if 300 <= status < 400:
        return Answer(
            Verdict.REFUSED,
            f"{said}: a redirect is not followed, the key goes nowhere else",
            hint=_REDIRECTED,
        )
    if 200 < status < 300:
        return Answer(Verdict.NOT_AN_IMAGE, f"{said} instead of an image (W3)")
    return Answer(Verdict.REFUSED, f"{said}: the destination refuses us", hint=_REFUSED)


def _is_retried(status: int) -> bool:
    return status in _RETRIED or (status >= 500 and status not in _NEVER_SERVED)


def _phrase(status: int) -> str:
    return http.client.responses.get(status, "")


def _of_image(said: str, kind: str, body: bytes | None) -> Answer:
    """Only a whole image acknowledges a call (W3)."""
    if not kind.lower().startswith("image/"):
        return Answer(Verdict.NOT_AN_IMAGE, f"{said} with {kind.split(';')[0]} instead of an image (W3)")
    if body is None:
        return Answer(Verdict.RETRY, f"{said} with an answer that does not end")
    if not body.startswith(_IMAGES):
        return Answer(Verdict.NOT_AN_IMAGE, f"{said} with {len(body)} bytes that are no image (W3)")
    return Answer(Verdict.ACKNOWLEDGED)


def retry_after(text: str, now: float) -> float:
    """Return the seconds that Retry-After asks for, as a number or a date; 0.0 if it does not.

    It is a finite number whatever the server says, a year at most.
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST_WAIT)  # float takes any number of digits; int does not
    try:
        asked = email.utils.parsedate_to_datetime(text).timestamp() - now
    except (ValueError, TypeError, IndexError, ArithmeticError):
        return 0.0
    return max(0.0, min(asked, _LONGEST_WAIT))


def of_fault(error: BaseException, route: Route) -> Answer:
    """Classify what was raised. Raises Exhausted if it is this machine that has no more files."""
    causes = _causes(error)
    for cause in causes:
        if isinstance(cause, OSError) and cause.errno in _TOO_MANY_FILES:
            raise Exhausted(
                f"no connection to {route.next_hop} can be opened: too many files are open",
                "lower --concurrency, or raise the limit (ulimit -n), then run the same command again: it "
                "goes on where it stopped",
            ) from None
    return _of_certificate(causes, route) or _of_proxy(causes, route) or _of_connection(causes, route)


def _of_certificate(causes: list[BaseException], route: Route) -> Answer | None:
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            whose = route.next_hop if _has(causes, urllib3.exceptions.ProxyError) else route.host
            said = f"the certificate of {whose} cannot be trusted: {cause.verify_message}"
            return Answer(Verdict.REFUSED, said, hint=_UNTRUSTED)
    return None


def _of_proxy(causes: list[BaseException], route: Route) -> Answer | None:
    """Return what a proxy answered instead of connecting, or that its URL is none."""
    if _has(causes, *_BROKEN_URL):
        return Answer(Verdict.REFUSED, f"the proxy on the way to {route.host} has no URL to use", hint=_PROXY)
    for cause in causes:
        if isinstance(cause, OSError) and (found := _TUNNEL.match(str(cause))):
            status = int(found[1])
            said = f"{route.next_hop} does not connect to {route.host}: HTTP {status} {_phrase(status)}"
            if _is_retried(status):
                return Answer(Verdict.RETRY, said.strip())
            return Answer(Verdict.REFUSED, said.strip(), hint=_PROXY)
    return None


def _of_connection(causes: list[BaseException], route: Route) -> Answer:
    host = route.host
    if _has(causes, urllib3.exceptions.NameResolutionError):
        return Answer(Verdict.UNREACHED, f"the name of {route.next_hop} cannot be resolved")
    if _has(causes, ConnectionRefusedError):
        return Answer(Verdict.UNREACHED, f"{route.next_hop} refuses connections")
    if _has(causes, requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError):
        through = f" through {route.next_hop}" if route.proxy else ""
        return Answer(Verdict.RETRY, f"{host} did not answer in time{through}")
    return Answer(Verdict.RETRY, f"the connection to {route.next_hop} broke ({_kind(causes)})")


def _kind(causes: list[BaseException]) -> str:
    """Return what broke a connection, in words that are the system's or our own."""
    for cause in causes:
        if isinstance(cause, ssl.SSLError) and cause.reason:
            return f"TLS: {cause.reason.replace('_', ' ').lower()}"
        if isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError) and cause.errno:
            return os.strerror(cause.errno)
    return type(causes[-1]).__name__


def _has(causes: list[BaseException], *kinds: type[BaseException]) -> bool:
    return any(isinstance(cause, kinds) for cause in causes)


def _causes(error: BaseException) -> list[BaseException]:
    """Return the error and what lies beneath: causes, contexts, and what urllib3 keeps in arguments."""
    found: list[BaseException] = []
    waiting: list[BaseException] = [error]
    while waiting:
        at = waiting.pop(0)
        if at in found:
            continue
        found.append(at)
        below = [at.__cause__, at.__context__, getattr(at, "reason", None), *at.args]
        waiting.extend(one for one in below if isinstance(one, BaseException))
    return found
