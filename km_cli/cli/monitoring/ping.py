"""`--ping`: tells a monitor when a run starts and how it ends, so that a run that never came is noticed too.

What Healthchecks.io documents (https://healthchecks.io/docs/http_api/, /measuring_script_run_time/,
/signaling_failures/, /reliability_tips/), and what others that speak the same follow:

- HEAD, GET or POST to the check's URL is success, to URL/start a start, to URL/0 … URL/255 an exit status:
  all but 0 are failures.
- `?rid=` with a UUID in lower case pairs a start with its end, so that runs may overlap.
- The body of a POST is kept if it is UTF-8: the first 100 kB there, 10 kB where it is self-hosted.
- The answer is 200 and `OK`; other answers are 404 (no such check), 409 (a slug of several checks), 429 (too
  many pings). By UUID the last is 200 as well, and so is an unknown check: told by `OK (rate limited)` and
  `OK (not found)`.
- A start without an end within the check's grace time is a failure.
- A client should have a timeout, 10 seconds for instance, and try several times.

The URL is a secret: who has it can report success. It is never printed or logged, its host alone is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from km_cli.cli.terminal.show import mention
from km_cli.errors import UsageError

if TYPE_CHECKING:
    import requests

WAITS = (1.0, 3.0)
"""Seconds between attempts; there is one attempt more."""

TIMEOUT = 10.0
"""Seconds to connect, and again to be answered."""

_MOST_SAID = 10_000
"""Bytes, what every service keeps."""

_MOST_ANSWER = 64
_RETRIED = frozenset({408, 425, 429})
_EXAMPLE = "for example: --ping https://hc-ping.com/UUID"
_NOT_COUNTED = {b"OK (not found)": "it knows no such check", b"OK (rate limited)": "too many pings"}
_LOOK = "this changes nothing of what was sent; look at --ping's URL, and at the monitor"


def check_ping(url: str) -> None:
    """Raise UsageError if a URL can't be pinged; it is not in the message. No URL is fine: no pings."""
    if not url:
        return
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise UsageError(
            "--ping has characters that no URL has", "write them percent-encoded, a host in Punycode"
        )
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise UsageError("--ping is no URL", _EXAMPLE) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment:
        raise UsageError("--ping is no http:// or https:// URL of a monitor", _EXAMPLE)
    if "@" in parts.netloc:
        raise UsageError(
            "--ping has a user or password in its URL", "leave it out; the URL alone names the check"
        )


class Ping:
    """The pings of one run. What fails is complained about on standard error, and changes nothing else."""

    def __init__(
        self,
        url: str,
        run: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        waits: Sequence[float] = WAITS,
        timeout: float = TIMEOUT,
    ) -> None:
        """`url` has passed `check_ping`, or is empty for no pings. `run` is a UUID in lower case."""
        self._parts = urlsplit(url)
        self._run = run
        self._sleep = sleep
        self._waits = waits
        self._timeout = timeout
        self._has_complained = False

    def start(self) -> None:
        """Say that the run starts, once: the end is what matters, and the run should not wait for this."""
        self._tell("/start", "", ())

    def end(self, code: int, said: str) -> None:
        """Say that the run ended with this exit code; of `said`, in words how it went, 10 kB are sent."""
        self._tell(f"/{int(code)}" if code else "", said, self._waits)

    def _tell(self, suffix: str, said: str, waits: Sequence[float]) -> None:
        """Ping, again after waits while that may help. Retried pings are the same: `rid` says whose."""
        if not self._parts.hostname:
            return
        trouble, may_pass = self._attempt(suffix, said)
        for wait in waits:
            if not may_pass:
                break
            self._sleep(wait)
            trouble, may_pass = self._attempt(suffix, said)
        if trouble and not self._has_complained:
            self._has_complained = True
            mention(f"the ping to {self._parts.hostname} failed: {trouble}", _LOOK)

    def _attempt(self, suffix: str, said: str) -> tuple[str, bool]:
        """Return what went wrong in words, if anything, and whether it may pass."""
        import requests
        import urllib3

        try:
            return self._sent(_extended(self._parts, suffix, self._run), _cut(said))
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return _of_fault(error)

    def _sent(self, url: str, body: bytes) -> tuple[str, bool]:
        """Post, by requests' adapter itself: a session around it would look for netrc and redirects."""
        import requests

        from km_cli.destinations.attempt import BoundedAdapter

        headers = {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "km-cli", "Connection": "close"}
        request = requests.Request("POST", url, headers, data=body).prepare()
        with requests.Session() as session:
            environ: Mapping[str, Any] = session.merge_environment_settings(url, {}, None, None, None)
        adapter = BoundedAdapter(self._timeout, self._timeout)
        try:
            response = adapter.send(
                request,
                stream=True,
                timeout=(self._timeout, self._timeout),
                verify=environ["verify"],
                proxies=environ["proxies"],
            )
            return _of_answer(response.status_code, _first_bytes(response))
        finally:
            adapter.close()


def _first_bytes(response: requests.Response) -> bytes:
    """Return how an answer begins; it is short if it is a monitor's."""
    body = b""
    while len(body) < _MOST_ANSWER and (data := response.raw.read1(_MOST_ANSWER, decode_content=True)):
        body += data
    return body


def _extended(parts: SplitResult, suffix: str, run: str) -> str:
    """Return the URL with a suffix to its path, before a query that it has."""
    query = f"{parts.query}&rid={run}" if parts.query else f"rid={run}"
    return parts._replace(path=parts.path.rstrip("/") + suffix, query=query).geturl()


def _cut(said: str) -> bytes:
    """Return text as UTF-8, no longer than what is kept and with no half of a character."""
    return said.encode(errors="backslashreplace")[:_MOST_SAID].decode(errors="ignore").encode()


def _of_answer(status: int, body: bytes) -> tuple[str, bool]:
    if 200 <= status < 300:
        return _NOT_COUNTED.get(body.strip().replace(b"-", b" "), ""), False
    if 300 <= status < 400:
        return f"HTTP {status}, and a redirect is not followed", False
    return f"HTTP {status}", status >= 500 or status in _RETRIED


def _of_fault(error: Exception) -> tuple[str, bool]:
    """Say what a fault is by its type: its own words have the URL in them."""
    import requests
    import urllib3

    if isinstance(error, requests.exceptions.SSLError):
        return "it speaks no TLS, or its certificate is not trusted", False
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy gives no connection", True
    if isinstance(error, requests.exceptions.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
        return "no answer in time", True
    if isinstance(error, ValueError):
        return "its URL, or the proxy's, is none that can be sent to", False
    return "no connection, or none that lasts", True
