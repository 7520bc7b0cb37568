"""Kissmetrics' tracker, or another one with the same calls: `/e`, `/s`, `/a` below a base URL."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import urlsplit

from km_cli.destinations.base import Target
from km_cli.errors import UsageError
from km_cli.protocols import Clock, Destination

KISSMETRICS = "https://trk.kissmetrics.io"
HOSTS = frozenset({KISSMETRICS, "https://trk.kissmetrics.com"})
"""Kissmetrics' hosts (W1): a call that was sent to one is not sent again to the other."""

NAME = "kissmetrics"
"""How `--to` and the ledger name Kissmetrics itself."""
_EXAMPLE = "for example: --to https://tracker.example.com"


class TrackerTarget(Target):
    """`kissmetrics`, or the base URL of a tracker."""

    spelling: ClassVar[str] = "kissmetrics, an https:// base URL"

    @classmethod
    def parse(cls, to: str, folder: Path) -> Self:  # noqa: ARG003 - others need it
        """Return the tracker. Only Kissmetrics itself asks first: its data cannot be deleted (D10)."""
        url = KISSMETRICS if to == NAME else check_url(to)
        is_kissmetrics = url in HOSTS
        return cls(
            NAME if is_kissmetrics else url,
            url,
            needs_key=True,
            asks_first=is_kissmetrics,
            seconds_a_call=0.1,
        )

    def open(self, keys: Mapping[str, str], timeout: float, clock: Clock) -> Destination:
        """Return the destination. Raises UsageError if the certificates to trust cannot be read."""
        from km_cli.destinations.http import TrackerDestination  # its HTTP library takes long to import

        return TrackerDestination(self.place, keys, timeout=timeout, now=clock.now)


def check_no_password(to: str, option: str = "--to") -> None:
    """Raise UsageError for a URL with a user or a password, without repeating either of them."""
    if "@" in to:
        raise UsageError(
            f"{option} has a user or password in its URL", "leave it out; the key comes from the environment"
        )


def check_url(url: str, option: str = "--to", example: str = _EXAMPLE) -> str:
    """Return the base URL in one spelling, without a trailing slash: the ledger knows a tracker by it.

    `option` is where it was given, and `example` is a hint.

    Raises UsageError for a place where no key may go; the message leaves out any part that may be a secret.
    """
    check_no_password(url, option)
    base = re.split("[?#]", url)[0]
    if base != url:
        raise UsageError(f"{option} {base!r} is followed by a query: it is not a base URL", example)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{option} {url!r} is not a URL: {error}", example) from None
    host = parts.hostname or ""
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise UsageError(
            f"{option} {url!r} has characters that cannot stand in a URL",
            "write them percent-encoded, and a host name in Punycode",
        )
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(f"{option} {url!r} is not a base URL", example)
    if parts.scheme == "http" and not _is_loopback(host):
        raise UsageError(
            f"{option} {url}: the key would travel unencrypted",
            "use https://, or http:// to this machine only",
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
