"""The sources of a run: the files on the command line, or the sources of a backfill in km.toml."""

from __future__ import annotations

import io
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial

import click
from click.core import ParameterSource

from km_cli.cli.context import KmTomlFile, km_toml_of
from km_cli.cli.own_columns import is_read_apart
from km_cli.cli.settings import settings_of_source
from km_cli.config.backfill import BackfillSource, backfill_sources
from km_cli.config.environment import Environment
from km_cli.config.queries import query_of_table
from km_cli.config.settings import Settings
from km_cli.errors import UsageError
from km_cli.inputs import Source
from km_cli.inputs.finding import find_files
from km_cli.inputs.sql.base import Query
from km_cli.inputs.storage.registry import storage_of
from km_cli.run import interrupts
from km_cli.run.backfill import Own
from km_cli.run.stopping import Stop, Stopped


def make_file_sources(settings: Settings, stop: Stop, environment: Environment) -> list[Source]:
    """Return the files on the command line, each checked, or the query in their place.

    Waiting for their content ends when `stop` asks.
    """

    def heed() -> None:
        if stop.requested:
            raise Stopped(stop.error)

    if settings.query is not None:
        from km_cli.inputs.sql.source import QuerySource

        return [QuerySource(settings.query, heed)]
    stdin: io.BufferedReader | None = None
    if "-" in settings.files:
        patient: io.RawIOBase = interrupts.PatientInput(environment.stdin.fileno(), stop)
        stdin = io.BufferedReader(patient)
    opens = partial(interrupts.open_patiently, stop=stop)
    sources = [Source(name, stdin, settings.format_options, opens, heed) for name in settings.files]
    for source in sources:
        source.check()
    return sources


def make_backfill_sources(context: click.Context, settings: Settings) -> tuple[BackfillSource, ...]:
    """Return the [[backfill]] sources of km.toml: those that NAME gives, or all. Raises UsageError."""
    km_toml, source_of = km_toml_of(context), context.get_parameter_source
    if km_toml.path is None:
        raise UsageError(
            "there is no km.toml in this folder, and a backfill reads only the files that km.toml names",
            "change to its folder, or give --config PATH; `km-cli init FILE` writes a km.toml",
        )
    names = context.params.get("names") or tuple(filter(None, [context.params.get("source")]))
    own = {
        table.name: settings_of_source(context, settings, table)
        for table in km_toml.config.backfill
        if is_read_apart(table) and (not names or table.name in names)
    }
    given = {name: source_of(name) is not ParameterSource.DEFAULT for name in ("since", "until")}
    return backfill_sources(
        km_toml.config,
        km_toml.folder,
        names,
        settings.selection,
        given["since"],
        given["until"],
        settings.time_options.timezone,
        own,
        _queries(km_toml, names, settings, own),
    )


def _queries(
    km_toml: KmTomlFile, names: Collection[str], settings: Settings, own: Mapping[str, Settings]
) -> dict[str, Query]:
    """Return the queries of the sources of these names, or of all. Raises UsageError."""
    found = {}
    for at, table in enumerate(km_toml.config.backfill, start=1):
        if names and table.name not in names:
            continue
        place = f"km.toml, backfill[{at}]"
        if query := query_of_table(table, place, km_toml.folder, own.get(table.name, settings)):
            found[table.name] = query
    return found


def sizes_of_backfill(
    sources: Sequence[BackfillSource], settings: Settings, own: Own
) -> dict[str, int] | None:
    """Return the bytes of each file that a backfill would look at, for its progress.

    The files are looked for once more when their turn comes, and problems are reported then. None if they
    cannot be listed, or if there are queries, whose size is not known. Files of km-cli's `own` are left out,
    as the backfill leaves them out.
    """
    if any(source.query for source in sources):
        return None
    mine = {os.path.realpath(path) for path, _ in own}
    sizes: dict[str, int] = {}
    for source in sources:
        zone = (source.settings or settings).time_options.timezone
        try:
            found = find_files(source.patterns, source.selection.since, source.selection.until, zone)
        except UsageError:
            return None
        for file in found.files:
            with suppress(OSError, ValueError, UsageError):
                if os.path.realpath(file) not in mine and (found_file := storage_of(file).stat(file)):
                    sizes[file] = found_file.stamp.size
    return sizes
