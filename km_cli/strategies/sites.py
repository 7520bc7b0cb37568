"""`sites`: as toggle, but accounts have a site of their own, with its own key (I6)."""

from __future__ import annotations

from km_cli.model import Persona


def personas(site: str, accounts: str) -> tuple[Persona, ...]:
    """Return the user, who acts in `site`, and the account, who does the same in `accounts`."""
    return Persona("user", site), Persona("account", accounts)
