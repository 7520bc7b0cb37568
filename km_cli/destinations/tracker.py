"""Kissmetrics' tracker over HTTP, or anything that speaks the same: `/e`, `/s`, `/a` below a base URL."""

from __future__ import annotations

import email.utils
import ipaddress
import re
import ssl
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from km_cli.destinations.attempt import BoundedAdapter
from km_cli.destinations.base import LONGEST_GET, QueryEncoder
from km_cli.errors import UsageError
from km_cli.model import Answer, Parcel, Verdict, Wired
from km_cli.protocols import Connection

KISSMETRICS = "https://trk.kissmetrics.io"
ALSO_KISSMETRICS = frozenset({KISSMETRICS, "https://trk.kissmetrics.com"})
"""Its hosts (W1): what went out by one is not sent again by the other."""

_MOST_ANSWER = 1 << 16
_IMAGES = (b"GIF87a", b"GIF89a", b"\x89PNG", b"\xff\xd8\xff")
_REJECTED = frozenset({400, 413, 414, 422, 431})
_RETRIED = frozenset({408, 425, 429})
_NEVER_SERVED = frozenset({501, 505})
_EXAMPLE = "for example: --to https://tracker.example.com"


def check_url(url: str) -> str:
    """Return the base URL in one spelling, without a trailing slash: the ledger knows a tracker by it.

    Raises UsageError for where no key may go; what may be a secret in it is not told.
    """
    if "@" in url:
        raise UsageError(
            "--to has a user or password in its URL", "leave it out; the key comes from the environment"
        )
    said = re.split("[?#]", url)[0]
    if said != url:
        raise UsageError(f"--to {said!r} is followed by a query: it is no base URL", _EXAMPLE)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"--to {url!r} is no URL: {error}", _EXAMPLE) from None
    host = parts.hostname or ""
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise UsageError(
            f"--to {url!r} has characters that no URL has", "write them percent-encoded, a host in Punycode"
        )
    if parts.scheme not in ("http", "https"):
        raise UsageError(f"--to {url!r} is no destination", "use kissmetrics, a URL, or local[:PATH]")
    if not host:
        raise UsageError(f"--to {url!r} is no base URL", _EXAMPLE)
    if parts.scheme == "http" and not _is_loopback(host):
        raise UsageError(
            f"--to {url}: the key would travel unencrypted", "use https://, or http:// to this machine only"
        )
    place = f"[{host}]" if ":" in host else host
    if port is not None and port != {"http": 80, "https": 443}[parts.scheme]:
        place += f":{port}"
    return f"{parts.scheme}://{place}{parts.path.rstrip('/')}"


def _is_loopback(host: str) -> bool:
    """Tell whether a host is this machine; a name like 127.example.com is not."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_REDIRECTED = "if the destination has moved, name where to with --to"
_REFUSED = "check the key, and the URL if there is one"
_UNTRUSTED = "look for what sits in between; a certificate of your own goes into REQUESTS_CA_BUNDLE"


class TrackerDestination:
    """Sends each call as one request. `keys` maps a site's name to its API key."""

    at_once = 1
    workers = 1024

    def __init__(self, url: str, keys: Mapping[str, str], *, timeout: float = 30.0) -> None:
        self.url = url
        self._keys = dict(keys)
        self._timeout = timeout
        self._encoder = QueryEncoder()
        # Looked up once: with trust_env requests asks the environment for every call.
        # Not for this machine itself: a proxy would see the key in the clear.
        with requests.Session() as session:
            session.trust_env = not url.startswith("http:")
            self._environ = session.merge_environment_settings(url, {}, None, None, None)

    def encode(self, call: Wired, second: int) -> bytes:
        """Return path and query without the key."""
        return self._encoder.encode(call, second)

    def connect(self) -> Connection:
        """Return a connection of its own for one worker."""
        return _Session(self.url, self._keys, self._environ, self._timeout)


class _Session:
    """One worker's connection, its requests reused: only the URL changes from call to call.

    Calls go to requests' adapter itself: a session around it would keep cookies and look for redirects.
    """

    def __init__(self, url: str, keys: Mapping[str, str], environ: Mapping[str, Any], timeout: float) -> None:
        self._url = url
        self._keys = keys
        self._timeout = (min(5.0, timeout), min(15.0, timeout))
        connect, read = self._timeout
        self._adapter = BoundedAdapter(max(read, timeout - connect), read)
        self._how = {"verify": environ["verify"], "proxies": dict(environ["proxies"])}
        with requests.Session() as session:
            session.trust_env = False
            self._get = session.prepare_request(requests.Request("GET", url + "/e"))
            self._post = session.prepare_request(requests.Request("POST", url + "/e", data={"_": ""}))

    def send(self, parcels: Sequence[Parcel]) -> Answer:
        """Send one call; whatever happens comes back as an answer."""
        (parcel,) = parcels
        try:
            response = self._adapter.send(
                self._request(parcel), stream=True, timeout=self._timeout, **self._how
            )
            try:
                body = self._read(response)
            finally:
                response.close()
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            return _of_fault(error, self._url)
        return _of_response(response, body)

    def _request(self, parcel: Parcel) -> requests.PreparedRequest:
        path, _, query = parcel.payload.decode("ascii").partition("?")
        key = self._keys[parcel.site]
        if len(self._url) + len(parcel.payload) <= LONGEST_GET:
            self._get.url = f"{self._url}{path}?_k={key}&{query}"
            return self._get
        self._post.url = self._url + path
        self._post.body = f"_k={key}&{query}"
        self._post.headers["Content-Length"] = str(len(self._post.body))
        return self._post

    def _read(self, response: requests.Response) -> bytes | None:
        """Return the whole body; None if it has no end in sight. Then the connection is closed."""
        body = b""
        while data := response.raw.read1(_MOST_ANSWER, decode_content=True):
            body += data
            if len(body) > _MOST_ANSWER:
                return None
        return body

    def close(self) -> None:
        """Close the connection."""
        self._adapter.close()


def _of_response(response: requests.Response, body: bytes | None) -> Answer:
    """Classify an answer; what to do then is the shared policy's business."""
    status = response.status_code
    said = f"HTTP {status} {response.reason or ''}".strip()
    if status == 200:
        return _of_image(said, response.headers.get("Content-Type", "image/").lower(), body)
    if status in _REJECTED:
        return Answer(Verdict.REJECTED, said)
    if status in _RETRIED or (status >= 500 and status not in _NEVER_SERVED):
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


def _of_image(said: str, kind: str, body: bytes | None) -> Answer:
    """Only a whole image acknowledges a call (W3)."""
    if not kind.startswith("image/"):
        return Answer(Verdict.NOT_AN_IMAGE, f"{said} with {kind.split(';')[0]} instead of an image (W3)")
    if body is None:
        return Answer(Verdict.RETRY, f"{said} with an answer that does not end")
    if not body.startswith(_IMAGES):
        return Answer(Verdict.NOT_AN_IMAGE, f"{said} with {len(body)} bytes that are no image (W3)")
    return Answer(Verdict.ACKNOWLEDGED)


def retry_after(text: str, now: float) -> float:
    """Return the seconds that Retry-After asks for, as a number or a date; 0.0 if it does not."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, IndexError, ArithmeticError):
        return 0.0


def _of_fault(error: BaseException, url: str) -> Answer:
    """Classify what was raised; it may hold the URL with the key, so only its kind is told."""
    causes = list(_causes(error))
    host = urlsplit(url).netloc
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return Answer(Verdict.REFUSED, f"the certificate of {host} cannot be trusted", hint=_UNTRUSTED)
    if any(isinstance(cause, urllib3.exceptions.NameResolutionError) for cause in causes):
        return Answer(Verdict.UNREACHED, f"the name {host} cannot be resolved")
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return Answer(Verdict.UNREACHED, f"{host} refuses connections")
    if any(
        isinstance(cause, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError)
        for cause in causes
    ):
        return Answer(Verdict.RETRY, f"{host} did not answer in time")
    return Answer(Verdict.RETRY, f"the connection to {host} broke ({type(causes[-1]).__name__})")


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
