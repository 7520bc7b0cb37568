"""`km-cli config`: what is in force and from where, and the schema of km.toml."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import click
from click.core import ParameterSource

from km_cli.cli import options
from km_cli.cli.configured import Found, environment_of, keys, taken
from km_cli.cli.import_ import command as importing
from km_cli.cli.terminal.show import put


class _Value(NamedTuple):
    """A value in force. `key` is as in km.toml, "" as `table` for what stands before the first one."""

    table: str
    key: str
    value: Any
    source: str


@click.group("config", short_help="What is in force and from where.")
def command() -> None:
    """Show what is in force and from where, and the schema of km.toml."""


@command.command("show", cls=options.Command)
@options.config
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: key to value and source.")
@click.pass_context
def show(context: click.Context, /, *, as_json: bool) -> None:
    """Show every value and where it came from. API keys are never shown.

    What is printed is itself a km.toml. A flag of a command goes before all of it.

    \b
    Examples:
      km-cli config show
      km-cli config show --config other.toml --json
    """
    found = taken(context)
    values = list(_values(context))
    if as_json:
        told = {f"{one.table}.{one.key}".lstrip("."): one._asdict() for one in values}
        fields = ("value", "source")
        put(json.dumps({key: {name: one[name] for name in fields} for key, one in told.items()}, indent=2))
        return
    nothing = "# there is no km.toml here: `km-cli init FILE` writes one"
    put(f"# {found.path} is in force" if found.path else nothing)
    table = ""
    for one in values:
        if one.table != table:
            table = one.table
            put(f"\n[{table}]")
        line = f"{one.key} = {_toml(one.value)}" if one.value is not None else f"# {one.key} ="
        put(f"{line:<40}  # {one.source}")
    for line in _rest(found, environment_of(context).variables):
        put(line)


@command.command("schema", cls=options.Command)
def schema() -> None:
    """Print the JSON Schema of km.toml, for editors.

    \b
    Examples:
      km-cli config schema > km.schema.json
    """
    from km_cli.config import kmtoml

    put(json.dumps(kmtoml.schema(), indent=2))


def _values(context: click.Context) -> Iterator[_Value]:
    """Yield what km.toml can say of an import, as it is in force."""
    params = {param.name: param for param in importing.params}
    for table, key, name in keys():
        param = params[name]
        value, source = param.consume_value(context, {})
        context.set_parameter_source(name, source)
        missing = param.value_is_missing(value) or value in ("", ())
        value = None if missing else param.type_cast_value(context, value)
        if key == "to" and value is not None:
            value = re.sub("//.*@", "//***@", value)  # an import refuses it; it is a secret all the same
        yield _Value(table, key, value, _said(param, source, value))


def _said(param: click.Parameter, source: ParameterSource, value: Any) -> str:
    if source is ParameterSource.ENVIRONMENT:
        return f"environment, {param.envvar}"
    if source is ParameterSource.DEFAULT_MAP:
        return "km.toml"
    return "default" if value is not None else "not said"


def _rest(found: Found, variables: Mapping[str, str]) -> Iterator[str]:
    """Yield the tables that no flag stands for, as km.toml has them, and whether the keys are there."""
    import msgspec

    for name, site in found.config.sites.items():
        is_set = f", which is {'set' if variables.get(site.key_env) else 'not set'}" if site.key_env else ""
        where = site.key_file or site.key_env or "the usual variable"
        yield f"\n[sites.{_key(name)}]  # the key is in {where}{is_set}"
        yield from _table(msgspec.structs.asdict(site))
    for persona in found.config.personas:
        yield "\n[[personas]]"
        yield from _table(msgspec.structs.asdict(persona))
    if found.config.members:
        yield "\n[members]"
        yield from _table(found.config.members)
    for source in found.config.backfill:
        yield "\n[[backfill]]"
        yield from _table(msgspec.structs.asdict(source))


def _table(values: dict[str, Any]) -> Iterator[str]:
    from msgspec import UNSET

    for key, value in values.items():
        if value not in (UNSET, "", {}, False) and (value != [] or key == "properties"):
            yield f"{_key(key)} = {_toml(value)}"


def _key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() and name.isascii() else _toml(name)


def _toml(value: Any) -> str:
    """Return a value as TOML has it."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(name)} = {_toml(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
