"""Event → Sequence. A strategy is an ordered list of personas; add one here to make it known."""

from __future__ import annotations

from collections.abc import Callable

from km_cli.model import Persona
from km_cli.strategies import toggle
from km_cli.strategies.base import expand

STRATEGIES: dict[str, Callable[[str], tuple[Persona, ...]]] = {"toggle": toggle.personas}
"""What `--strategy` knows: a name, and the personas it stands for when given the first site's name."""

__all__ = ["STRATEGIES", "expand"]
