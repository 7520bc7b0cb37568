"""Requests to the Query API: paced, without redirects, and the credentials go nowhere else."""

from __future__ import annotations

import base64
from typing import NamedTuple, Protocol

import requests
import urllib3

from km_cli.destinations.answers import Reply, classify_error, retry_after
from km_cli.destinations.attempt import BoundedAdapter
from km_cli.destinations.trust import check_bundle
from km_cli.destinations.wire import USER_AGENT, make_wire
from km_cli.errors import Unavailable
from km_cli.protocols import Clock
from km_cli.verify.pace import MOST_A_MINUTE, Pace, sleep_by

_MOST_ANSWER = 8 << 20
"""Bytes; a page of 50 names has some ten thousand."""

_ATTEMPTS = 3
_WAITS = (2.0, 10.0)
"""Seconds before the second and the third attempt at an answer that may be better next time."""

_MINUTE = 60.0
_LONGEST_WAIT = 300.0
_MOST_REFUSALS = 5
"""How often one request is sent again because the limit is exhausted (Q1): another program may ask, too."""

_SOMETHING_BETWEEN = "look for a proxy on the way, and at --api if it is given"
_LATER = "run the same command again later"
_WRONG_CREDENTIALS = (
    "check KM_QUERY_USER and KM_QUERY_PASSWORD, or the key file: an API key stands alone, as the user"
)


class Credentials(NamedTuple):
    """The user and the password of HTTP Basic (Q1). An API key is a user with an empty password."""

    user: str
    password: str

    @property
    def header(self) -> str:
        """The value of the Authorization header."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that no output may have."""
        token = self.header.removeprefix("Basic ")
        return (self.password, token) if self.password else (self.user, token)


class Watcher(Protocol):
    """Is told what happens while the API is asked."""

    def asking(self, what: str, names: int) -> None:
        """Note a request for `what`, of which there are so many names already."""
        ...

    def waiting(self, seconds: float, why: str) -> None:
        """Note that the next request has to wait."""
        ...


class Asker:
    """Asks the Query API. `url` is its base URL, and has passed `check_url`.

    Raises UsageError if the certificates to trust cannot be read.
    """

    def __init__(
        self, url: str, credentials: Credentials, clock: Clock, watcher: Watcher, timeout: float = 30.0
    ) -> None:
        self._url = url
        self._clock = clock
        self._watcher = watcher
        self._pace = Pace(clock)
        secrets = {str(at): secret for at, secret in enumerate((credentials.user, *credentials.secrets))}
        self._wire = make_wire(url, secrets, timeout, clock.now)
        if url.startswith("https:"):
            check_bundle(self._wire.verify)
        self._adapter = BoundedAdapter(self._wire.whole, self._wire.read)
        self._headers = {
            "Accept": "application/json",
            "Authorization": credentials.header,
            "User-Agent": USER_AGENT,
        }

    def get(self, path: str, what: str, names: int = 0) -> bytes:
        """Return the body of an answer of 200. `path` follows the base URL; `what` names it in messages.

        Raises Unavailable, with the reason and the place, for every other answer.
        """
        refusals, attempt = 0, 1
        while True:
            self._wait_for_turn()
            self._watcher.asking(what, names)
            reply = self._once(path)
            if isinstance(reply, Reply) and reply.status == 200 and reply.body is not None:
                return reply.body
            if isinstance(reply, Reply) and reply.status == 429 and refusals < _MOST_REFUSALS:
                refusals += 1
                self._wait_for_limit(reply, what)
            elif attempt < _ATTEMPTS and _may_pass(reply):
                self._sleep(_WAITS[attempt - 1], f"{what}: {self._why(reply)}")
                attempt += 1
            else:
                raise Unavailable(f"{what} could not be asked: {self._why(reply)}", _hint(reply))

    def masked(self, text: str) -> str:
        """Return a text of the server without credentials."""
        return self._wire.mask(text)

    def close(self) -> None:
        """Close the connection."""
        self._adapter.close()

    def _wait_for_turn(self) -> None:
        while wait := self._pace.wait():
            self._sleep(wait, f"Kissmetrics allows {MOST_A_MINUTE} requests a minute")

    def _wait_for_limit(self, reply: Reply, what: str) -> None:
        wait = retry_after(reply.retry_after or "", self._clock.now()) or _MINUTE
        if wait > _LONGEST_WAIT:
            raise Unavailable(
                f"{what} could not be asked: HTTP 429, to be asked again in {wait:,.0f} s", _LATER
            )
        self._sleep(wait, "the limit of requests is exhausted (HTTP 429)")

    def _sleep(self, seconds: float, why: str) -> None:
        self._watcher.waiting(seconds, why)
        sleep_by(self._clock, seconds)

    def _once(self, path: str) -> Reply | str:
        """Send a request; return its answer, or why there is none, in words."""
        request = requests.Request("GET", self._url + path, self._headers).prepare()
        try:
            response = self._adapter.send(
                request,
                stream=True,
                timeout=(self._wire.connect, self._wire.read),
                verify=self._wire.verify,
                proxies=dict(self._wire.proxies),
            )
            try:
                body = _read(response)
            finally:
                response.close()
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            return self._wire.masked(classify_error(error, self._wire.route)).reason
        finally:
            self._pace.note()
        headers = response.headers
        kind, wait = headers.get("Content-Type"), headers.get("Retry-After")
        return Reply(response.status_code, response.reason or "", kind, wait, body)

    def _why(self, reply: Reply | str) -> str:
        if isinstance(reply, str):
            return reply
        line = f"HTTP {reply.status} {reply.phrase}".strip()
        if reply.status == 200:
            return f"{line} with more than {_MOST_ANSWER:,} bytes"
        if 300 <= reply.status < 400:
            line += ": a redirect is not followed, since it would take the credentials elsewhere"
        return self._wire.mask(line)


def _read(response: requests.Response) -> bytes | None:
    """Return the whole body, None if it is too long."""
    body = bytearray()
    while data := response.raw.read1(1 << 16, decode_content=True):
        body += data
        if len(body) > _MOST_ANSWER:
            return None
    return bytes(body)


def _may_pass(reply: Reply | str) -> bool:
    return isinstance(reply, str) or reply.status == 408 or reply.status >= 500


def _hint(reply: Reply | str) -> str:
    if isinstance(reply, str) or reply.status in (408, 429) or reply.status >= 500:
        return _LATER
    if reply.status in (401, 403):
        return _WRONG_CREDENTIALS
    return _SOMETHING_BETWEEN
