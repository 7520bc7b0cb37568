"""`--ping`: tells a monitor when a run starts and how it ends, so that a run that never starts is noticed.

Healthchecks.io documents this (see https://healthchecks.io/docs/http_api/, /measuring_script_run_time/,
/signaling_failures/, /reliability_tips/), and other services follow it:

- HEAD, GET or POST to the check's URL means success; to URL/start a start; to URL/0 … URL/255 an exit code,
  where all but 0 are failures.
- `?rid=` with a UUID in lower case pairs a start with its end, so that runs may overlap.
- The body of a POST is kept if it is UTF-8: the first 100 kB there, 10 kB where it is self-hosted.
- The answer is 200 and `OK`; other answers are 404 (no such check), 409 (a slug of several checks), 429 (too
  many pings). If the URL has a UUID, an unknown check and too many pings are answered with 200 as well, and
  the body is `OK (not found)` or `OK (rate limited)`.
- A start without an end within the check's grace time is a failure.
- A client should have a timeout, 10 seconds for instance, and try several times.

The URL is a secret, because whoever has it can report success. Only its host is ever printed or logged.
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
"""Seconds between attempts; there is one attempt more than waits."""

TIMEOUT = 10.0
"""Seconds to connect, and again for the answer."""

_LONGEST_BODY = 10_000
"""Bytes that every service keeps."""

_MOST_ANSWER = 64
_RETRIED = frozenset({408, 425, 429})
_EXAMPLE = "for example: --ping https://hc-ping.com/UUID"
_NOT_COUNTED = {b"OK (not found)": "it has no such check", b"OK (rate limited)": "too many pings"}
_HINT = "this does not affect what was sent; check the URL of --ping, and the monitor"


def check_ping(url: str) -> None:
    """Raise UsageError if a URL cannot be pinged. The message does not contain it. "" means no pings."""
    if not url:
        return
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise UsageError(
            "the URL of --ping has characters that no URL has",
            "percent-encode them; write the host in Punycode",
        )
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise UsageError("--ping is not a URL", _EXAMPLE) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment:
        raise UsageError("--ping is not an http:// or https:// URL of a monitor", _EXAMPLE)
    if "@" in parts.netloc:
        raise UsageError(
            "--ping has a user or password in its URL",
            "leave them out; the rest of the URL identifies the check",
        )


class Ping:
    """The pings of one run. The first failure is complained about on standard error; none stops the run."""

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
        """Report the start, with one attempt: the end matters more, and the run must not wait for this."""
        self._ping("/start", "", ())

    def end(self, code: int, text: str) -> None:
        """Report the end with its exit code, and the first 10 kB of a text for people."""
        self._ping(f"/{int(code)}" if code else "", text, self._waits)

    def _ping(self, suffix: str, text: str, waits: Sequence[float]) -> None:
        """Ping, and retry while that may help. A repeated ping does no harm: `rid` identifies the run."""
        if not self._parts.hostname:
            return
        trouble, may_pass = self._attempt(suffix, text)
        for wait in waits:
            if not may_pass:
                break
            self._sleep(wait)
            trouble, may_pass = self._attempt(suffix, text)
        if trouble and not self._has_complained:
            self._has_complained = True
            mention(f"the ping to {self._parts.hostname} failed: {trouble}", _HINT)

    def _attempt(self, suffix: str, text: str) -> tuple[str, bool]:
        """Return the trouble in words ("" for none), and whether a retry may help."""
        import requests
        import urllib3

        try:
            return self._post(_extended(self._parts, suffix, self._run), _cut(text))
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return _trouble_of_fault(error)

    def _post(self, url: str, body: bytes) -> tuple[str, bool]:
        """Post with the bare adapter of requests: a session would read .netrc and follow redirects."""
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
            return _trouble_of_answer(response.status_code, _first_bytes(response))
        finally:
            adapter.close()


def _first_bytes(response: requests.Response) -> bytes:
    """Return the beginning of an answer. The answer of a monitor is short."""
    body = b""
    while len(body) < _MOST_ANSWER and (data := response.raw.read1(_MOST_ANSWER, decode_content=True)):
        body += data
    return body


def _extended(parts: SplitResult, suffix: str, run: str) -> str:
    """Return the URL with a suffix to its path and the run in its query."""
    query = f"{parts.query}&rid={run}" if parts.query else f"rid={run}"
    return parts._replace(path=parts.path.rstrip("/") + suffix, query=query).geturl()


def _cut(text: str) -> bytes:
    """Return text as UTF-8, cut between two characters if it is longer than a service keeps."""
    return text.encode(errors="backslashreplace")[:_LONGEST_BODY].decode(errors="ignore").encode()


def _trouble_of_answer(status: int, body: bytes) -> tuple[str, bool]:
    if 200 <= status < 300:
        return _NOT_COUNTED.get(body.strip().replace(b"-", b" "), ""), False
    if 300 <= status < 400:
        return f"HTTP {status}, a redirect, which is not followed", False
    return f"HTTP {status}", status >= 500 or status in _RETRIED


def _trouble_of_fault(error: Exception) -> tuple[str, bool]:
    """Describe a fault by its type: its own message contains the URL."""
    import requests
    import urllib3

    if isinstance(error, requests.exceptions.SSLError):
        return "it does not speak TLS, or its certificate is not trusted", False
    if isinstance(error, requests.exceptions.ProxyError):
        return "no connection through the proxy", True
    if isinstance(error, requests.exceptions.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
        return "no answer in time", True
    if isinstance(error, ValueError):
        return "its URL, or the URL of the proxy, cannot be used", False
    return "no connection, or it was lost", True
