"""km.toml's [[backfill]]: what `km-cli backfill` reads, and which part of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from km_cli.config.kmtoml import BackfillTable, KmToml
from km_cli.config.settings import Settings
from km_cli.errors import UsageError, did_you_mean
from km_cli.inputs.discovery import pattern_from_here
from km_cli.mapping import Bound, Selection, check_order, make_bound
from km_cli.model import NANOSECONDS, Overlap

_ADD = 'add the three lines: [[backfill]] and below it name = "exports" and files = ["exports/*.csv.gz"]'


class BackfillSource(NamedTuple):
    """A [[backfill]] of km.toml: patterns that can be looked for from here, and the part to take of it.

    `optional` if it may have no file. `overlap` says how its files overlap with others.
    """

    name: str
    patterns: tuple[str, ...]
    selection: Selection
    optional: bool
    overlap: Overlap = Overlap.ASK


def overlap_of(source: BackfillSource, settings: Settings) -> Overlap:
    """Return how a source's files overlap with others: as a flag says, else as km.toml does."""
    return source.overlap if settings.overlap is Overlap.ASK else settings.overlap


class _Flags(NamedTuple):
    """What flags and the environment say: the part, and which of its ends they say something of."""

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
) -> tuple[BackfillSource, ...]:
    """Return the sources of these names, all if there are none, in the order of km.toml.

    `folder` is km.toml's. A source's own since and until stand where flags (or the environment) say nothing;
    `timezone`, for both, "" is UTC. Sources of which flags leave nothing are left out, if they do not leave
    out all. Raises UsageError for what makes no sense in km.toml, or of names.
    """
    _check_names([table.name for table in config.backfill], names)
    flags = _Flags(selection, since_given, until_given, timezone)
    found, nothing_of = [], None
    for at, table in enumerate(config.backfill, start=1):
        if names and table.name not in names:
            continue
        patterns = tuple(pattern_from_here(folder, entry) for entry in table.files)
        try:
            taken = _selection(f"km.toml, backfill[{at}]", table, flags)
        except _Nothing as error:
            nothing_of = error
            continue
        found.append(BackfillSource(table.name, patterns, taken, table.optional, Overlap(table.overlap)))
    if nothing_of is not None and not found:
        raise nothing_of
    return tuple(found)


class _Nothing(UsageError):
    """Flags leave nothing of a source."""


def _check_names(known: Sequence[str], asked: Collection[str]) -> None:
    if not known:
        raise UsageError("km.toml has no [[backfill]]: nothing says what to read", _ADD)
    for at, name in enumerate(known):
        if name in known[:at]:
            raise UsageError(
                f"km.toml, backfill[{at + 1}].name: backfill[{known.index(name) + 1}] is called {name!r} too",
                "give each a name of its own, or put the files of both into one",
            )
    for name in asked:
        if name not in known:
            raise UsageError(
                f"km.toml has no [[backfill]] called {name!r}",
                did_you_mean(name, known, f"there are: {', '.join(known)}", repr),
            )


def _selection(place: str, table: BackfillTable, flags: _Flags) -> Selection:
    since = make_bound(f"{place}.since", table.since, flags.timezone)
    until = make_bound(f"{place}.until", table.until, flags.timezone)
    check_order(since, until)
    if flags.since_given:
        since = _said("--since", flags.selection.since)
    if flags.until_given:
        until = _said("--until", flags.selection.until)
    try:
        check_order(since, until)
    except UsageError as error:
        raise _Nothing(str(error), "say other times, or name the sources that have such") from None
    return flags.selection._replace(since=since.moment, until=until.moment)


def _said(flag: str, moment: int | None) -> Bound:
    """Return a bound that a flag set, in words of our own."""
    if moment is None:
        return Bound(flag, "", None)
    return Bound(flag, datetime.fromtimestamp(moment // NANOSECONDS, UTC).isoformat(), moment)
