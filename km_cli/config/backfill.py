"""The sources of `km-cli backfill`: [[backfill]] in km.toml, narrowed by flags."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from km_cli.config.kmtoml import BackfillTable, KmToml
from km_cli.config.settings import Settings
from km_cli.errors import UsageError, did_you_mean
from km_cli.inputs.discovery import pattern_from_here
from km_cli.inputs.sql.base import Query
from km_cli.mapping import Bound, Selection, check_order, make_bound
from km_cli.model import NANOSECONDS, Overlap

_ADD = 'add three lines: [[backfill]], name = "exports" and files = ["exports/*.csv.gz"]'


class BackfillSource(NamedTuple):
    """A [[backfill]] of km.toml: patterns relative to the current folder, and the selection of its events.

    `optional` means that the source may have no file. `overlap` says how to treat rows of it that conflict
    with other files. `settings` are those of a run with the source's own columns, personas and format; None
    if it has none of its own. `query` is read in place of files, if there is one.
    """

    name: str
    patterns: tuple[str, ...]
    selection: Selection
    optional: bool
    overlap: Overlap = Overlap.ASK
    settings: Settings | None = None
    query: Query | None = None


def settings_for(sources: Sequence[BackfillSource], settings: Settings) -> Settings:
    """Return the settings of a run over these sources: with the sites that any of them is recorded in."""
    sites = [site for source in sources for site in (source.settings or settings).people.sites]
    return replace(settings, people=settings.people._replace(sites=tuple(dict.fromkeys(sites))))


def overlap_of(source: BackfillSource, settings: Settings) -> Overlap:
    """Return how a source overlaps with other files: by --overlap, else by km.toml."""
    return source.overlap if settings.overlap is Overlap.ASK else settings.overlap


class _Flags(NamedTuple):
    """The selection by flags and the environment, and whether they give its ends."""

    selection: Selection
    since_given: bool
    until_given: bool
    timezone: str


def backfill_sources(
    config: KmToml,
    folder: Path,
    names: Collection[str],
    selection: Selection,
    since_given: bool,
    until_given: bool,
    timezone: str,
    own: Mapping[str, Settings] | None = None,
    queries: Mapping[str, Query] | None = None,
) -> tuple[BackfillSource, ...]:
    """Return the sources of these names, or all sources if there are no names, in the order of km.toml.

    `folder` is that of km.toml; a `timezone` of "" is UTC. --since and --until override those of a source. If
    they exclude all times of a source, that source is left out. `own` are the settings of sources with
    columns, personas or a format of their own, `queries` those that sources read in place of files. Raises
    UsageError for names and times that are wrong, and if no source is left.
    """
    _check_names([table.name for table in config.backfill], names)
    flags, own = _Flags(selection, since_given, until_given, timezone), own or {}
    found, empty = [], None
    for at, table in enumerate(config.backfill, start=1):
        if names and table.name not in names:
            continue
        patterns = tuple(pattern_from_here(folder, entry) for entry in table.files)
        settings = own.get(table.name)
        if settings is not None:
            zone = settings.time_options.timezone
            flags_here = flags._replace(selection=settings.selection, timezone=zone)
        else:
            flags_here = flags
        try:
            taken = _selection(f"km.toml, backfill[{at}]", table, flags_here)
        except _NothingLeft as error:
            empty = error
            continue
        overlap = Overlap(table.overlap)
        query = (queries or {}).get(table.name)
        found.append(BackfillSource(table.name, patterns, taken, table.optional, overlap, settings, query))
    if empty is not None and not found:
        raise empty
    return tuple(found)


class _NothingLeft(UsageError):
    """--since and --until leave nothing of a source."""


def _check_names(known: Sequence[str], asked: Collection[str]) -> None:
    if not known:
        raise UsageError("km.toml has no [[backfill]]: there is nothing to read", _ADD)
    for at, name in enumerate(known):
        if name in known[:at]:
            raise UsageError(
                f"km.toml, backfill[{at + 1}].name: backfill[{known.index(name) + 1}] is called {name!r} too",
                "give each source its own name, or put the files of both into one",
            )
    for name in asked:
        if name not in known:
            raise UsageError(
                f"km.toml has no [[backfill]] called {name!r}",
                did_you_mean(name, known, f"the names are: {', '.join(known)}", repr),
            )


def _selection(place: str, table: BackfillTable, flags: _Flags) -> Selection:
    since = make_bound(f"{place}.since", table.since, flags.timezone)
    until = make_bound(f"{place}.until", table.until, flags.timezone)
    check_order(since, until)
    if flags.since_given:
        since = _flag_bound("--since", flags.selection.since)
    if flags.until_given:
        until = _flag_bound("--until", flags.selection.until)
    try:
        check_order(since, until)
    except UsageError as error:
        raise _NothingLeft(str(error), "give other times, or the NAME of a source that has them") from None
    return flags.selection._replace(since=since.moment, until=until.moment)


def _flag_bound(flag: str, moment: int | None) -> Bound:
    """Return the bound that a flag set. Its text is made from the moment, as the flag itself is not kept."""
    if moment is None:
        return Bound(flag, "", None)
    return Bound(flag, datetime.fromtimestamp(moment // NANOSECONDS, UTC).isoformat(), moment)
