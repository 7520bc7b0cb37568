"""The names that properties are sent under, where they differ from those of their columns; and constants."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from km_cli.kissmetrics import fold_name, is_reserved
from km_cli.mapping.columns import Columns
from km_cli.mapping.nested import BadRow
from km_cli.mapping.properties import check_property, same_path
from km_cli.memory import Remembered
from km_cli.model import Properties

_MOST_KNOWN = 10_000
"""Sets of columns that rows have; a log has few of them, so each is named and checked once."""


class Naming:
    """Names properties: as km.toml renames their columns, and members of `OBJECT.*` without the object."""

    def __init__(self, columns: Columns) -> None:
        self._renamed = dict(columns.rename)
        self._prefixes = tuple(sorted((f"{name}." for name in columns.objects), key=len, reverse=True))
        self._constant = columns.constant
        self._leaves_reserved = columns.leave_out_reserved
        self.left_out = 0
        """How many properties the last call of named() left out because Kissmetrics reserves their names."""
        self._known: Remembered[tuple[str, ...], tuple[str | None, ...]] = Remembered(_MOST_KNOWN)

    def name(self, path: str) -> str:
        """Return the property that a column is sent as."""
        if (name := self._renamed.get(path)) is not None:
            return name
        prefix = next(filter(path.startswith, self._prefixes), "")
        return path[len(prefix) :]

    def named(self, properties: Properties) -> Properties:
        """Return properties, which have the names of their columns, as they are sent; the constants last.

        Raises BadRow for a name that cannot be sent, and for two that Kissmetrics would take for one (D4).
        """
        paths = tuple([path for path, _ in properties])
        names = self._known.get(paths)
        if names is None:
            names = tuple(map(self._sent_name, paths))
            self._check(paths, names)
            self._known.remember(paths, names)
        values = [value for _, value in properties]
        if None in names:
            sent = [(name, value) for name, value in zip(names, values, strict=True) if name is not None]
            self.left_out = len(names) - len(sent)
            return (*sent, *self._constant)
        self.left_out = 0
        return (*zip(cast("tuple[str, ...]", names), values, strict=True), *self._constant)

    def _sent_name(self, path: str) -> str | None:
        """Return the property that a column is sent as, None if it is left out."""
        name = self.name(path)
        return None if self._leaves_reserved and is_reserved(name) else name

    def _check(self, paths: Iterable[str], names: Iterable[str | None]) -> None:
        folded = {fold_name(name): f"the constant {name!r}" for name, _ in self._constant}
        for path, name in zip(paths, names, strict=True):
            if name is None:
                continue
            check_property(name, path)
            if (other := folded.get(fold_name(name))) == repr(path):
                raise BadRow("twice", same_path(path))
            if other:
                raise BadRow("twice", f"{other} and {path!r} would become one property, {name!r} (D4)")
            folded[fold_name(name)] = repr(path)


def naming_of(columns: Columns) -> Naming | None:
    """Return how properties are named, None if each has the name of its column and there are no constants."""
    return Naming(columns) if columns.is_named_anew else None
