"""km.toml → what stands in for flags that were not given, and the rest of it for whoever asks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.core import ParameterSource

from km_cli.config.environment import Environment
from km_cli.errors import UsageError

if TYPE_CHECKING:
    from km_cli.config.kmtoml import KmToml

_KEY = "km_cli.config"
_NAME = "km.toml"
_PLACES = ("ledger", "rejects")

_BY_KEY = {"id": "event_id", "allow_id": "allowed"}
"""Keys of km.toml that parameters have another name for."""


class Found(NamedTuple):
    """km.toml, and where it is; None if there is none."""

    path: Path | None
    config: KmToml

    @property
    def folder(self) -> Path:
        """What paths in it are relative to."""
        return self.path.parent if self.path else Path()


def environment_of(ctx: click.Context) -> Environment:
    """Return the environment that the command was given."""
    found = ctx.find_object(Environment)
    assert found is not None, "the command was started without an environment"
    return found


def take(ctx: click.Context, value: str | None) -> None:
    """Read km.toml, the one that was asked for or the one in this folder. Raises UsageError."""
    path = _named(value) if value else Path(_NAME)
    if not _is_there(path):
        if value:
            raise UsageError(f"--config {value}: there is no such file", "check the path, or leave it out")
        return
    from km_cli.config.kmtoml import read

    found = Found(path, read(path))
    ctx.meta[_KEY] = found
    ctx.default_map = dict(defaults(found))


def _named(value: str) -> Path:
    from km_cli.config.files import expanded

    return expanded(value, "--config")


def _is_there(path: Path) -> bool:
    """Tell whether there is something of this name, be it a link that leads nowhere.

    A km.toml that can't be read is never taken for one that is not there: the run would send to another site,
    as other people. Raises UsageError if nobody can tell.
    """
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{path}: cannot be read: {said}", "check --config and its folder") from None
    return True


def taken(ctx: click.Context) -> Found:
    """Return what `take` found."""
    from km_cli.config.kmtoml import KmToml

    found = ctx.meta.get(_KEY)
    return found if isinstance(found, Found) else Found(None, KmToml())


def keys() -> Iterator[tuple[str, str, str]]:
    """Yield what km.toml can say instead of a flag: table ("": the top), key, and the parameter's name."""
    from km_cli.config.kmtoml import ColumnsTable, DeliveryTable

    tables = {
        "": ("strategy", "allow_id"),
        "columns": ColumnsTable.__struct_fields__,
        "delivery": DeliveryTable.__struct_fields__,
    }
    for table, names in tables.items():
        for key in names:
            yield table, key, _BY_KEY.get(key, key)


def defaults(found: Found) -> Iterator[tuple[str, Any]]:
    """Yield parameters by name with what km.toml says instead of their defaults."""
    from msgspec import UNSET

    for table, key, parameter in keys():
        value = getattr(getattr(found.config, table) if table else found.config, key)
        if parameter == "properties" and value == []:
            yield "no_properties", True
        elif value is not UNSET:
            yield parameter, _placed(key, value, found.folder)


def said(ctx: click.Context, param: click.Parameter) -> str:
    """Return where a value was said, to begin a message: a flag, `KM_CLI_RATE:`, `km.toml, columns.id:`."""
    source = ctx.get_parameter_source(param.name or "")
    if source is ParameterSource.ENVIRONMENT:
        return f"{param.envvar}:"
    if source is ParameterSource.DEFAULT_MAP:
        places = {name: f"{table}.{key}".lstrip(".") for table, key, name in keys()}
        return f"km.toml, {places[param.name or '']}:"
    return param.opts[0]


def _placed(key: str, value: Any, folder: Path) -> Any:
    """Return a value, paths relative to the folder of km.toml."""
    from km_cli.config.files import expanded

    if key in _PLACES:
        return str(folder / expanded(value, f"km.toml, delivery.{key}:"))
    if key == "to" and value.startswith("local:"):
        return "local:" + str(folder / expanded(value.removeprefix("local:"), "km.toml, delivery.to:"))
    return str(value) if key == "max_rejects" else value
