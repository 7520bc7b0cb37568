"""Where calls go. `--to` names a destination by its scheme: a word, or the beginning of a URL."""

from __future__ import annotations

from pathlib import Path

from km_cli.destinations.base import Target
from km_cli.destinations.bucket import BucketTarget
from km_cli.destinations.bulk import FileTarget
from km_cli.destinations.local import LocalTarget
from km_cli.destinations.tracker import TrackerTarget, check_no_password
from km_cli.errors import UsageError

DESTINATIONS: dict[str, type[Target]] = {
    "kissmetrics": TrackerTarget,
    "https": TrackerTarget,
    "http": TrackerTarget,
    "local": LocalTarget,
    "file": FileTarget,
    "s3": BucketTarget,
}
"""Every destination by its scheme. A new one is one file, and one line here."""

__all__ = ["DESTINATIONS", "Target", "parse_target", "spellings"]


def spellings() -> str:
    """Return how `--to` is written for each destination, as the end of a sentence."""
    *others, last = dict.fromkeys(target.spelling for target in DESTINATIONS.values())
    return f"{', '.join(others)}, or {last}"


def parse_target(to: str, folder: Path) -> Target:
    """Return the target that `--to` names; `folder` is where km-cli keeps files of its own.

    Raises UsageError if `to` names no destination, or a place where no key may go.
    """
    if found := DESTINATIONS.get(_scheme(to)):
        return found.parse(to, folder)
    check_no_password(to)
    raise UsageError(f"--to {to.partition('?')[0]!r} is not a destination", f"use {spellings()}")


def _scheme(to: str) -> str:
    """Return the word before the colon. Only in a URL it may be in capital letters (RFC 3986, 3.1)."""
    scheme, is_url, _ = to.partition("://")
    return scheme.lower() if is_url else to.partition(":")[0]
