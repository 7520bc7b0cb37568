"""What a rule is: something that Kissmetrics does without a word, and how it shows in an event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, NamedTuple, Protocol

from km_cli.model import Event


class About(NamedTuple):
    """A rule in words. `code` and `source` are those of the facts about Kissmetrics that it rests on."""

    code: str
    meaning: str
    cure: str
    source: str


class Rule(Protocol):
    """Looks at single events. It may remember what it has said already."""

    about: ClassVar[About]

    def look(self, event: Event) -> Iterator[str]:
        """Yield a message for everything in `event` that falls under the rule."""
        ...
