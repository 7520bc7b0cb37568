"""Text → identity: blanks around it go, what would merge people for ever is refused (I1, D4)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from km_cli.names import LONGEST_IDENTITY, PLACEHOLDERS

_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e007f\U000e0100-\U000e01ef]"
)
"""Two identities that differ by one of these alone look alike, and are two people.

Variation selectors are among them, though behind an emoji they are text that was meant: nobody sees whether
they are there, and programs drop or add them. Joined emoji are refused for their joiners in any case.
"""


class BadIdentity(ValueError):
    """This identity must not be sent; `code` names the rule, str() says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Identities:
    """Checks identities, each text once. `allowed` are placeholders that were let through by name.

    `prefix` stands before each of them, so that they are nobody else's (I2). Those that had blanks around
    them are added to `trimmed`.
    """

    def __init__(
        self, allowed: Iterable[str] = (), prefix: str = "", trimmed: list[str] | None = None
    ) -> None:
        self._prefix = prefix
        self._trimmed = [] if trimmed is None else trimmed
        self._allowed = {value.casefold() for value in allowed}
        self._clean: dict[str, str] = {"": ""}

    def clean(self, text: str) -> str:
        """Return the identity to send, "" if there is none. Raises BadIdentity."""
        known = self._clean.get(text)
        if known is not None:
            return known
        identity = text.strip()
        if identity != text:
            # Only what has none is kept, so that counting costs nothing where there is nothing to count.
            if identity:
                self._trimmed.append(text)
            return self.clean(identity)
        self._check(identity)
        identity = self._prefix + identity
        if len(self._clean) > 100_000:
            self._clean = {"": ""}
        self._clean[text] = identity
        return identity

    def _check(self, identity: str) -> None:
        folded = identity.casefold()
        if folded in PLACEHOLDERS and folded not in self._allowed:
            raise BadIdentity(
                "I1",
                f"the identity {identity!r} stands for nobody: all sent under it becomes one person for "
                f"good (if it really is somebody: --allow-id {identity!r})",
            )
        if (length := len(self._prefix) + len(identity)) > LONGEST_IDENTITY:
            raise BadIdentity("D4", f"the identity {identity[:30]!r}… has {length} characters, over 255")
        if invisible := _INVISIBLE.search(identity):
            name = unicodedata.name(invisible[0], "CONTROL CHARACTER")
            raise BadIdentity(
                "invisible-character",
                f"the identity {identity!r} has an invisible character (U+{ord(invisible[0]):04X} {name}) at "
                f"{invisible.start() + 1}: take it out, two that differ by it alone look alike",
            )
