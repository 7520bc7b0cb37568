"""The meaning of an HTTP answer, or of a network error, for a call. The shared policy decides on the wait.

The reasons here are shown to people, and must not hold a key. Reason phrases and content types go through a
mask afterwards. Errors are described in our own words: their text may hold the URL, which has the key in it.
"""

from __future__ import annotations

import email.utils
import errno
import http.client
import os
import re
import ssl
from typing import NamedTuple

import requests
import urllib3

from km_cli.errors import Exhausted
from km_cli.model import Answer, AnswerKind

MOST_ANSWER = 1 << 16
"""Bytes; an answer of a tracker has a few dozen, and a longer one is not read to its end."""

_IMAGES = (b"GIF87a", b"GIF89a", b"\x89PNG", b"\xff\xd8\xff")
_REJECTED = frozenset({400, 413, 414, 422, 431})
_RETRIED = frozenset({408, 425, 429})
_NEVER_SERVED = frozenset({501, 505})
_OVERLOAD = frozenset({429, 503, 504})
_LONGEST_WAIT = 366 * 24 * 3600.0
"""Seconds; a server may ask for any number of any length, and a larger one is cut to this."""

_REDIRECTED = "if the destination has moved, give its new URL with --to"
_REFUSED = "check the key, and the URL if there is one"
_UNTRUSTED = "look for a proxy on the way; a certificate of your own goes into REQUESTS_CA_BUNDLE"
_PROXY = "look at the proxy's URL in https_proxy, and at its user and password"
_TOO_MANY_FILES = frozenset({errno.EMFILE, errno.ENFILE})
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")
"""The text of http.client's error when a proxy refuses; the error has no type of its own."""

_BROKEN_URL = (
    requests.exceptions.InvalidURL,  # InvalidProxyURL among them
    requests.exceptions.InvalidSchema,
    urllib3.exceptions.LocationParseError,
)


_TAKEN = Answer(AnswerKind.ACKNOWLEDGED)


class Route(NamedTuple):
    """The way to a destination, for messages: its `host`, and the `proxy` in between, or "".

    Neither has a user or a password in it.
    """

    host: str
    proxy: str = ""

    @property
    def next_hop(self) -> str:
        """The host that this machine connects to itself."""
        return f"the proxy {self.proxy}" if self.proxy else self.host


class Reply(NamedTuple):
    """An HTTP answer, whichever library read it. `body` is None if it was too long to be read to its end.

    `content_type` and `retry_after` are headers, None if they are absent.
    """

    status: int
    phrase: str
    content_type: str | None
    retry_after: str | None
    body: bytes | None


def classify_reply(reply: Reply, now: float) -> Answer:
    """Classify an answer. `now` is in seconds since 1970: Retry-After may be a date."""
    status = reply.status
    line = f"HTTP {status} {reply.phrase or _phrase(status)}".strip()
    if status == 200:
        return _classify_image(line, reply.content_type or "image/", reply.body)
    if status in _REJECTED:
        return Answer(AnswerKind.REJECTED, line)
    if _is_retried(status):
        wait = retry_after(reply.retry_after or "", now)
        return Answer(AnswerKind.RETRY, line, wait, is_overload=status in _OVERLOAD)
    if 300 <= status < 400:
        return Answer(
            AnswerKind.REFUSED,
            f"{line}: a redirect is not followed, since it would take the key elsewhere",
            hint=_REDIRECTED,
        )
    if 200 < status < 300:
        return Answer(AnswerKind.NOT_AN_IMAGE, f"{line} instead of an image (W3)")
    return Answer(AnswerKind.REFUSED, f"{line}: the destination refuses all calls", hint=_REFUSED)


def _is_retried(status: int) -> bool:
    return status in _RETRIED or (status >= 500 and status not in _NEVER_SERVED)


def _phrase(status: int) -> str:
    return http.client.responses.get(status, "")


def _classify_image(line: str, kind: str, body: bytes | None) -> Answer:
    """Classify an answer of 200: only a whole image acknowledges a call.

    Kissmetrics answers every call with an image (W3). Anything else comes from a machine on the way, such as
    a sign-in page of a network, and Kissmetrics never saw the call. A body that was cut off may be either.
    """
    if not kind.lower().startswith("image/"):
        return Answer(AnswerKind.NOT_AN_IMAGE, f"{line} with {kind.split(';')[0]} instead of an image (W3)")
    if body is None:
        return Answer(AnswerKind.RETRY, f"{line} with an answer that does not end")
    if not body.startswith(_IMAGES):
        return Answer(AnswerKind.NOT_AN_IMAGE, f"{line} with {len(body)} bytes that are no image (W3)")
    return _TAKEN


def retry_after(text: str, now: float) -> float:
    """Return the seconds that Retry-After asks for, as a number or a date; 0.0 if it asks for none.

    The result is a year at most, for any text of the server.
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST_WAIT)  # float takes any number of digits; int does not
    try:
        asked = email.utils.parsedate_to_datetime(text).timestamp() - now
    except (ValueError, TypeError, IndexError, ArithmeticError):
        return 0.0
    return max(0.0, min(asked, _LONGEST_WAIT))


def classify_error(error: BaseException, route: Route) -> Answer:
    """Classify an error of the HTTP library. Raises Exhausted if this machine has no more files."""
    causes = _causes(error)
    for cause in causes:
        if isinstance(cause, OSError) and cause.errno in _TOO_MANY_FILES:
            raise out_of_files(route) from None
    return (
        _certificate_error(causes, route) or _proxy_error(causes, route) or _connection_error(causes, route)
    )


def _certificate_error(causes: list[BaseException], route: Route) -> Answer | None:
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            whose = route.next_hop if _has(causes, urllib3.exceptions.ProxyError) else route.host
            return untrusted(whose, cause.verify_message)
    return None


def refused_by_proxy(status: int, route: Route) -> Answer:
    """Classify the answer of a proxy that does not connect to the destination."""
    said = f"{route.next_hop} does not connect to {route.host}: HTTP {status} {_phrase(status)}".strip()
    if _is_retried(status):
        return Answer(AnswerKind.RETRY, said)
    return Answer(AnswerKind.REFUSED, said, hint=_PROXY)


def unusable_proxy(route: Route) -> Answer:
    """Classify a proxy without a usable URL."""
    reason = f"the URL of the proxy on the way to {route.host} is not valid"
    return Answer(AnswerKind.REFUSED, reason, hint=_PROXY)


def untrusted(whose: str, why: str) -> Answer:
    """Classify a certificate that cannot be trusted."""
    said = f"the certificate of {whose} cannot be trusted: {why}"
    return Answer(AnswerKind.REFUSED, said, hint=_UNTRUSTED)


def unresolved(route: Route) -> Answer:
    """Classify a host without an address."""
    return Answer(AnswerKind.UNREACHED, f"the name of {route.next_hop} cannot be resolved")


def connection_refused(route: Route) -> Answer:
    """Classify a host that refuses connections."""
    return Answer(AnswerKind.UNREACHED, f"{route.next_hop} refuses connections")


def without_tls(route: Route, why: str) -> Answer:
    """Classify a host with which no encrypted connection can be agreed on: no call was sent."""
    return Answer(AnswerKind.UNREACHED, f"no TLS connection to {route.next_hop} ({why})")


def timed_out(route: Route) -> Answer:
    """Classify an attempt without an answer in time."""
    through = f" through {route.next_hop}" if route.proxy else ""
    return Answer(AnswerKind.RETRY, f"{route.host} did not answer in time{through}", is_overload=True)


def broken(route: Route, why: str) -> Answer:
    """Classify a connection that broke."""
    return Answer(AnswerKind.RETRY, f"the connection to {route.next_hop} broke ({why})")


def out_of_files(route: Route) -> Exhausted:
    """Return the error of a machine without more files."""
    return Exhausted(
        f"no connection to {route.next_hop} can be opened: too many files are open",
        "lower --concurrency or raise the limit (ulimit -n), then run the same command again: it goes on "
        "where it stopped",
    )


def _proxy_error(causes: list[BaseException], route: Route) -> Answer | None:
    """Classify a proxy's refusal to connect, or a proxy without a usable URL; None for other errors."""
    if _has(causes, *_BROKEN_URL):
        return unusable_proxy(route)
    for cause in causes:
        if isinstance(cause, OSError) and (found := _TUNNEL.match(str(cause))):
            return refused_by_proxy(int(found[1]), route)
    return None


def _connection_error(causes: list[BaseException], route: Route) -> Answer:
    if _has(causes, urllib3.exceptions.NameResolutionError):
        return unresolved(route)
    if _has(causes, ConnectionRefusedError):
        return connection_refused(route)
    if _has(causes, requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError):
        return timed_out(route)
    for cause in causes:
        if isinstance(cause, ssl.SSLError) and cause.reason and not isinstance(cause, ssl.SSLEOFError):
            return without_tls(route, cause.reason.replace("_", " ").lower())
    return broken(route, _kind(causes))


def _kind(causes: list[BaseException]) -> str:
    """Return why a connection broke, in the system's words or our own."""
    for cause in causes:
        if isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError) and cause.errno:
            return os.strerror(cause.errno)
    return type(causes[-1]).__name__


def _has(causes: list[BaseException], *kinds: type[BaseException]) -> bool:
    return any(isinstance(cause, kinds) for cause in causes)


def _causes(error: BaseException) -> list[BaseException]:
    """Return the error and those beneath it: causes, contexts, and errors in urllib3's arguments."""
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
