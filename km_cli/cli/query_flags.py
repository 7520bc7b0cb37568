"""The flags of a query: --sql with its database, and what they exclude."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from km_cli.config.settings import Settings
from km_cli.errors import UsageError
from km_cli.inputs.base import FormatOptions

_FLAGS = {
    "database": "--database",
    "database_env": "--database-env",
    "order_by": "--order-by",
    "start": "--start",
    "name": "--name",
}


def has_query(context: click.Context) -> bool:
    """Tell whether a query is given, or a flag that is for queries alone. Not all commands have them."""
    flags, source_of = context.params, context.get_parameter_source
    if not any(option.name == "sql" for option in context.command.params):
        return False
    return bool(flags["sql"]) or any(
        flags.get(name) and source_of(name) is ParameterSource.COMMANDLINE for name in _FLAGS
    )


def check_has_source(context: click.Context) -> None:
    """Raise MissingParameter if neither a file is named nor anything of a query."""
    if not context.params["files"] and not has_query(context):
        raise click.MissingParameter(ctx=context, param=context.command.params[0])


def with_query(context: click.Context, settings: Settings) -> Settings:
    """Return the settings of a run that reads a query. Raises UsageError for flags that exclude it."""
    flags = context.params
    if not flags["sql"]:
        given = next(flag for name, flag in _FLAGS.items() if flags[name])
        raise UsageError(f"{given} is for queries alone", "leave it out, or give the query: --sql QUERY")
    _check_excluded(flags, settings)
    from km_cli.config.queries import FLAGS, Asked, make_query

    asked = Asked(
        flags["sql"],
        flags["database"],
        flags["database_env"],
        flags["order_by"],
        flags["start"],
        flags["name"].strip(),
    )
    return replace(settings, query=make_query(asked, FLAGS, Path(), settings))


def _check_excluded(flags: dict[str, Any], settings: Settings) -> None:
    """Raise UsageError for flags that have no meaning beside --sql."""
    if settings.files:
        raise UsageError("both FILE and --sql are given", "import them one after the other")
    if settings.format_options != FormatOptions() or settings.export:
        raise UsageError(
            "--format, --encoding, --delimiter and --export are for files",
            "leave them out: the rows of a query have columns already",
        )
    is_plan = flags.get("plan") or (flags.get("out") and not flags.get("form"))
    if is_plan:
        raise UsageError(
            "an import plan is for files: a query may have other rows by the time it is carried out",
            "write the rows into a file and plan that, or look at them: km-cli dry-run --sql … --as table",
        )
