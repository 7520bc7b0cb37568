"""What is in force: flags before the environment before defaults.

The command line and this read os.environ, nobody else.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from km_cli.allowance import Allowance
from km_cli.destinations import Target
from km_cli.errors import UsageError
from km_cli.inputs import Shape
from km_cli.mapping import Clocking, Part, Wanted
from km_cli.model import Persona
from km_cli.planning import Collisions

KEY_VARIABLE = "KM_API_KEY"


@dataclass(frozen=True, slots=True)
class Settings:
    """One run's settings. `batch_size` is in rows, `rate` in calls a second, `timeout` in seconds."""

    files: tuple[str, ...]
    shape: Shape
    target: Target
    site: str
    strategy: str
    personas: tuple[Persona, ...]
    wanted: Wanted
    clocking: Clocking
    part: Part
    allowed: tuple[str, ...]
    collisions: Collisions
    spread: int
    limit: int | None
    max_rejects: Allowance | None
    batch_size: int
    concurrency: int
    rate: float | None
    timeout: float
    attempts: int
    ledger: Path
    rejects: Path
    environment: Mapping[str, str]

    @property
    def asked(self) -> str:
        """Digest of all that decides what a row becomes: two readings of one file differ in it or not."""
        parts = [
            self.target.tracker,
            self.shape,
            self.personas,
            self.wanted._replace(exclude=tuple(sorted(self.wanted.exclude))),
            self.clocking,
            self.part,
            sorted(self.allowed),
            self.collisions.value,
            self.spread,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def keys(self) -> dict[str, str]:
        """Return each site's API key. Raises UsageError, naming the variable, if one is missing."""
        if not self.target.needs_key:
            return {persona.site: persona.site for persona in self.personas}
        return {persona.site: read_key(KEY_VARIABLE, self.environment) for persona in self.personas}


def read_key(variable: str, environment: Mapping[str, str]) -> str:
    """Return the API key in an environment variable, checked: it must fit into a URL as it is."""
    key = environment.get(variable, "").strip()
    if not key:
        raise UsageError(
            f"{variable} is not set: it holds the site's API key",
            f"export {variable}=…, or try without one: dry-run, or --to local",
        )
    if not key.isascii() or not all(letter.isalnum() or letter in "-_." for letter in key):
        raise UsageError(
            f"{variable} does not hold an API key: it has blanks, line breaks or other strange characters",
            "copy the key alone, without quotation marks",
        )
    return key


def environment() -> Mapping[str, str]:
    """Return the process's environment."""
    return os.environ


def state_folder() -> Path:
    """Return the user's folder for what a program must remember (XDG_STATE_HOME on Linux)."""
    from platformdirs import user_state_path

    return user_state_path("km-cli")
