"""Names that one part of a log has, each once, for the rules that look at the names of the whole log.

Parts of a log are mapped by several processes. Each tells the names that it meets, with the place of the
first row that has them. The rules then take the names of all parts in the order of these places, as one
machine would have met them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from km_cli.memory import Remembered
from km_cli.model import Event, Finding, Record, Sequence
from km_cli.planning.forecast import Crossovers
from km_cli.rules import Rules
from km_cli.rules.base import Name, NameRule, Rule
from km_cli.rules.registry import RULES

EVENT, PROPERTY, DONE = "event", "property", "done"
"""The kinds of names: of an event in the log, of a property in the log, of an event as a persona does it."""

_MOST_REMEMBERED = 100_000

ROW_RULES: tuple[Rule, ...] = tuple(rule for rule in RULES if not isinstance(rule, NameRule))
"""The rules about one row, which look at it wherever it is mapped."""

NAME_RULES: tuple[Rule, ...] = tuple(rule for rule in RULES if isinstance(rule, NameRule))
"""The rules about the names of a whole log."""


class SeenName(NamedTuple):
    """A name as a task meets it first. `part` orders the names of a row."""

    kind: str
    site: str
    persona: str
    name: str
    part: int


class NamesSeen:
    """The names that a task has met. If there are very many, some are told again, which does no harm."""

    def __init__(self) -> None:
        self._seen: Remembered[tuple[str, str, str, str], bool] = Remembered(_MOST_REMEMBERED)

    def look(self, event: Event, sequence: Sequence) -> Iterator[SeenName]:
        """Yield the names of a row that are new here. The row has calls, whether they are known or not."""
        for part, key in enumerate(_names_of(event, sequence)):
            if key not in self._seen:
                self._seen.remember(key, True)
                yield SeenName(*key, part)


def name_findings(first: Iterable[Any]) -> Iterator[Finding]:
    """Yield the findings about the names of a whole log.

    `first` has a mapping for each name, in order of the first rows that have them: its kind as `code`,
    `site`, `persona`, the name as `text`, and in `first` the `source` and `line` of that row.
    """
    rules, crossovers = Rules(NAME_RULES), Crossovers()
    for row in first:
        kind, name, place = row["code"], row["text"], row["first"]
        if kind != DONE:
            for code, message in rules.look_at_name(Name(kind, name)):
                yield Finding(code, message, place["source"], place["line"], name)
        elif message := crossovers.check(row["site"], row["persona"], name):
            yield Finding("crossover", message, place["source"], place["line"], name)


def _names_of(event: Event, sequence: Sequence) -> Iterator[tuple[str, str, str, str]]:
    yield EVENT, "", "", event.name
    for name, _ in event.properties:
        yield PROPERTY, "", "", name
    for call in sequence.calls:
        if type(call) is Record:
            yield DONE, call.site, call.persona, call.event
