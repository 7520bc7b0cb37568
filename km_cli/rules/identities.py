"""Rules about identities that are allowed and may still be nobody's, or somebody's by another name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import ClassVar

from km_cli.kissmetrics import PLACEHOLDERS
from km_cli.model import Event
from km_cli.rules.base import About, Example, Severity, log

_DOUBTFUL = frozenset(
    {
        "empty", "unknown", "unassigned", "default", "other", "others", "nobody", "no one", "test", "tbd",
        "todo", "nil", "nan", "na", "void", "blank", "not set", "not available", "not applicable",
        "no account", "no company", "no user", "no name", "false", "true", "0", "-1", "?", "--", "---", "xxx",
        ".", "*", "0000", "[object object]", "00000000-0000-0000-0000-000000000000", "dummy",
        "n.a.", "n.a", "#n/a", "\\n", "anon", "anonymous user", "guest user",
    }
)  # fmt: skip
"""Words that mostly stand for nobody, and that Kissmetrics does not name (I1)."""

_ANONYMOUS = re.compile(r"(?=.*[+/=])(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[A-Za-z0-9+/]{20,40}={0,2}")
_WORD = re.compile(r"(?:^|[+/])(?:[A-Z]?[a-z]{3,}[0-9]*|[A-Z]{4,}[0-9]*|[0-9]{4,})(?=[+/]|$)")
"""A word or a number in a path such as sales/Team7; what is made at random has none."""
_MOST_KNOWN = 100_000


class _Judged:
    """Judges each identity once, and tells of it for every row that has it."""

    def __init__(self, judge: Callable[[str], str]) -> None:
        self._judge = judge
        self._known: dict[str, str] = {"": ""}

    def of(self, event: Event) -> Iterator[tuple[str, str]]:
        """Yield what is to be said of an event's identities, and which they are."""
        for part in event.parts:
            said = self._known.get(part.identity)
            if said is None:
                if len(self._known) > _MOST_KNOWN:
                    self._known = {"": ""}
                said = self._known[part.identity] = self._judge(part.identity)
            if said:
                yield said, repr(part.identity)


class DoubtfulIdentities:
    """I1: one id used for many people makes them one person."""

    about: ClassVar[About] = About(
        "I1-doubt",
        Severity.MERGES,
        "an identity that reads as if it stood for nobody: all sent under it becomes one person for good",
        "take it out of the log; if it really is somebody, nothing",
        "troubleshooting-identities",
        Example(log("09:00:00Z,ada,EMPTY,Paid"), log("09:00:00Z,ada,Empty Ltd,Paid")),
    )

    def __init__(self) -> None:
        self.look = _Judged(self._judge).of

    @staticmethod
    def _judge(identity: str) -> str:
        folded = identity.casefold()
        if folded in PLACEHOLDERS:  # such a one is rejected unless --allow-id says that it is somebody
            return ""
        plain = folded.strip(" ()[]<>{}_-.").replace("_", " ").replace("-", " ")
        if plain in _DOUBTFUL or plain in PLACEHOLDERS or folded in _DOUBTFUL:
            return f"the identity {identity!r} may stand for nobody"
        return ""


class AnonymousIds:
    """I4: ids that Kissmetrics' JavaScript makes for visitors."""

    about: ClassVar[About] = About(
        "I4",
        Severity.NOTE,
        "an identity that looks like one Kissmetrics' JavaScript makes for a visitor",
        "see that it is meant; an alias column ties it to the user it became",
        "javascript",
        Example(
            log("09:00:00Z,f9ZQ0n0Hk+3JpX1yVtR8sWqLzUc=,Acme,Visited"),
            log("09:00:00Z,f9ZQ0n0Hk3JpX1yVtR8sWqLzUc,Acme,Visited"),
        ),
    )

    def __init__(self) -> None:
        self.look = _Judged(self._judge).of

    @staticmethod
    def _judge(identity: str) -> str:
        if _ANONYMOUS.fullmatch(identity) and not _WORD.search(identity):
            return f"the identity {identity!r} looks like a visitor's"
        return ""
