"""What Kissmetrics merges, changes or drops without a word: a class for what shows in a single event, and
the catalogue of all that is noticed anywhere on the way."""

from __future__ import annotations

from collections.abc import Iterator

from km_cli.model import Event, Finding
from km_cli.rules.base import About, Example, Rule, Severity
from km_cli.rules.catalogue import NOTICED
from km_cli.rules.identities import AnonymousIds, DoubtfulIdentities
from km_cli.rules.names import AlikeNames, FoldedNames, InvisibleInNames, NamesOfKissmetrics, OddNames
from km_cli.rules.values import LongValues, NotForCsv, OddValues, TextForMoney

RULES: tuple[type[Rule], ...] = (
    FoldedNames,
    InvisibleInNames,
    AlikeNames,
    NamesOfKissmetrics,
    OddNames,
    LongValues,
    OddValues,
    TextForMoney,
    NotForCsv,
    DoubtfulIdentities,
    AnonymousIds,
)
"""Every rule about single events; add one here to have it looked for."""

CATALOGUE: dict[str, About] = {
    about.code: about
    for about in sorted((*NOTICED, *(rule.about for rule in RULES)), key=lambda about: about.code)
}
"""All that can be found, by code."""

__all__ = ["CATALOGUE", "RULES", "About", "Example", "Rule", "Rules", "Severity", "is_harmless"]


def is_harmless(code: str) -> bool:
    """Tell whether a finding is only a note: nothing is lost, merged or changed."""
    return code not in CATALOGUE or CATALOGUE[code].severity is Severity.NOTE


class Rules:
    """All rules, for one run."""

    def __init__(self) -> None:
        self._rules = [make() for make in RULES]

    def look(self, event: Event) -> Iterator[Finding]:
        """Yield what is found in an event that will be sent."""
        for rule in self._rules:
            for message, who in rule.look(event):
                yield Finding(rule.about.code, message, event.row.source, event.row.line, who)
