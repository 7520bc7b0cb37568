"""The one place where API keys are taken out of words that come from elsewhere.

A server may echo the key that it was sent: in its reason phrase, in a header. Whatever is told of an answer
(errors, rejects, the journal, pings, pauses in the ledger) is taken from what went through here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "[API key]"

_LONGEST = 200
"""Characters; a server's words are told so far."""


class Mask:
    """Takes keys out of text, also percent-encoded ones, however often and in whichever case."""

    def __init__(self, keys: Iterable[str]) -> None:
        longest_first = sorted({key for key in keys if key}, key=len, reverse=True)
        forms = "|".join("".join(_any_form(letter) for letter in key) for key in longest_first)
        self._forms = re.compile(forms, re.IGNORECASE) if forms else None

    def __call__(self, text: str) -> str:
        """Return text without keys, and not longer than what somebody reads."""
        if self._forms is not None:
            text = self._forms.sub(HIDDEN, text)
        return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _any_form(letter: str) -> str:
    """Return a pattern for a letter as it is, or percent-encoded, `%41` and `%2541` alike."""
    encoded = "".join(f"%(?:25)*{byte:02x}" for byte in letter.encode())
    return f"(?:{re.escape(letter)}|{encoded})"
