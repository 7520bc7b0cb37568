"""The settings of a run, as flags, the environment and km.toml give them together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from km_cli.config.people import People
from km_cli.config.reject_limit import RejectLimit
from km_cli.config.sites import Site
from km_cli.destinations import Target
from km_cli.inputs import FormatOptions
from km_cli.inputs.sql.base import Query
from km_cli.mapping import ColumnOptions, Hasher, Members, NamedAt, Selection, TimeOptions
from km_cli.model import Overlap, Persona
from km_cli.planning import Collisions

_OLD_OPTIONS = ColumnOptions._fields.index("ignore")
"""How many column options the first version had: those before `ignore`."""

_TIMES = ColumnOptions._fields.index("times")
"""The place of the options that are no part of the list of newer ones: `optional` makes no other calls."""


class Transport(Enum):
    """The library that sends calls."""

    AUTO = "auto"
    REQUESTS = "requests"
    CURL = "curl"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a run. `batch_size` is in rows, `rate` in calls per second, `timeout` in seconds.

    `concurrency` is how many calls are in flight; None for a number that adapts.
    `skipped` are the events that km.toml leaves out. `selection` has them too, with those of --skip. `source`
    names the [[backfill]] whose own columns and personas these are, "" for those of km.toml; `sources` are
    the names of all that have their own. `export` names the table by which all inputs are read; "" recognises
    exports, "none" does not. For messages, `named_events` are the events of --only and --skip as they are
    written, and `named_at` is where each column is named. A bulk file has at most `part_size` bytes.
    `query` is read in place of files, if there is one.
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
    concurrency: int | None
    rate: float | None
    timeout: float
    attempts: int
    ledger: Path
    rejects: Path
    environment: Mapping[str, str]
    transport: Transport = Transport.AUTO
    skipped: tuple[str, ...] = ()
    source: str = ""
    sources: tuple[str, ...] = ()
    export: str = ""
    allow_alias: bool = False
    named_events: tuple[str, ...] = ()
    named_at: NamedAt = field(default_factory=dict)
    hasher: Hasher | None = None
    part_size: int = 0
    query: Query | None = None

    @property
    def personas(self) -> tuple[Persona, ...]:
        """The personas, the actor first."""
        return self.people.personas

    @property
    def asked(self) -> str:
        """A digest of all settings that decide which calls a row becomes.

        Two runs read a file in the same way if and only if their digests are equal.
        """
        options = self.column_options._replace(exclude=tuple(sorted(self.column_options.exclude)))
        parts: list[object] = [
            self.target.tracker,
            self.format_options,
            [persona.plain for persona in self.personas],
            options[:_OLD_OPTIONS],
            self.time_options,
            self.selection,
            sorted(self.allowed),
            self.collisions.value,
            self.spread,
            self.members.digest if self.members else "",
        ]
        # Options that older versions lack are left out if unused: older ledgers have digests without them.
        if options.ignore:
            parts.append(sorted(options.ignore))
        if any(newer := options[_OLD_OPTIONS + 1 : _TIMES]):
            parts.append(newer)
        if options.times:
            parts.append(["times", options.times])
        if options.hash_key:
            parts.append(["hash", options.hash, options.drop, options.hash_key])
        if self.export:
            parts.append(["export", self.export])
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @property
    def asked_of_files(self) -> str:
        """The digest for files that were read to their end: `asked`, and what makes them worth another look.

        That is the decision on conflicts, and --allow-alias: the aliases of an export are not in `asked`.
        """
        more = [self.overlap.value] if self.overlap is not Overlap.ASK else []
        more += ["allow-alias"] if self.allow_alias else []
        return hashlib.sha256(" ".join([self.asked, *more]).encode()).hexdigest() if more else self.asked

    def with_sites(self, sites: tuple[Site, ...]) -> Settings:
        """Return the settings with other sites: those that calls are sent to."""
        return replace(self, people=self.people._replace(sites=sites))

    def keys(self) -> dict[str, str]:
        """Return the API key of each site. Raises UsageError if one is missing, with its variable or file."""
        if not self.target.needs_key:
            return {site.name: site.name for site in self.people.sites}
        return {site.name: site.key(self.environment) for site in self.people.sites}
