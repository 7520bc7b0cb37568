"""`toggle`: users and accounts side by side in one site, each doing its own events (I6)."""

from __future__ import annotations

from km_cli.model import Persona
from km_cli.strategies.base import Strategy


def _personas(site: str, _accounts: str) -> tuple[Persona, ...]:
    return Persona("user", site), Persona("account", site)


TOGGLE = Strategy("toggle", _personas)
