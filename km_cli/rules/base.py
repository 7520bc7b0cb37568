"""What a rule is: something that Kissmetrics does without a word, and how it shows in a log."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import ClassVar, NamedTuple, Protocol

from km_cli.model import Event


class Severity(Enum):
    """What becomes of the data. A note says only what was done about it, or what to think of."""

    DROPS = "drops"
    MERGES = "merges"
    CHANGES = "changes"
    NOTE = "note"


class Example(NamedTuple):
    """A log in which the rule shows, one in which it just does not. `flags` and a km.toml go with both.

    Both are "" where no single log can show it.
    """

    fires: str
    near: str
    flags: tuple[str, ...] = ()
    km_toml: str = ""


class About(NamedTuple):
    """A rule in words. `code` begins with the fact about Kissmetrics it rests on, `source` is its page.

    `shows_as` has the codes of findings and reasons of rejects that it shows as, if not as `code`.
    """

    code: str
    severity: Severity
    meaning: str
    cure: str
    source: str
    example: Example
    shows_as: tuple[str, ...] = ()


class Rule(Protocol):
    """Looks at single events. It may remember what it has said already."""

    about: ClassVar[About]

    def look(self, event: Event) -> Iterator[tuple[str, str]]:
        """Yield a message for everything in `event` that falls under the rule, and whom it is about."""
        ...


HEADER = "timestamp,user,account,event"


def log(*rows: str, more: str = "") -> str:
    """Return a small log: rows of time of day, user, account and event, and what columns `more` names."""
    header = HEADER + (f",{more}" if more else "")
    return "\n".join([header, *(f"2024-03-01T{row}" for row in rows)]) + "\n"
