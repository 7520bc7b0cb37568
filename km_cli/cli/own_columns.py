"""A [[backfill]] that is read in its own way: the context of a command, made by the keys of that source."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

import click
from click.core import ParameterSource

from km_cli.cli.context import KmTomlFile, km_toml_of, with_km_toml
from km_cli.config.kmtoml import BackfillTable, ColumnsTable, KmToml
from km_cli.errors import UsageError, did_you_mean

_FORMAT_KEYS = ("format", "encoding", "delimiter")
_EITHER = (("event", "event_name"), ("event_name", "event"), ("at", "timestamp"), ("timestamp", "at"))
"""Keys that replace each other: a source that has one of them does without the other one of [columns]."""


def source_table(context: click.Context, name: str) -> BackfillTable:
    """Return the [[backfill]] of this name. Raises UsageError."""
    tables = {table.name: table for table in km_toml_of(context).config.backfill}
    if name not in tables:
        names = f"the names are: {', '.join(tables)}" if tables else "km.toml has no [[backfill]]"
        raise UsageError(
            f"--source: km.toml has no [[backfill]] called {name!r}",
            did_you_mean(name, tables, names, repr),
        )
    return tables[name]


def is_own(table: BackfillTable) -> bool:
    """Tell whether a source has columns or personas of its own, so that its rows become other calls."""
    return bool(table.personas or table.export) or table.columns != ColumnsTable()


def is_read_apart(table: BackfillTable) -> bool:
    """Tell whether a source has any key that changes how its files are read."""
    return is_own(table) or any(getattr(table, key) for key in _FORMAT_KEYS)


def context_of_source(context: click.Context, table: BackfillTable) -> click.Context:
    """Return the context of a command in which the keys of a source override the rest of km.toml.

    Flags and variables still override both.
    """
    km_toml = km_toml_of(context)
    own = {key: value for key in _FORMAT_KEYS if (value := getattr(table, key))}
    file = KmTomlFile(km_toml.path, _merged(km_toml.config, table))
    return _with_values(context, with_km_toml(context, file, f"backfill {table.name!r}, ", own))


def context_of_export(context: click.Context) -> click.Context:
    """Return the context of a command whose --export names another export than km.toml does.

    The columns of km.toml are those of another log then, and the table names them all.
    """
    from km_cli.exports import NO_EXPORT

    km_toml, asked = km_toml_of(context), context.params["export"]
    is_flag = context.get_parameter_source("export") in (
        ParameterSource.COMMANDLINE,
        ParameterSource.ENVIRONMENT,
    )
    described = km_toml.config.columns.export
    if not is_flag or asked in (None, "", NO_EXPORT, described) or not isinstance(described, str):
        return context
    file = KmTomlFile(km_toml.path, _left_to_table(km_toml.config))
    return _with_values(context, with_km_toml(context, file, "", {}))


def _with_values(context: click.Context, made: click.Context) -> click.Context:
    """Give a new context the values of flags and variables, which are stronger than any km.toml."""
    for param in context.command.params:
        if param.name in context.params:
            _take(context, made, param, param.name)
    return made


def _take(context: click.Context, made: click.Context, param: click.Parameter, name: str) -> None:
    """Give a parameter the value that it has in the source."""
    source = context.get_parameter_source(name) or ParameterSource.DEFAULT
    value = context.params[name]
    defaults: Mapping[str, Any] = made.default_map or {}
    if source in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP):
        if name in defaults:
            source, value = ParameterSource.DEFAULT_MAP, param.type_cast_value(made, defaults[name])
        elif source is ParameterSource.DEFAULT_MAP:  # the source's own keys leave it out
            default = param.get_default(made)
            # Newer versions of click have a value of their own, a member of an enumeration, for no default.
            default = None if isinstance(default, Enum) else default
            source, value = ParameterSource.DEFAULT, param.type_cast_value(made, default)
    made.params[name] = value
    made.set_parameter_source(name, source)


_SHARED = (
    *("exclude", "ignore", "constant", "skip", "skip_anonymous", "ambiguous", "leave_out_reserved"),
    *("optional", "hash", "drop", "hash_key_file"),
)
"""Keys of [columns] that hold for a source that names its export. The others describe other logs."""

_LEFT_OUT = ("exclude", "ignore", "optional", "hash", "drop")
"""Those of them that name columns of all logs, so that an export may lack some."""


def _left_to_table(config: KmToml) -> KmToml:
    """Return km.toml without the columns that the table of an export names.

    Its columns that are left out of all logs are left out of the export as well, if it has them.
    """
    from msgspec.structs import replace

    shared = {key: getattr(config.columns, key) for key in _SHARED}
    lists = [value for key in _LEFT_OUT if isinstance(value := shared[key], list)]
    if lists:
        shared["optional"] = list(dict.fromkeys(name for names in lists for name in names))
    people = [
        replace(one, column="") if not at or one.name == "account" else one
        for at, one in enumerate(config.personas)
    ]
    return replace(config, columns=ColumnsTable(**shared), personas=people)


def _merged(config: KmToml, table: BackfillTable) -> KmToml:
    """Return km.toml with the keys of a source in the place of its own."""
    from msgspec import UNSET
    from msgspec.structs import asdict, replace

    from km_cli.exports import NO_EXPORT

    own = {key: value for key, value in asdict(table.columns).items() if value is not UNSET}
    dropped = {other: UNSET for key, other in _EITHER if key in own and other not in own}
    if table.export:
        own["export"] = table.export
        config = config if table.export == NO_EXPORT else _left_to_table(config)
        if isinstance(shared := config.columns.optional, list) and table.export != NO_EXPORT:
            own["optional"] = [*shared, *own.get("optional", ())]
    if not table.personas:
        return replace(config, columns=replace(config.columns, **dropped, **own))
    dropped |= {name: UNSET for name in ("user", "account") if name not in own}
    columns = replace(config.columns, **dropped, **own)
    return replace(config, columns=columns, personas=table.personas, strategy=UNSET)
