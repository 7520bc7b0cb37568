"""The context of a command: its Environment, and its km.toml, whose values are the defaults of the flags."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.core import ParameterSource

from km_cli.config.environment import Environment
from km_cli.errors import UsageError

if TYPE_CHECKING:
    from km_cli.config.kmtoml import KmToml

_META_KEY = "km_cli.config"
_PLACE_KEY = "km_cli.place"
_NAME = "km.toml"
_PATH_KEYS = ("ledger", "rejects")

WITHOUT_FLAG = (
    *("rename", "constant", "alias", "without_event", "leave_out_reserved", "optional"),
    *("hash", "drop", "hash_key_file"),
)
"""Keys of [columns] that have no flag."""

_PARAMETERS = {"id": "event_id", "allow_id": "allowed"}
"""Keys of km.toml whose parameter has another name."""


class KmTomlFile(NamedTuple):
    """A km.toml and its path; without one, the path is None and the config is empty."""

    path: Path | None
    config: KmToml

    @property
    def folder(self) -> Path:
        """The folder that paths in km.toml are relative to."""
        return self.path.parent if self.path else Path()


def environment_of(ctx: click.Context) -> Environment:
    """Return the Environment that `main`, or a test, started the command with."""
    environment = ctx.find_object(Environment)
    assert environment is not None, "the command was started without an environment"
    return environment


def prints_summary(ctx: click.Context) -> bool:
    """Tell whether the command prints its summary as tables: on a terminal, or if -v asks for it."""
    flags = ctx.params
    on_terminal = environment_of(ctx).shows_summaries and not flags["quiet"]
    return not flags["as_json"] and (flags["verbose"] or on_terminal)


def load_km_toml(ctx: click.Context, value: str | None) -> None:
    """Read the km.toml that --config names, or the one in this folder, and make its values the defaults.

    click looks at the command line first, then at the environment, then at `default_map`, which holds
    km.toml's values. So a flag overrides a variable, and a variable overrides km.toml: the closer to the
    run, the stronger. Raises UsageError if the file cannot be read.
    """
    path = _config_path(value) if value else Path(_NAME)
    if not _exists(path):
        if value:
            raise UsageError(f"--config {value}: there is no such file", "check the path, or leave it out")
        return
    from km_cli.config.kmtoml_file import read

    file = KmTomlFile(path, read(path))
    _hide_keys(ctx, file)
    ctx.meta[_META_KEY] = file
    ctx.default_map = dict(_defaults(file))


def _hide_keys(ctx: click.Context, file: KmTomlFile) -> None:
    """Keep the keys of all sites out of every message: a key file may be named as a log by mistake."""
    from km_cli.cli.terminal.show import hide
    from km_cli.config.sites import Site

    environment = ctx.find_object(Environment)
    variables = environment.variables if environment else {}
    for name, table in file.config.sites.items():
        with suppress(UsageError, RuntimeError):  # a missing key is reported by the commands that need it
            key_file = str(file.folder / Path(table.key_file).expanduser()) if table.key_file else ""
            hide([Site(name, table.key_env, key_file).key(variables)])


def with_km_toml(ctx: click.Context, file: KmTomlFile, place: str, more: Mapping[str, Any]) -> click.Context:
    """Return a context of the same command without any values, with another km.toml and `more` defaults.

    `place` says where in km.toml they stand, for messages.
    """
    made = click.Context(ctx.command, info_name=ctx.command_path, obj=environment_of(ctx))
    made.meta[_META_KEY] = file
    made.meta[_PLACE_KEY] = place
    made.default_map = {**dict(_defaults(file)), **more}
    return made


def _config_path(value: str) -> Path:
    from km_cli.config.files import expanded

    return expanded(value, "--config")


def _exists(path: Path) -> bool:
    """Tell whether the path exists. A link to a missing file exists.

    A km.toml that cannot be read must not pass for an absent one: the run would send to another site, under
    other identities. Raises UsageError if the folder cannot be searched.
    """
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{path}: cannot be read: {reason}", "check --config and its folder") from None
    return True


def km_toml_of(ctx: click.Context) -> KmTomlFile:
    """Return the km.toml that `load_km_toml` read."""
    from km_cli.config.kmtoml import KmToml

    file = ctx.meta.get(_META_KEY)
    return file if isinstance(file, KmTomlFile) else KmTomlFile(None, KmToml())


def keys_for_flags() -> Iterator[tuple[str, str, str]]:
    """Yield the keys of km.toml that stand for a flag: table ("" for the top), key, name of the parameter."""
    from km_cli.config.kmtoml import ColumnsTable, DeliveryTable

    tables = {
        "": ("strategy", "allow_id"),
        "columns": tuple(name for name in ColumnsTable.__struct_fields__ if name not in WITHOUT_FLAG),
        "delivery": DeliveryTable.__struct_fields__,
    }
    for table, names in tables.items():
        for key in names:
            yield table, key, _PARAMETERS.get(key, key)


def _defaults(file: KmTomlFile) -> Iterator[tuple[str, Any]]:
    """Yield the parameters that km.toml sets, with their values."""
    from msgspec import UNSET

    for table, key, parameter in keys_for_flags():
        value = getattr(getattr(file.config, table) if table else file.config, key)
        if parameter == "properties" and value == []:
            yield "no_properties", True
        elif value is not UNSET:
            yield parameter, _as_flag(key, value, file.folder)


def _as_flag(key: str, value: Any, folder: Path) -> Any:
    """Return a value of km.toml as the flag would have it, its paths taken from the folder of km.toml."""
    from km_cli.config.files import expanded

    if key in _PATH_KEYS:
        return str(folder / expanded(value, f"km.toml, delivery.{key}:"))
    if key == "to" and value.startswith("local:"):
        return "local:" + str(folder / expanded(value.removeprefix("local:"), "km.toml, delivery.to:"))
    if key == "timestamp" and isinstance(value, list):
        return value[0]
    return str(value) if key == "max_rejects" else value


def label_of(ctx: click.Context, param: click.Parameter) -> str:
    """Return where a value was set, to begin a message: `--rate`, `KM_CLI_RATE:`, `km.toml, columns.id:`."""
    source = ctx.get_parameter_source(param.name or "")
    if source is ParameterSource.ENVIRONMENT:
        return f"{param.envvar}:"
    if source is ParameterSource.DEFAULT_MAP:
        labels = {name: f"{table}.{key}".lstrip(".") for table, key, name in keys_for_flags()}
        place = ctx.meta.get(_PLACE_KEY, "")
        return f"km.toml, {place}{labels[param.name or '']}:"
    return param.opts[0]


def label_of_flag(ctx: click.Context, name: str) -> str:
    """Return where the value of the parameter of this name was set, as `label_of` does."""
    return label_of(ctx, next(param for param in ctx.command.params if param.name == name))
