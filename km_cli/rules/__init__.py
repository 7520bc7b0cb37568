"""What Kissmetrics merges, changes or drops without a word, as far as a single event shows it."""

from __future__ import annotations

from collections.abc import Iterator

from km_cli.model import Event, Finding
from km_cli.rules.base import About, Rule
from km_cli.rules.names import FoldedNames, NamesOfKissmetrics
from km_cli.rules.values import LongValues, OddValues

RULES: tuple[type[Rule], ...] = (FoldedNames, NamesOfKissmetrics, LongValues, OddValues)
"""Every rule about single events; add one here to have it looked for."""

__all__ = ["RULES", "About", "Rule", "Rules"]


class Rules:
    """All rules, for one run."""

    def __init__(self) -> None:
        self._rules = [make() for make in RULES]

    def look(self, event: Event) -> Iterator[Finding]:
        """Yield what is found in an event that will be sent."""
        for rule in self._rules:
            for message in rule.look(event):
                yield Finding(rule.about.code, message, event.row.source, event.row.line)
