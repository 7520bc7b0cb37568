"""Takes API keys out of a server's text.

A server may echo the key that it was sent, in its reason phrase or in a header. Errors, rejects, the journal,
pings and the pauses in the ledger show only text that went through here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "[API key]"

_LONGEST = 200
"""Characters; the rest of a server's text is cut off."""


class Mask:
    """Takes keys out of text, also those that are percent-encoded, several times over or in another case."""

    def __init__(self, keys: Iterable[str]) -> None:
        longest_first = sorted({key for key in keys if key}, key=len, reverse=True)
        forms = "|".join("".join(_any_form(letter) for letter in key) for key in longest_first)
        self._forms = re.compile(forms, re.IGNORECASE) if forms else None

    def __call__(self, text: str) -> str:
        """Return the text without keys, cut to a length that people read."""
        if self._forms is not None:
            text = self._forms.sub(HIDDEN, text)
        return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _any_form(letter: str) -> str:
    """Return a pattern for a letter as it is, or percent-encoded once or more: `A`, `%41`, `%2541`."""
    encoded = "".join(f"%(?:25)*{byte:02x}" for byte in letter.encode())
    return f"(?:{re.escape(letter)}|{encoded})"
