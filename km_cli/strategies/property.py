"""`property`: only users do events, and their account is a property of each event (I6)."""

from __future__ import annotations

from km_cli.model import Persona
from km_cli.strategies.base import Strategy


def _personas(site: str, _accounts: str) -> tuple[Persona, ...]:
    """Return the user, who carries the account, and the account, which is never recorded itself."""
    return Persona("user", site, link=(("Account", "account"),)), Persona("account", site, events=())


PROPERTY = Strategy("property", _personas)
