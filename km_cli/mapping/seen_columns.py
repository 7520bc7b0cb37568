"""Notes the columns that flags and km.toml name and that no row has.

A table has its columns in the header, where a misspelt one is an error. The members of objects are only known
when all rows were read: a later row may have one that the first rows lack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import MappingProxyType
from typing import Any

from km_cli.errors import nearest
from km_cli.mapping.cells import value_in_cell
from km_cli.mapping.found_columns import NamedAt
from km_cli.mapping.nested import ABSENT, MEMBERS, BadRow, root, value_at

_TOLD_OTHERWISE = frozenset({"event", "timestamp", "where"})
"""Roles whose columns are missed in another way: their rows are rejected, or a condition is not met."""

_MISSPELT = 0.75
"""How near a column's name must be to one that rows have, from 0 to 1, to be a mistake."""

_MOST_FOUND = 5000
"""Columns that are remembered, to propose the nearest one."""

_KM_TOML = "km.toml"


class ColumnsSeen:
    """Notes which of the columns that are named some row has, over all inputs of a run."""

    def __init__(self, named_at: NamedAt = MappingProxyType({})) -> None:
        self._unseen = {
            name: place for (role, name), place in named_at.items() if role not in _TOLD_OTHERWISE and name
        }
        self._found: dict[str, None] = {}
        self._has_rows = False

    def notes(self) -> list[Any]:
        """Return this as JSON values, which `add` takes."""
        return [list(self._unseen), list(self._found), self._has_rows]

    def add(self, notes: list[Any]) -> None:
        """Add the names of later rows, which were read under the same flags and km.toml."""
        unseen, found, has_rows = notes
        self._found.update(dict.fromkeys(found[: _MOST_FOUND - len(self._found)]))
        self._unseen = {name: place for name, place in self._unseen.items() if name in unseen}
        self._has_rows |= has_rows

    def watch(self, found: tuple[str, ...], *, tabular: bool) -> Callable[[Any], None] | None:
        """Return a function that looks for the columns in a row; None if those `found` have them all."""
        if not self._unseen:
            return None
        self._found.update(dict.fromkeys(found[: _MOST_FOUND - len(self._found)]))
        folded = [name.casefold() for name in found]
        for name in list(self._unseen):
            path = name.removesuffix(MEMBERS).casefold()
            if path in folded or any(one.startswith(f"{path}.") for one in folded):
                del self._unseen[name]
        paths = {name: name.removesuffix(MEMBERS) for name in self._unseen}
        places = {name: index for index, name in enumerate(found)} if tabular else None
        readers = {
            name: _reader(path, places)
            for name, path in paths.items()
            if places is None or root(path, places)
        }
        return self._noter(readers) if readers else None

    def _noter(self, readers: dict[str, Callable[[Any], Any]]) -> Callable[[Any], None]:
        def note(values: Any) -> None:
            self._has_rows = True
            for name, read in list(readers.items()):
                if _has(read, values):
                    del readers[name]
                    self._unseen.pop(name, None)

        return note

    def unseen(self) -> Iterator[str]:
        """Yield a message for each column that no row has: where it is named, and which one may be meant.

        A small log need not have all columns that km.toml names, so one of those has to be near another name.
        """
        for name, place in self._unseen.items() if self._has_rows else ():
            others = [one for one in self._found if one != name and not name.startswith(f"{one}.")]
            near = _proposal(name, others)
            if near or not place.startswith(_KM_TOML):
                yield f"no row has the column {name!r} ({place})" + (f"; {near}" if near else "")


def _proposal(name: str, others: Iterable[str]) -> str:
    """Return a hint with the nearest member of the same object, "" if none is near.

    The way to the object is left out of the comparison: it would make any two of its members alike.
    """
    way, _, last = name.rpartition(".")
    members = (other.rpartition(".") for other in others)
    found = nearest(last, [member for outer, _, member in members if outer == way], _MISSPELT)
    return f"did you mean {(f'{way}.{found}' if way else found)!r}?" if found else ""


def _reader(path: str, places: dict[str, int] | None) -> Callable[[Any], Any]:
    if places is not None:
        return value_in_cell(path, places)
    return lambda values: value_at(values, path)


def _has(read: Callable[[Any], Any], values: Any) -> bool:
    """Tell whether a row has a column, whatever is in it. A row that cannot be read is rejected elsewhere."""
    try:
        return read(values) is not ABSENT
    except BadRow:
        return False
