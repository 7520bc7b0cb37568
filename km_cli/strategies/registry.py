"""Every strategy by its name."""

from __future__ import annotations

from km_cli.strategies.base import Strategy
from km_cli.strategies.property import PROPERTY
from km_cli.strategies.sites import SITES
from km_cli.strategies.toggle import TOGGLE

STRATEGIES: dict[str, Strategy] = {
    one.name: one
    for one in (
        TOGGLE,
        PROPERTY,
        SITES,
    )
}
"""Every strategy. A new one is one file, and one line here."""
