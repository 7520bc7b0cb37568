"""Personas of people in the store: as the ledger in its file has them, else as km.toml says, else unknown."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from km_cli.errors import LedgerError
from km_cli.ledger import Ledger
from km_cli.memory import Remembered
from km_cli.model import Persona
from km_cli.run.overview import UNKNOWN, personas_by

_TRACKER: Final = "local"
"""The name under which a ledger in the file of a store keeps what was sent there."""

_MOST_REMEMBERED: Final = 200_000

_Person = tuple[str, tuple[str, ...]]
"""The site and the identities of a person."""

_A_LEDGER: Final = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'outbox')"


def has_ledger(store: Path) -> bool:
    """Tell whether a ledger shares the file of a store: an import with --to local made it."""
    place = f"{store.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(place, uri=True, timeout=30)) as database:
        return bool(database.execute(_A_LEDGER).fetchone()[0])


class Personas:
    """Tells the persona of a person. Threads may share one."""

    def __init__(self, store: Path, personas: Sequence[Persona]) -> None:
        self._store = store
        self._personas = tuple(personas)
        self._known: Remembered[_Person, str] = Remembered(_MOST_REMEMBERED)
        self._lock = threading.Lock()
        self._names = {persona.name for persona in self._personas if persona.is_recorded}

    @property
    def names(self) -> list[str]:
        """The personas of km.toml, and those of people who were looked up."""
        return sorted(self._names)

    def forget(self) -> None:
        """Forget whom the store had."""
        with self._lock:
            self._known.clear()

    def of(self, people: Sequence[_Person]) -> list[str]:
        """Return the persona of each (site, identities). A persona that is known is never asked for again."""
        with self._lock:
            found = {one: self._known[one] for one in people if one in self._known}
            missing = dict.fromkeys(one for one in people if one not in found)
            for one, persona in self._look(list(missing)).items():
                found[one] = persona
                self._names.add(persona)
                if persona != UNKNOWN:
                    self._known.remember(one, persona)
            return [found[one] for one in people]

    def _look(self, people: Sequence[_Person]) -> dict[_Person, str]:
        if not people:
            return {}
        ledger = self._ledger()
        try:
            persona_of = personas_by(ledger, _TRACKER, self._personas)
            return {one: persona_of(*one) for one in people}
        finally:
            if ledger is not None:
                ledger.close()

    def _ledger(self) -> Ledger | None:
        """Return the ledger in the store's file for reading; None if there is none, or it is of no use."""
        try:
            return Ledger.overlay(self._store) if has_ledger(self._store) else None
        except (LedgerError, sqlite3.Error):
            return None
