"""The keys of km.toml that name properties: columns that are renamed, and constants. Checked before a run."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import UnsetType

from km_cli.errors import UsageError
from km_cli.kissmetrics import LONGEST_NAME, LONGEST_VALUE, fold_name, is_reserved

Pairs = tuple[tuple[str, str], ...]


def renamed_columns(table: Mapping[str, str] | UnsetType, *, leaves_reserved: bool = False) -> Pairs:
    """Return the pairs of a column and its property in km.toml's `rename`. Raises UsageError.

    With `leaves_reserved`, a property whose name is reserved is left out of the calls later on.
    """
    if isinstance(table, UnsetType):
        return ()
    for column, name in table.items():
        if leaves_reserved and is_reserved(name):
            continue
        check_property_name(f"columns.rename.{column}", name)
    return tuple(table.items())


def constants(table: Mapping[str, str | int | float | bool] | UnsetType) -> Pairs:
    """Return the pairs of a property and its value in km.toml's `constant`, as texts. Raises UsageError."""
    if isinstance(table, UnsetType):
        return ()
    folded: dict[str, str] = {}
    for name, value in table.items():
        place = f"columns.constant.{name}"
        check_property_name("columns.constant", name)
        twin = folded.setdefault(fold_name(name), name)
        if twin != name:
            raise UsageError(
                f"km.toml: columns.constant: {twin!r} and {name!r} would be one property (D4)",
                "give one of them another name",
            )
        if not _text(value).strip() or len(_text(value).encode()) > LONGEST_VALUE:
            raise UsageError(
                f"km.toml: {place}: the value is empty, or has more than {LONGEST_VALUE:,} bytes (D5)",
                'give a value such as "import"',
            )
    return tuple((name, _text(value)) for name, value in table.items())


def _text(value: str | float | bool) -> str:
    """Return a value of TOML as it is sent: true and false as words, as in JSON lines."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def check_property_name(place: str, name: str) -> None:
    """Raise UsageError for a name that no property can have. `place` is that of the name in km.toml."""
    if is_reserved(name):
        raise UsageError(
            f"km.toml: {place}: Kissmetrics reserves the property {name!r}", "give it another name"
        )
    if not name.strip() or len(name) > LONGEST_NAME:
        raise UsageError(
            f"km.toml: {place}: {name[:30]!r} is not a valid name of a property",
            f"use 1 to {LONGEST_NAME} characters (D4)",
        )
