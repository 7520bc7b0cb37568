"""Finds rows that name no account, although one of their columns looks like an account and has no role."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress

from km_cli.mapping import USUAL, BadRow, Columns
from km_cli.mapping.nested import members
from km_cli.memory import Remembered
from km_cli.model import Event, Finding, Persona, Properties

_ACCOUNT = "account"
_MOST_KNOWN = 10_000
"""Names of columns that are judged once; a log has few of them."""

_WORDS = "|".join(sorted({re.sub("_id$", "", word) for word in USUAL[_ACCOUNT]}))
_LOOKS_SO = re.compile(rf"(.*\.)?(({_WORDS})([._]id)?|\$?groups\.[^.]+|\$group_\d)")
"""The names that the columns of accounts have, and those of groups in the exports of other tools."""

_HAS_WORD = re.compile(_WORDS, re.IGNORECASE)


class UnusedAccounts:
    """Looks at the rows of one input that name no account.

    `known` are the columns of its first rows. Where a person chose the columns, only columns that came up
    later are reported: the others were left out on purpose.
    """

    def __init__(self, columns: Columns, personas: Sequence[Persona], known: Collection[str]) -> None:
        names = [persona.name for persona in personas]
        self._place = names.index(_ACCOUNT) if _ACCOUNT in names else -1
        self._has_other_levels = self._place < 0 and len(names) > 1
        used = columns.personas[self._place].identities if self._place >= 0 else ("",)
        self._is_chosen = bool(used) and not columns.export
        self._columns = columns
        self._known = frozenset(known)
        self._judged: Remembered[str, bool] = Remembered(_MOST_KNOWN)

    def look(self, event: Event) -> Finding | None:
        """Return the finding about a row, if there is one."""
        if self._has_other_levels or (self._place >= 0 and event.parts[self._place].identity):
            return None
        name = next(self._candidates(event.cells), "")
        if not name:
            return None
        message = f"the row names no account, but has {name!r}, which looks like one and is not used as one"
        return Finding("unused-account", message, event.row.source, event.row.line, repr(name))

    def _candidates(self, cells: Properties) -> Iterator[str]:
        for name, text in cells:
            if self._may_be(name):
                yield name
            elif text[0] in "{[" and _HAS_WORD.search(text):
                yield from self._inside(name, text)

    def _inside(self, name: str, text: str) -> Iterator[str]:
        """Yield the members that may be accounts, of an object that a cell or a list holds."""
        with suppress(BadRow):  # a text that begins like JSON
            for path, value in members(text, name, ()):
                if value not in (None, "") and self._may_be(path):
                    yield path

    def _may_be(self, name: str) -> bool:
        judged = self._judged.get(name)
        return self._judge(name) if judged is None else judged

    def _judge(self, name: str) -> bool:
        columns = self._columns
        is_left_out = columns.is_excluded(name) or (self._is_chosen and name in self._known)
        may_be = not (name in columns.taken or is_left_out) and bool(_LOOKS_SO.fullmatch(_plain(name)))
        return self._judged.remember(name, may_be)


def _plain(name: str) -> str:
    """Return a name in small letters, with underscores: `groupId` and `Group ID` are `group_id`."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[\s_-]+", "_", apart).casefold()
