"""Checks the columns that flags and km.toml name for an export: a misspelt one would have no effect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from km_cli.config.settings import Settings
from km_cli.errors import MISSPELT, InputError, did_you_mean
from km_cli.exports import ExportTable, value_in
from km_cli.inputs import Opened
from km_cli.mapping import ABSENT, MEMBERS

Records = Sequence[Mapping[str, Any]]


_RENAMED = "columns.rename"


class _Named(NamedTuple):
    """A column that is named in a place. A `sparse` one may be in later records of its object alone."""

    column: str
    place: str
    sparse: bool


def check_names(settings: Settings, table: ExportTable, records: Records, opened: Opened) -> None:
    """Raise InputError for a column that the first records of an export lack, and that none can have.

    A column in an object of the table, such as `properties.plan`, may be one that only later records have.
    """
    if not records:
        return
    objects = tuple(f"{name.removesuffix(MEMBERS)}." for name in table.columns.properties or () if name)
    groups = tuple(_groups(table))
    optional = frozenset(settings.column_options.optional)
    for one in _named(settings):
        path = one.column.removesuffix(MEMBERS)
        if path in optional or (one.place.endswith(_RENAMED) and path.endswith("*")):
            continue
        if one.place.endswith(_RENAMED) and _is_object(path, records):
            raise InputError(
                f"{opened.source.name}: {one.column!r} ({one.place}) is an object with properties in it",
                "name one of its members",
            )
        known = path in opened.columns or any(name.startswith(f"{path}.") for name in opened.columns)
        if known or any(value_in(record, path) is not ABSENT for record in records):
            continue
        if path.startswith(groups) or (one.sparse and path.startswith(objects)):
            continue
        if path.casefold() in {name.casefold() for name in opened.columns}:
            continue
        raise _absent(one, table, opened, objects)


def _is_object(path: str, records: Records) -> bool:
    return any(isinstance(value_in(record, path), dict) for record in records)


def _groups(table: ExportTable) -> Iterator[str]:
    """Yield how the columns begin that may name the account."""
    for name in table.columns.account:
        yield f"{name.removesuffix(MEMBERS)}." if name.endswith(MEMBERS) else name


def _misspelt(column: str, opened: Opened) -> str:
    return did_you_mean(column, opened.columns, "", repr, least=MISSPELT)


def _absent(one: _Named, table: ExportTable, opened: Opened, objects: Iterable[str]) -> InputError:
    inside = (f"{name}{one.column}" for name in objects)
    near = next((name for name in inside if name in opened.columns), "")
    hint = f"did you mean {near!r}?" if near else _misspelt(one.column, opened)
    return InputError(
        f"{opened.source.name}: an export of {table.title} has no column {one.column!r} ({one.place})",
        hint or "name a column as the rows have it, such as 'properties.plan'",
        plain=f"{opened.source.name}: there is no column {one.column!r} ({one.place})",
    )


def _named(settings: Settings) -> Iterator[_Named]:
    """Yield the columns that flags and km.toml name."""
    options = settings.column_options
    roles = [
        ("event", (options.event,), False),
        ("timestamp", (options.timestamp, *options.times), bool(options.times)),
        ("id", (options.id,), False),
        ("exclude-property", options.exclude, True),
        ("property", options.properties or (), True),
        ("where", tuple(condition.column for condition in options.where), True),
        (_RENAMED, tuple(column for column, _ in options.rename), True),
    ]
    for persona in settings.personas:
        if not persona.others:
            roles.append((persona.name, (persona.column,), False))
        roles.append((f"{persona.name}'s properties", (*(persona.properties or ()), *persona.sets), True))
    for role, names, sparse in roles:
        for name in filter(None, names):
            place = settings.named_at.get((role, name)) or _place(role)
            yield _Named(name, place, sparse)


def _place(role: str) -> str:
    return f"km.toml, {role}" if "columns." in role or "'s" in role else f"--{role}, or km.toml"
