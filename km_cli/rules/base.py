"""The interface of a rule about data that Kissmetrics would merge, change or drop without an error.

A rule is a pure function of one name, one value or one identity, with a description. It sees neither
earlier events nor the file. The driver (`driver.py`) remembers its judgements,
so that a rule is asked once about each name, value and identity.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple


class Severity(Enum):
    """The effect on the data, the gravest first: findings are shown in this order.

    REJECTED rows are not sent, and stand in the rejects file. The next three are the effects of Kissmetrics
    on data that is sent. A NOTE reports a decision of km-cli's, or something to check. A FACT is knowledge
    about Kissmetrics that no log shows: it is never a finding.
    """

    REJECTED = "rejected"
    LOST = "lost"
    MERGED = "merged"
    CHANGED = "changed"
    NOTE = "note"
    FACT = "fact"


class Example(NamedTuple):
    """A log in which the rule shows (`fires`), and a similar log in which it does not (`near`).

    `flags` and `km_toml` are used with both. Both logs are "" if no single log can show the rule.
    """

    fires: str
    near: str
    flags: tuple[str, ...] = ()
    km_toml: str = ""


NO_EXAMPLE = Example("", "")


class About(NamedTuple):
    """The description of a rule.

    `code` begins with the fact about Kissmetrics that the rule rests on (see kissmetrics.md), and `source`
    names the page of that fact. `cure` is advice for the user; of a fact, it is what km-cli does about it.
    `disagreement` says how pages differ. `formerly` are the codes that older versions had for it, in findings
    and in rejects files.
    """

    code: str
    severity: Severity
    meaning: str
    cure: str
    source: str
    example: Example = NO_EXAMPLE
    formerly: tuple[str, ...] = ()
    disagreement: str = ""


class Name(NamedTuple):
    """The name of an event or of a property; `kind` is "event" or "property"."""

    kind: str
    text: str


def no_group(_name: Name) -> str:
    """Return "": a name that is judged by itself."""
    return ""


class NameRule(NamedTuple):
    """A rule about names.

    `judge` returns a message, or "" for a name that is fine. It also gets the first names, two at most, that
    came earlier, have the same kind and the same `group`, and are spelled differently. A group of "" has no
    others.
    """

    about: About
    judge: Callable[[Name, tuple[str, ...]], str]
    group: Callable[[Name], str] = no_group


class ValueRule(NamedTuple):
    """A rule about values: `judge` gets a property's name and value, and returns a message, or ""."""

    about: About
    judge: Callable[[str, str], str]


class IdentityRule(NamedTuple):
    """A rule about identities: `judge` returns a message, or ""."""

    about: About
    judge: Callable[[str], str]


Rule = NameRule | ValueRule | IdentityRule

HEADER = "timestamp,user,account,event"


def log(*rows: str, more: str = "") -> str:
    """Return a small log for an example.

    A row has the time of day, the user, the account, the event, and the cells of the columns that `more`
    names.
    """
    header = HEADER + (f",{more}" if more else "")
    return "\n".join([header, *(f"2024-03-01T{row}" for row in rows)]) + "\n"
