"""The sources of a backfill: what km.toml and the command line say together."""

from __future__ import annotations

import click
from click.core import ParameterSource

from km_cli.cli.configured import taken
from km_cli.config.backfill import BackfillSource, backfill_sources
from km_cli.config.settings import Settings
from km_cli.errors import UsageError


def sources_of(context: click.Context, settings: Settings) -> tuple[BackfillSource, ...]:
    """Return what km.toml says is to be read, the sources that were named or all. Raises UsageError."""
    found, where = taken(context), context.get_parameter_source
    if found.path is None:
        raise UsageError(
            "there is no km.toml in this folder: it says what a backfill reads",
            "go where it is, or say --config PATH; `km-cli init FILE` writes one",
        )
    given = {name: where(name) is not ParameterSource.DEFAULT for name in ("since", "until")}
    return backfill_sources(
        found.config,
        found.folder,
        context.params.get("names", ()),
        settings.selection,
        given["since"],
        given["until"],
        settings.time_options.timezone,
    )
