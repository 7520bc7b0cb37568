"""Rules about identities that are sent, though they may be placeholders or ids of visitors (I1, I4)."""

from __future__ import annotations

import re

from km_cli.kissmetrics import PLACEHOLDERS
from km_cli.rules.base import About, Example, IdentityRule, Severity, log

_DOUBTFUL = frozenset(
    {
        "empty", "unknown", "unassigned", "default", "other", "others", "nobody", "no one", "test", "tbd",
        "todo", "nil", "nan", "na", "void", "blank", "not set", "not available", "not applicable",
        "no account", "no company", "no user", "no name", "false", "true", "0", "-1", "?", "--", "---", "xxx",
        ".", "*", "0000", "[object object]", "00000000-0000-0000-0000-000000000000", "dummy",
        "n.a.", "n.a", "#n/a", "\\n", "anon", "anonymous user", "guest user",
    }
)  # fmt: skip
"""Words that are mostly placeholders, though no page of Kissmetrics names them (I1)."""

_ANONYMOUS = re.compile(r"(?=.*[+/=])(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[A-Za-z0-9+/]{20,40}={0,2}")
_WORD = re.compile(r"(?:^|[+/])(?:[A-Z]?[a-z]{3,}[0-9]*|[A-Z]{4,}[0-9]*|[0-9]{4,})(?=[+/]|$)")
"""A word or a number in a path such as sales/Team7. An id that is made at random has none."""


def _may_be_placeholder(identity: str) -> str:
    if "@" in identity:  # No placeholder has one, and most users of a log are addresses.
        return ""
    folded = identity.casefold()
    if folded in PLACEHOLDERS:  # such a row is rejected, unless --allow-id says that it is a real identity
        return ""
    plain = folded.strip(" ()[]<>{}_-.").replace("_", " ").replace("-", " ")
    if plain in _DOUBTFUL or plain in PLACEHOLDERS or folded in _DOUBTFUL:
        return f"the identity {identity!r} may be a placeholder"
    return ""


def _looks_anonymous(identity: str) -> str:
    if 20 <= len(identity) <= 42 and _ANONYMOUS.fullmatch(identity) and not _WORD.search(identity):
        return f"the identity {identity!r} looks like a visitor's"
    return ""


DOUBTFUL = IdentityRule(
    About(
        "I1-doubt",
        Severity.MERGED,
        "An id reads like a placeholder. If it is one, all rows that have it become one person for good.",
        "Take it out of the log. If it is a real person or account, there is nothing to do.",
        "troubleshooting-identities",
        Example(log("09:00:00Z,ada,EMPTY,Paid"), log("09:00:00Z,ada,Empty Ltd,Paid")),
    ),
    _may_be_placeholder,
)

ANONYMOUS = IdentityRule(
    About(
        "I4",
        Severity.NOTE,
        "An id looks like those that Kissmetrics' JavaScript gives to unknown visitors.",
        "Nothing, if visitors are meant. An alias column ties a visitor to the user that they became.",
        "javascript",
        Example(
            log("09:00:00Z,f9ZQ0n0Hk+3JpX1yVtR8sWqLzUc=,Acme,Visited"),
            log("09:00:00Z,f9ZQ0n0Hk3JpX1yVtR8sWqLzUc,Acme,Visited"),
        ),
    ),
    _looks_anonymous,
)
