"""The tables of the exports that are recognised: NAME.toml in this folder, one a tool (README.md)."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

import msgspec
from msgspec import Struct

Kind = str | tuple[str, ...]
"""The shape that a value must have: `text`, `number`, `object` or `list`; or the texts that it may be."""


class Signs(Struct, frozen=True, forbid_unknown_fields=True):
    """The keys by which an export is recognised, dotted, with the shape of their values.

    Every record has all keys of `every`, and of each table in `either` at least one key. At least one record
    has a key of `some`; an empty `some` asks for nothing. A key that ends in `*` stands for all columns that
    begin with the rest of it. With `any_case`, a header may have the columns in small or capital letters.
    """

    every: dict[str, Kind]
    some: dict[str, Kind] = {}
    either: tuple[dict[str, Kind], ...] = ()
    any_case: bool = False


class ColumnsOfExport(Struct, frozen=True, forbid_unknown_fields=True):
    """The columns of an export, under the keys that km.toml's [columns] has for them.

    Of `account` and `id`, the first column that the input has is meant. Of `timestamp` and `user` it is the
    first one that is not empty, row by row; a time in `ignore` is used only if no row has another one.
    `account_in` names objects in which a usual name of the account is looked for. An `account` of `groups.*`
    is a member of the object `groups`: one with a usual name, else the one that most records have. Properties
    `Prop:*` are all columns that have no other role; those that begin with `Prop:` are sent without it.

    `without_event = "set"`: a row without an event only sets its properties. `leave_out_reserved`: properties
    that Kissmetrics reserves are left out and counted; without it their row is rejected. `alias` is sent only
    with --allow-alias.
    """

    event: str
    timestamp: tuple[str, ...]
    user: tuple[str, ...]
    account: tuple[str, ...] = ()
    account_in: tuple[str, ...] = ()
    alias: str = ""
    id: tuple[str, ...] = ()
    properties: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    timezone: str = ""
    time_format: str = ""
    without_event: str = ""
    leave_out_reserved: bool = False


class ExportTable(Struct, frozen=True, forbid_unknown_fields=True):
    """One export: its name for people, the version of this table, the page that documents its shape."""

    title: str
    version: int
    source: str
    recognise: Signs
    columns: ColumnsOfExport


@cache
def export_tables() -> dict[str, ExportTable]:
    """Return all tables by name, in the order in which inputs are compared with them."""
    folder = files("km_cli.exports")
    paths = sorted(
        (path for path in folder.iterdir() if path.name.endswith(".toml")), key=lambda path: path.name
    )
    return {path.name.removesuffix(".toml"): parse_table(path.read_text(encoding="utf-8")) for path in paths}


def parse_table(text: str) -> ExportTable:
    """Return the table that a text holds. Raises ValueError for a text that is none."""
    return msgspec.convert(tomllib.loads(text), ExportTable)
