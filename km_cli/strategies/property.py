"""`property`: people alone do events, and the account is a property of theirs (I6)."""

from __future__ import annotations

from km_cli.model import Persona


def personas(site: str, _accounts: str) -> tuple[Persona, ...]:
    """Return the user, who acts and carries the account, and the account, who does nothing itself."""
    return Persona("user", site, link=(("Account", "account"),)), Persona("account", site, events=())
