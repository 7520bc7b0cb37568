"""Event → Sequence. A strategy is an ordered list of personas; add one here to make it known."""

from __future__ import annotations

from collections.abc import Callable

from km_cli.model import Persona
from km_cli.strategies import property as linked
from km_cli.strategies import sites, toggle
from km_cli.strategies.base import Expansion
from km_cli.strategies.lists import EventLists

STRATEGIES: dict[str, Callable[[str, str], tuple[Persona, ...]]] = {
    "toggle": toggle.personas,
    "property": linked.personas,
    "sites": sites.personas,
}
"""What `--strategy` knows: a name, and the personas it stands for given the first and the accounts' site."""

__all__ = ["STRATEGIES", "EventLists", "Expansion"]
