"""Every rule, and every description by its code."""

from __future__ import annotations

from km_cli.rules import identities, names, values
from km_cli.rules.base import About, Rule
from km_cli.rules.catalogue import ELSEWHERE
from km_cli.rules.facts import FACTS
from km_cli.rules.identified import IDENTIFIED
from km_cli.rules.rejected import REJECTED

RULES: tuple[Rule, ...] = (
    names.FOLDED,
    names.INVISIBLE,
    names.ALIKE,
    names.SET_BY_KISSMETRICS,
    names.ODD,
    values.LONG,
    values.ODD,
    values.TEXT_FOR_MONEY,
    identities.DOUBTFUL,
    identities.ANONYMOUS,
)
"""Every rule about single events. A new one is one function with its description, and one line here."""

CATALOGUE: dict[str, About] = {
    about.code: about
    for about in sorted(
        (*FACTS, *ELSEWHERE, *IDENTIFIED, *REJECTED, *(rule.about for rule in RULES)),
        key=lambda about: about.code,
    )
}
"""The description of all findings and facts, by code."""
