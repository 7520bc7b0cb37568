"""Event → Sequence: the calls that one row becomes."""

from __future__ import annotations

from km_cli.strategies.base import Strategy
from km_cli.strategies.expansion import Expansion, event_naming
from km_cli.strategies.lists import EventLists
from km_cli.strategies.registry import STRATEGIES

__all__ = ["STRATEGIES", "EventLists", "Expansion", "Strategy", "event_naming"]
