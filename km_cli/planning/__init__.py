"""Sequences → Plans: what is known is skipped, what Kissmetrics would merge gets a second of its own.

A call is known by its *deed*: who did what when (matching). What is new gets a second (seconds). The ledger's
slots hold what is known; here are only the decisions.
"""

from __future__ import annotations

from km_cli.planning.planner import Planner
from km_cli.planning.seconds import Collisions

__all__ = ["Collisions", "Planner"]
