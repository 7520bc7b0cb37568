"""One run's settings: what flags, the environment and km.toml say together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from km_cli.config.people import People
from km_cli.config.reject_limit import RejectLimit
from km_cli.destinations import Target
from km_cli.inputs import FormatOptions
from km_cli.mapping import ColumnOptions, Members, Selection, TimeOptions
from km_cli.model import Overlap, Persona
from km_cli.planning import Collisions


@dataclass(frozen=True, slots=True)
class Settings:
    """One run's settings. `batch_size` is in rows, `rate` in calls a second, `timeout` in seconds.

    `skipped` are the events that km.toml leaves out, whatever flags say; they are in `part` too.
    """

    files: tuple[str, ...]
    format_options: FormatOptions
    target: Target
    people: People
    members: Members | None
    column_options: ColumnOptions
    time_options: TimeOptions
    selection: Selection
    allowed: tuple[str, ...]
    collisions: Collisions
    spread: int
    overlap: Overlap
    as_new: bool
    limit: int | None
    max_rejects: RejectLimit | None
    batch_size: int
    concurrency: int
    rate: float | None
    timeout: float
    attempts: int
    ledger: Path
    rejects: Path
    environment: Mapping[str, str]
    skipped: tuple[str, ...] = ()

    @property
    def personas(self) -> tuple[Persona, ...]:
        """Who events are recorded as, the actor first."""
        return self.people.personas

    @property
    def asked(self) -> str:
        """Digest of all that decides what a row becomes: two readings of one file differ in it or not."""
        *column_options, ignore = self.column_options._replace(
            exclude=tuple(sorted(self.column_options.exclude))
        )
        parts: list[object] = [
            self.target.tracker,
            self.format_options,
            self.personas,
            column_options,
            self.time_options,
            self.selection,
            sorted(self.allowed),
            self.collisions.value,
            self.spread,
            self.members.digest if self.members else "",
            *([sorted(ignore)] if ignore else []),  # only then: older ledgers know readings by the rest
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @property
    def asked_of_files(self) -> str:
        """Digest by which files that were read to their end are known: decisions on conflicts are in it."""
        if self.overlap is Overlap.ASK:
            return self.asked
        return hashlib.sha256(f"{self.asked} {self.overlap.value}".encode()).hexdigest()

    def keys(self) -> dict[str, str]:
        """Return each site's API key. Raises UsageError, naming where it should be, if one is missing."""
        if not self.target.needs_key:
            return {site.name: site.name for site in self.people.sites}
        return {site.name: site.key(self.environment) for site in self.people.sites}
