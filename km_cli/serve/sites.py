"""Replaces the API key of a call by the name of its site before anything is kept: no key is stored."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, unquote_plus

SiteOf = Callable[[str], str]
"""Returns the name of the site of a key."""


def without_key(path: str, query: bytes, body: bytes, site_of: SiteOf) -> tuple[str, bytes]:
    """Return path with query, and form body, of a call with the name of its site in the place of its key.

    If a call has several keys, the last one counts, as for every parameter. A call without a key stays so.
    """
    from_query, key = _split(query.decode("utf-8", "replace"))
    from_body, key_in_body = _split(body.decode("latin-1"))
    key = key_in_body or key
    site = [f"_k={quote(site_of(key), safe='')}"] if key.strip() else []
    return f"{path}?{'&'.join((*site, *from_query))}", "&".join(from_body).encode("latin-1")


def _split(text: str) -> tuple[list[str], str]:
    """Return the parameters other than the key, still encoded, and the key."""
    others, key = [], ""
    for part in text.split("&"):
        name, _, value = part.partition("=")
        if name == "_k" or ("%" in name and unquote_plus(name) == "_k"):
            key = unquote_plus(value)
        elif part:
            others.append(part)
    return others, key
