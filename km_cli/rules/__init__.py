"""What Kissmetrics merges, changes or drops without an error.

The rules judge single events, the catalogue describes all findings and facts; kissmetrics.md has the sources.
"""

from __future__ import annotations

from km_cli.rules.about import about_code
from km_cli.rules.base import About, Example, Rule, Severity
from km_cli.rules.driver import Rules
from km_cli.rules.registry import CATALOGUE, RULES

__all__ = [
    "CATALOGUE",
    "RULES",
    "About",
    "Example",
    "Rule",
    "Rules",
    "Severity",
    "about_code",
    "is_harmless",
]

_HARMLESS = frozenset({Severity.NOTE, Severity.FACT})


def is_harmless(code: str) -> bool:
    """Tell whether a finding is only a note: no data is rejected, lost, merged or changed."""
    return about_code(code).severity in _HARMLESS
