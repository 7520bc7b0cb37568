"""Per person or per account? The same funnel counted both ways, and what each strategy would leave of it."""

from __future__ import annotations

from km_cli.compare import words
from km_cli.compare.as_json import as_json
from km_cli.compare.comparison import Asked, Comparison, compare
from km_cli.compare.counting import OTHERS, Group, PersonaFunnel
from km_cli.compare.differences import Differences
from km_cli.compare.funnel import CountedFunnel, Funnel, Step, make_funnel, make_within
from km_cli.compare.gathering import Follower
from km_cli.compare.held import HeldPersona, HeldStrategy, Report
from km_cli.compare.logs import BackfillLog, Files, Log
from km_cli.compare.recommendation import Recommendation

__all__ = [
    "OTHERS",
    "Asked",
    "BackfillLog",
    "Comparison",
    "CountedFunnel",
    "Differences",
    "Files",
    "Follower",
    "Funnel",
    "Group",
    "HeldPersona",
    "HeldStrategy",
    "Log",
    "PersonaFunnel",
    "Recommendation",
    "Report",
    "Step",
    "as_json",
    "compare",
    "make_funnel",
    "make_within",
    "words",
]
