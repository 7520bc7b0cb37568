"""Event → Sequence: the calls that one row becomes."""

from __future__ import annotations

from km_cli.strategies.base import Strategy
from km_cli.strategies.expansion import Expansion, event_naming
from km_cli.strategies.lists import EventLists, Lacked, left_to_others
from km_cli.strategies.registry import STRATEGIES

__all__ = [
    "STRATEGIES",
    "EventLists",
    "Expansion",
    "Lacked",
    "Strategy",
    "event_naming",
    "left_to_others",
]
