"""`toggle`: users and accounts side by side in one site, each doing only its own events (I6)."""

from __future__ import annotations

from km_cli.model import Persona


def personas(site: str, _accounts: str) -> tuple[Persona, ...]:
    """Return the user, who acts, and the account, both in `site`."""
    return Persona("user", site), Persona("account", site)
