"""The columns that are sent under other names: one by one, or all that begin alike (`Prop:*` to `*`)."""

from __future__ import annotations

from collections.abc import Iterable

from km_cli.errors import InputError
from km_cli.mapping.found_columns import RENAMED, FoundColumns
from km_cli.mapping.nested import MEMBERS

Pairs = tuple[tuple[str, str], ...]


def has_pattern(rename: Iterable[tuple[str, str]]) -> bool:
    """Tell whether some pair is about all columns that begin alike."""
    return any(_is_pattern(column, name) for column, name in rename)


def renamed_columns(rename: Pairs, columns: FoundColumns) -> Pairs:
    """Return the pairs of a column and its property. Raises InputError for a pattern, unless it is a table.

    A column that is named by itself has the name that is given there. An optional column that a table lacks
    is left out.
    """
    by_pattern: dict[str, str] = {}
    by_name: dict[str, str] = {}
    for column, name in rename:
        if not _is_pattern(column, name):
            by_name[columns.named(column, RENAMED, sparse=True)] = name
            continue
        if not columns.are_of_table:
            raise InputError(
                f"{columns.source}: {column!r} (km.toml, columns.rename) stands for columns of a table, and "
                "this is not a table",
                "rename each column by its whole name",
            )
        prefix = column.removesuffix("*")
        by_pattern |= {found: found[len(prefix) :] for found in columns.beginning(prefix)}
    by_name.pop("", None)
    return tuple((by_pattern | by_name).items())


def _is_pattern(column: str, name: str) -> bool:
    return name == "*" and column.endswith("*") and not column.endswith(MEMBERS)
