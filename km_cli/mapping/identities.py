"""Text → identity. Blanks around it are removed. Identities that would merge people are refused (I1, D4)."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from typing import Any

from km_cli.kissmetrics import LONGEST_IDENTITY, PLACEHOLDERS, first_invisible, is_blank
from km_cli.mapping.cells import ReadCell
from km_cli.mapping.columns import PersonaColumns
from km_cli.memory import Remembered

_MOST_REMEMBERED = 40_000
_PLAIN_BLANKS = " \t\r\n\v\f"
"""Blanks that pad an empty cell. A cell of any other blanks was written as an identity."""


class BadIdentity(ValueError):
    """This identity must not be sent; `code` names the rule, str() says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Identities:
    """Checks identities, each text once. `allowed` are placeholders that --allow-id accepts.

    `prefix` is put before each identity, so that it is not another persona's (I2). Texts with blanks around
    them are added to `trimmed`.
    """

    def __init__(
        self, allowed: Iterable[str] = (), prefix: str = "", trimmed: list[str] | None = None
    ) -> None:
        self._prefix = prefix
        self._trimmed = [] if trimmed is None else trimmed
        self._allowed = {value.casefold() for value in allowed}
        self.known: Remembered[str, str] = Remembered(_MOST_REMEMBERED)
        """The identities of texts that were checked before."""

    def clean(self, text: str) -> str:
        """Return the identity to send, "" if there is none. Raises BadIdentity."""
        known = self.known.get(text)
        if known is not None or not text:
            return known or ""
        identity = text.strip()
        if identity != text:
            # A text with blanks is not remembered, so that it is counted each time.
            if identity:
                self._trimmed.append(text)
            elif text.strip(_PLAIN_BLANKS):
                raise _only_blanks(text.strip(_PLAIN_BLANKS))
            return self.clean(identity)
        self._check(identity)
        identity = self._prefix + identity
        return self.known.remember(text, identity)

    def _check(self, identity: str) -> None:
        folded = identity.casefold()
        if folded in PLACEHOLDERS and folded not in self._allowed:
            raise BadIdentity(
                "I1",
                f"the identity {identity!r} is a placeholder: all events under it would become one person "
                f"for good (if it really is a person's identity: --allow-id {identity!r})",
            )
        if (length := len(self._prefix) + len(identity)) > LONGEST_IDENTITY:
            raise BadIdentity("D4-long", f"the identity {identity[:30]!r}… has {length} characters, over 255")
        if identity.isascii() and identity.isprintable() and identity:
            return  # It has neither invisible characters nor blanks alone, as most identities.
        at, name = first_invisible(identity)
        if at:
            raise BadIdentity(
                "invisible-character",
                f"the identity {identity!r} has an invisible character ({name}) at {at}: "
                "take it out, since two identities that differ by it alone look alike",
            )
        if is_blank(identity):
            raise _only_blanks(identity)


def _only_blanks(text: str) -> BadIdentity:
    name = unicodedata.name(text[0], f"U+{ord(text[0]):04X}")
    return BadIdentity(
        "invisible-character",
        f"the identity {text!r} has nothing but blanks ({name}): write the identity, or leave it empty",
    )


def identity_reader(used: PersonaColumns, cell: Callable[[str], ReadCell]) -> ReadCell:
    """Return the reader of a persona's identity: the first column that is neither empty nor in `nobody`."""
    if not used.others and not used.nobody:
        return cell(used.identity)
    cells = tuple(map(cell, used.identities))
    nobody = frozenset({"", *(text.strip().casefold() for text in used.nobody)})

    def read(values: Any) -> str:
        texts = (one(values) for one in cells)
        return next((text for text in texts if text.strip().casefold() not in nobody), "")

    return read
