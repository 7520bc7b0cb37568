"""How Kissmetrics folds names and identities (D4, I1), and which name was meant by one that is none."""

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
"""D7: of each event and each property, per person, that Kissmetrics keeps: the last ones."""

PLACEHOLDERS = frozenset({"null", "none", "undefined", "anonymous", "guest", "-", "n/a", "missing"})
"""I1: values that stand for nobody; sent as an identity they make many people one, for good."""

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
"""Characters that nobody sees. Two texts that differ by one of these alone look alike, and are two.

Variation selectors are among them, though behind an emoji they are text that was meant: nobody sees whether
they are there, and programs drop or add them.
"""

_BLANK = re.compile("[\\s\u2800\U0001d159]+")
"""Characters that show as a blank: those of every script, the braille cell without dots, a null notehead."""

_COMMAS_AND_COLONS = str.maketrans(",:", "  ")


@lru_cache(maxsize=65536)
def fold_name(name: str) -> str:
    """Return the name under which Kissmetrics files an event or a property (D4)."""
    return name.translate(_COMMAS_AND_COLONS).casefold().strip()


def fold_identity(identity: str) -> str:
    """Return the identity as the older, stricter page has it: commas and colons are blanks (D4)."""
    if "," in identity or ":" in identity:
        return identity.translate(_COMMAS_AND_COLONS)
    return identity


def first_invisible(text: str) -> tuple[int, str]:
    """Return where the first invisible character of a text is, counted from 1, and its name; 0 if none."""
    found = _INVISIBLE.search(text)
    if found is None:
        return 0, ""
    name = unicodedata.name(found[0], "CONTROL CHARACTER")
    return found.start() + 1, f"U+{ord(found[0]):04X} {name}"


def is_blank(text: str) -> bool:
    """Tell whether a text shows as nothing but blanks."""
    return _BLANK.fullmatch(text) is not None


def is_reserved(name: str) -> bool:
    """Tell whether a property must never be sent: `_…`, `Customer ID`, `KM_…` and the `km` family."""
    folded = fold_name(name)
    return folded.startswith(("_", "km_")) or folded in {"customer id", "kme", "kmi"}


def is_set_by_kissmetrics(name: str) -> bool:
    """Tell whether Kissmetrics sets a property of this name itself: a log's values mix with its own."""
    return fold_name(name) in _SET_BY_KISSMETRICS
