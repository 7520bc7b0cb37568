"""`sites`: as `toggle`, but accounts have a site of their own, with its own key (I6)."""

from __future__ import annotations

from km_cli.model import Persona
from km_cli.strategies.base import Strategy


def _personas(site: str, accounts: str) -> tuple[Persona, ...]:
    return Persona("user", site), Persona("account", accounts)


SITES = Strategy("sites", _personas)
