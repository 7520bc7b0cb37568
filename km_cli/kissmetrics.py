"""Kissmetrics' limits, how it folds names and identities (D4), and its reserved and placeholder words."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

LONGEST_NAME = 254
"""D4: event and property names are under 255 characters."""

LONGEST_IDENTITY = 255
"""D4: identities have up to 255 characters."""

LONGEST_VALUE = 8192
"""D5: bytes of UTF-8 in a property value."""

MOST_INSTANCES = 1000
"""D7: Kissmetrics keeps this many instances of each event and each property of a person, the last ones."""

LIKE_A_KEY = re.compile(r"(?=[A-Za-z_-]*\d)[\w-]{20,}", re.ASCII)
"""A part of a text that may be an API key, in a file that was named by mistake. No message shows it."""

PLACEHOLDERS = frozenset({"null", "none", "undefined", "anonymous", "guest", "-", "n/a", "missing"})
"""I1: placeholders. If one of them were an identity, many people would become one for good."""

_SET_BY_KISSMETRICS = frozenset(
    {
        "referrer", "url", "returning", "viewed url", "search engine", "search terms", "campaign source",
        "campaign medium", "campaign terms", "campaign content", "campaign name", "channel", "origin",
        "device type", "browser", "continent",
    }
)  # fmt: skip

_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e007f\U000e0100-\U000e01ef]"
)
"""Invisible characters. Two texts that differ only by one of these look the same.

Variation selectors are among them, although they are meant behind an emoji: they cannot be seen, and some
programs drop or add them.
"""

_BLANK = re.compile("[\\s\u2800\U0001d159]+")
"""Characters that look blank: spaces of all scripts, the empty braille cell, and the null notehead."""

_COMMAS_AND_COLONS = str.maketrans(",:", "  ")


@lru_cache(maxsize=65536)
def fold_name(name: str) -> str:
    """Return the name by which Kissmetrics knows an event or a property (D4)."""
    return name.translate(_COMMAS_AND_COLONS).casefold().strip()


def fold_identity(identity: str) -> str:
    """Return the identity as the older, stricter page has it: commas and colons become spaces (D4)."""
    if "," in identity or ":" in identity:
        return identity.translate(_COMMAS_AND_COLONS)
    return identity


def first_invisible(text: str) -> tuple[int, str]:
    """Return the place of the first invisible character, counted from 1, and its name; 0 and "" for none."""
    found = _INVISIBLE.search(text)
    if found is None:
        return 0, ""
    name = unicodedata.name(found[0], "CONTROL CHARACTER")
    return found.start() + 1, f"U+{ord(found[0]):04X} {name}"


def is_blank(text: str) -> bool:
    """Tell whether a text looks blank."""
    return _BLANK.fullmatch(text) is not None


def is_reserved(name: str) -> bool:
    """Tell whether a property must never be sent: `_…`, `Customer ID`, `KM_…`, `kme` and `kmi`."""
    folded = fold_name(name)
    return folded.startswith(("_", "km_")) or folded in {"customer id", "kme", "kmi"}


def is_set_by_kissmetrics(name: str) -> bool:
    """Tell whether Kissmetrics sets a property of this name itself: the log's values would mix with them."""
    return fold_name(name) in _SET_BY_KISSMETRICS
