"""`km-cli config`: the settings in force and their sources, and the schema of km.toml."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import click
from click.core import ParameterSource

from km_cli.cli import options
from km_cli.cli.context import WITHOUT_FLAG, KmTomlFile, environment_of, keys_for_flags, km_toml_of
from km_cli.cli.import_ import command as import_command
from km_cli.cli.sections import Command, Group
from km_cli.cli.terminal.show import put
from km_cli.toml_text import quoted


class _Value(NamedTuple):
    """A value in force, with its place in km.toml. `table` is "" for the keys before the first table."""

    table: str
    key: str
    value: Any
    source: str


@click.group("config", cls=Group, short_help="Show the settings in force, or the schema of km.toml.")
def command() -> None:
    """Show the settings in force and their sources, or the schema of km.toml."""


@command.command("show", cls=Command)
@options.config
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object: for each key its value and source."
)
@click.pass_context
def show(context: click.Context, /, *, as_json: bool) -> None:
    """Show every setting in force and its source. API keys are never shown.

    The output is itself a km.toml. A flag on the command line overrides every setting shown here.

    \b
    Examples:
      km-cli config show
      km-cli config show --config other.toml --json
    """
    km_toml = km_toml_of(context)
    values = list(_values(context))
    if as_json:
        by_key = {f"{one.table}.{one.key}".lstrip("."): one for one in values}
        put(
            json.dumps(
                {key: {"value": one.value, "source": one.source} for key, one in by_key.items()}, indent=2
            )
        )
        return
    absent = "# there is no km.toml in this folder: `km-cli init FILE` writes one"
    put(f"# {km_toml.path} is in force" if km_toml.path else absent)
    table = ""
    for one in values:
        if one.table != table:
            table = one.table
            put(f"\n[{table}]")
        line = f"{one.key} = {_toml(one.value)}" if one.value is not None else f"# {one.key} ="
        put(f"{line:<40}  # {one.source}")
    for line in _other_tables(km_toml, environment_of(context).variables):
        put(line)


@command.command("schema", cls=Command)
def schema() -> None:
    """Print the JSON Schema of km.toml, for editors.

    \b
    Examples:
      km-cli config schema > km.schema.json
    """
    from km_cli.config import kmtoml

    put(json.dumps(kmtoml.schema(), indent=2))


def _values(context: click.Context) -> Iterator[_Value]:
    """Yield the settings of an import that km.toml can hold."""
    params = {param.name: param for param in import_command.params}
    for table, key, name in keys_for_flags():
        param = params[name]
        value, source = param.consume_value(context, {})
        context.set_parameter_source(name, source)
        missing = param.value_is_missing(value) or value in ("", ())
        value = None if missing else param.type_cast_value(context, value)
        several = getattr(km_toml_of(context).config.columns, name, None) if table == "columns" else None
        if source is ParameterSource.DEFAULT_MAP and name == "timestamp" and isinstance(several, list):
            value = several
        if key == "to" and value is not None:
            value = re.sub(
                "//.*@", "//***@", value
            )  # An import refuses it, but a password must not be shown here either.
        yield _Value(table, key, value, _source(param, source, value))
        if key == "flatten":
            yield from _without_flags(km_toml_of(context))


def _without_flags(km_toml: KmTomlFile) -> Iterator[_Value]:
    """Yield the keys of [columns] that have no flag."""
    for key in WITHOUT_FLAG:
        value = getattr(km_toml.config.columns, key)
        is_set = isinstance(value, dict | list | str | bool)
        yield _Value("columns", key, value if is_set else None, "km.toml" if is_set else "not set")


def _source(param: click.Parameter, source: ParameterSource, value: Any) -> str:
    if source is ParameterSource.ENVIRONMENT:
        return f"environment, {param.envvar}"
    if source is ParameterSource.DEFAULT_MAP:
        return "km.toml"
    return "default" if value is not None else "not set"


def _other_tables(km_toml: KmTomlFile, variables: Mapping[str, str]) -> Iterator[str]:
    """Yield the tables of km.toml that have no flags, and whether the variables of the API keys are set."""
    import msgspec

    for name, site in km_toml.config.sites.items():
        is_set = f", which is {'set' if variables.get(site.key_env) else 'not set'}" if site.key_env else ""
        where = site.key_file or site.key_env or "the default variable"
        yield f"\n[sites.{_key(name)}]  # the key is in {where}{is_set}"
        yield from _table(msgspec.structs.asdict(site))
    for persona in km_toml.config.personas:
        yield "\n[[personas]]"
        yield from _table(msgspec.structs.asdict(persona))
    if km_toml.config.members:
        yield "\n[members]"
        yield from _table(km_toml.config.members)
    for name, plan in km_toml.config.plans.items():
        yield f"\n[plans.{_key(name)}]"
        yield from (f"events = {_toml(plan.events)}", f"price = {_toml(plan.price)}")
    if query := list(_table(msgspec.structs.asdict(km_toml.config.query))):
        yield from ("\n[query]", *query)
    for source in km_toml.config.backfill:
        yield "\n[[backfill]]"
        values = msgspec.structs.asdict(source)
        columns, personas = values.pop("columns"), values.pop("personas")
        yield from _table(values)
        if own := list(_table(msgspec.structs.asdict(columns))):
            yield from ("\n[backfill.columns]", *own)
        for persona in personas:
            yield from ("\n[[backfill.personas]]", *_table(msgspec.structs.asdict(persona)))


def _table(values: dict[str, Any]) -> Iterator[str]:
    from msgspec import UNSET

    for key, value in values.items():
        if value not in (UNSET, None, "", {}, False) and (value != [] or key == "properties"):
            yield f"{_key(key)} = {_toml(value)}"


def _key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() and name.isascii() else _toml(name)


def _toml(value: Any) -> str:
    """Return a value as TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(name)} = {_toml(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return quoted(value) if isinstance(value, str) else json.dumps(value)
