"""The interface of a strategy: an ordered list of personas, made for a site and the accounts' site."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from km_cli.model import Persona


class Strategy(NamedTuple):
    """A strategy by its name, the word for `--strategy`.

    `personas` returns the personas, the actor first. Its arguments are the site of the import, and another
    site that accounts may have. The mechanism is the same for all strategies: see Expansion.
    """

    name: str
    personas: Callable[[str, str], tuple[Persona, ...]]
