"""Values → properties: the columns that are sent, and those that each persona's records carry."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from km_cli.kissmetrics import LONGEST_NAME, LONGEST_VALUE, fold_name, is_reserved
from km_cli.mapping.cells import json_in, picker, text_of, value_in_cell
from km_cli.mapping.columns import Columns, PersonaColumns, property_columns
from km_cli.mapping.nested import ABSENT, MEMBERS, BadRow, members, value_at
from km_cli.memory import Remembered
from km_cli.model import Properties

PropertyFilter = Callable[[Properties], Properties]

_MOST_CHECKED = 10_000
"""Sets of names that objects have; a log has few of them, so each is checked once."""

MOST_PROPERTIES = 5000
"""Properties of one event. An event with more is a mistake: a product has at most 65,535 names (D8)."""


def properties_reader(
    columns: Columns, found: tuple[str, ...], *, tabular: bool
) -> _CellProperties | _CellPaths | _ObjectProperties:
    """Return the reader of the properties that some persona's records carry."""
    if not tabular:
        return _ObjectProperties(columns)
    place = {name: index for index, name in enumerate(found)}
    names = property_columns(columns, found)
    if not place.keys() >= set(names):
        return _CellPaths(columns, names, place)
    return _CellProperties(tuple((place[name], name) for name in names))


def property_filter(columns: Columns, persona: PersonaColumns) -> PropertyFilter | None:
    """Return a function that picks a persona's properties from all of a row; None if it carries them all."""
    if persona.properties is not None:
        names = persona.properties
    elif columns.properties is not None:
        names = columns.properties
    else:
        extra = _only_named(columns)
        return _without(extra) if extra else None
    return None if names == columns.all_properties else _only(names)


def _only_named(columns: Columns) -> frozenset[str]:
    """Return the columns that only personas carry that name them. By default they are no properties."""
    asked = {name for persona in columns.personas for name in persona.properties or ()}
    return frozenset(asked.intersection(columns.taken.union(columns.exclude)))


def _only(names: tuple[str, ...]) -> PropertyFilter:
    wanted = frozenset(names)
    inside = tuple(f"{name.removesuffix(MEMBERS)}." for name in names)  # with --flatten, and members
    return lambda pairs: tuple([pair for pair in pairs if pair[0] in wanted or pair[0].startswith(inside)])


def _without(names: frozenset[str]) -> PropertyFilter:
    return lambda pairs: tuple([pair for pair in pairs if pair[0] not in names])


def _not_members(columns: Columns) -> frozenset[str]:
    """Return the paths that are no member of `OBJECT.*`: they have a role, are left out, or named apart."""
    asked = [columns.properties, *(persona.properties for persona in columns.personas)]
    named = {name.removesuffix(MEMBERS) for names in asked for name in names or ()}
    return columns.taken.union(columns.exclude, named)


def _members_of(value: Any, path: str, left_out: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield the members of an object that are sent, by their paths."""
    if value is not ABSENT and value is not None:
        for name, one in members(value, path, left_out):
            yield name, text_of(name, one)


def check_size(properties: Properties) -> None:
    """Raise BadRow if there are too many properties, or one is too long."""
    if len(properties) > MOST_PROPERTIES:
        raise BadRow(
            "too-many-properties", f"it has {len(properties):,} properties, over {MOST_PROPERTIES:,}"
        )
    for name, value in properties:
        if len(value) > LONGEST_VALUE // 4 and len(value.encode()) > LONGEST_VALUE:
            raise BadRow("D5-bytes", f"the value of {name!r} has more than {LONGEST_VALUE:,} bytes")


class _CellProperties:
    """Reads the properties of cells. `width` is their number when none is empty."""

    def __init__(self, indexes: tuple[tuple[int, str], ...]) -> None:
        self._names = tuple(name for _, name in indexes)
        self._pick = picker(tuple(index for index, _ in indexes))
        self.width = len(indexes)

    def read(self, cells: list[str]) -> Properties:
        """Return the properties that are not empty."""
        values = self._pick(cells)
        if "" in values:
            return tuple([pair for pair in zip(self._names, values, strict=True) if pair[1]])
        return tuple(zip(self._names, values, strict=True))


class _CellPaths:
    """Reads the properties of cells, some of which hold JSON that paths reach into.

    `width` is the number of the last row's properties, with the empty ones.
    """

    def __init__(self, columns: Columns, names: tuple[str, ...], place: dict[str, int]) -> None:
        self._place = place
        self._left_out = _not_members(columns)
        self._readers = tuple(self._reader(name) for name in names)
        self.width = 0

    def read(self, cells: list[str]) -> Properties:
        """Return the properties that are not empty. Raises BadRow."""
        pairs = [pair for read in self._readers for pair in read(cells)]
        self.width = len(pairs)
        return tuple([pair for pair in pairs if pair[1]])

    def _reader(self, name: str) -> Callable[[list[str]], Iterable[tuple[str, str]]]:
        if name in self._place:
            index = self._place[name]
            return lambda cells: ((name, cells[index]),)
        if not name.endswith(MEMBERS):
            value = value_in_cell(name, self._place)
            return lambda cells: ((name, text_of(name, value(cells))),)
        path = name.removesuffix(MEMBERS)
        if path in self._place:
            at = self._place[path]
            return lambda cells: _members_of(json_in(cells[at], path), path, self._left_out)
        inner = value_in_cell(path, self._place)
        return lambda cells: _members_of(inner(cells), path, self._left_out)


class _ObjectProperties:
    """Reads the properties of objects, which may all have different keys.

    `width` is the number of the last object's properties, with the empty ones.
    """

    def __init__(self, columns: Columns) -> None:
        wanted = columns.all_properties
        self._is_rest = wanted is None
        self._exclude = columns.exclude
        self._flatten = columns.flatten
        self._taken = columns.taken
        self._objects = columns.objects
        apart = columns.taken.union(columns.exclude, self._objects)
        self._roots = {name.split(".")[0] for name in apart if "." in name}
        named = sorted(_only_named(columns)) if wanted is None else wanted
        self._wanted = tuple(name for name in named if not name.endswith(MEMBERS))
        self._left_out = _not_members(columns)
        self._checks_names = not columns.is_named_anew
        self._checked: Remembered[tuple[str, ...], None] = Remembered(_MOST_CHECKED)
        self.width = 0

    def read(self, values: dict[str, Any]) -> Properties:
        """Return the properties that are not empty. Raises BadRow."""
        rest = self._rest(values, "") if self._is_rest else ()
        found = [(name, value_at(values, name)) for name in self._wanted]
        named = [self._named(name, self._one(value)) for name, value in found if value is not ABSENT]
        pairs = [*rest, *chain.from_iterable(named)]
        for path in self._objects:
            pairs += _members_of(value_at(values, path), path, self._left_out)
        self.width = len(pairs)
        kept = tuple(pair for pair in pairs if pair[1])
        names = tuple([name for name, _ in kept])
        if self._checks_names and names not in self._checked:
            _check_names(names)
            self._checked.remember(names, None)
        return kept

    def _one(self, value: Any) -> Any:
        """Return the only item of a list that has no other; any other value as it is."""
        if isinstance(value, list) and len(value) < 2 and not self._flatten:
            return value[0] if value else None
        return value

    def _rest(self, values: dict[str, Any], prefix: str, top: str = "") -> Iterable[tuple[str, str]]:
        for key, value in values.items():
            name = prefix + key
            if name in self._taken or name in self._exclude or name in self._objects:
                continue
            if isinstance(value, str):
                yield name, value
            else:
                yield from self._named(name, value, top, apart=bool(prefix) or name in self._roots)

    def _named(
        self, name: str, value: Any, top: str = "", *, apart: bool = False
    ) -> Iterable[tuple[str, str]]:
        """Yield one member. An object is taken `apart` if a part of it has a role, and with --flatten.

        `top` is the outermost object that the member is in, "" if it is in none.
        """
        if isinstance(value, dict) and (self._flatten or apart):
            yield from self._inside(value, name, top or name)
        elif isinstance(value, list) and self._flatten:
            yield from self._inside({str(index): item for index, item in enumerate(value)}, name, top or name)
        elif isinstance(value, dict | list):
            raise _nested(name, top or name)
        else:
            yield name, text_of(name, value)

    def _inside(self, values: dict[str, Any], name: str, top: str) -> Iterable[tuple[str, str]]:
        """Yield the members of an object. Without --flatten, each of them must have a role or be left out."""
        for inner in self._rest(values, f"{name}.", top):
            if not self._flatten and inner[1]:
                raise _nested(inner[0], top)
            yield inner


def _nested(name: str, top: str) -> BadRow:
    """Return the error for nested JSON. It proposes to leave out the outermost object, and all in it."""
    name, top = (text if len(text) <= 60 else text[:60] + "…" for text in (name, top))
    what = "it" if name == top else "the whole object"
    return BadRow(
        "nested",
        f"{name!r} is nested JSON, which Kissmetrics does not take (D5); "
        f"--flatten sends it, --exclude-property {shlex.quote(top)} leaves {what} out",
    )


def _check_names(names: tuple[str, ...]) -> None:
    """Refuse a row with a name that can't be sent, or with two that Kissmetrics would take for one (D4)."""
    folded: dict[str, str] = {}
    for name in names:
        check_property(name, name)
        other = folded.setdefault(fold_name(name), name)
        if other is not name:
            if other == name:
                raise BadRow("twice", same_path(name))
            raise BadRow(
                "twice", f"two of its members would become one property: {other!r} and {name!r} (D4)"
            )


def same_path(path: str) -> str:
    """Return why a row with two members at one path is rejected."""
    return f"two members at {path!r}, one in an object and one with dots, would become one property (D4)"


def check_property(name: str, column: str) -> None:
    """Raise BadRow for a name of a property that cannot be sent. `column` has its values."""
    if not name.strip():
        raise BadRow("no-property-name", "a property has an empty name")
    if len(name) > LONGEST_NAME:
        raise BadRow(
            "D4-long", f"the property name {name[:30]!r}… has {len(name)} characters, over {LONGEST_NAME}"
        )
    if is_reserved(name):
        raise BadRow(
            "reserved",
            f"the property {name!r} is reserved by Kissmetrics; "
            f"--exclude-property {shlex.quote(column)} leaves it out",
        )
