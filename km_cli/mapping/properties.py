"""Values → properties: the columns that are sent, and those that each persona's records carry."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from operator import itemgetter
from typing import Any

from km_cli.kissmetrics import LONGEST_NAME, LONGEST_VALUE, fold_name, is_reserved
from km_cli.mapping.columns import Columns, PersonaColumns, property_columns
from km_cli.memory import Remembered
from km_cli.model import Properties

ReadCell = Callable[[Any], str]
"""Returns one column's text from the values of a row, "" if the row has none."""

PropertyFilter = Callable[[Properties], Properties]

_ABSENT = object()

_MOST_CHECKED = 10_000
"""Sets of names that objects have; a log has few of them, so each is checked once."""

MOST_PROPERTIES = 5000
"""Properties of one event. An event with more is a mistake: a product has at most 65,535 names (D8)."""


class BadRow(ValueError):
    """A row that can't be sent. `code` names the rule, str() is the reason."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def properties_reader(
    columns: Columns, found: tuple[str, ...], *, tabular: bool
) -> _CellProperties | _ObjectProperties:
    """Return the reader of the properties that some persona's records carry."""
    if not tabular:
        return _ObjectProperties(columns)
    place = {name: index for index, name in enumerate(found)}
    names = property_columns(columns, found)
    return _CellProperties(tuple((place[name], name) for name in names))


ReadCells = Callable[[Any], Properties]


def cells_reader(columns: Columns, found: tuple[str, ...], *, tabular: bool) -> ReadCells:
    """Return a function that reads all columns of a row that are neither blank nor ignored."""
    if not tabular:
        is_ignored = columns.is_ignored if columns.ignore else None
        return lambda values: tuple(_leaves(values, "", is_ignored))
    names = tuple(name for name in found if not columns.is_ignored(name))
    pick = _picker(tuple(index for index, name in enumerate(found) if not columns.is_ignored(name)))

    def read(values: list[str]) -> Properties:
        cells = pick(values)
        if "" in cells or any(map(str.isspace, cells)):
            return tuple(
                [pair for pair in zip(names, cells, strict=True) if pair[1] and not pair[1].isspace()]
            )
        return tuple(zip(names, cells, strict=True))

    return read


def _leaves(
    values: dict[str, Any], prefix: str, is_ignored: Callable[[str], bool] | None
) -> Iterator[tuple[str, str]]:
    """Yield the members of an object: those of nested objects by dotted names, a list as one value."""
    for key, value in values.items():
        name = prefix + key
        if is_ignored and is_ignored(name):
            continue
        if isinstance(value, dict):
            yield from _leaves(value, f"{name}.", is_ignored)
            continue
        text = json.dumps(value) if isinstance(value, list) else _text(name, value)
        if text and not text.isspace():
            yield name, text


def cell_readers(found: tuple[str, ...], *, tabular: bool) -> Callable[[str], ReadCell]:
    """Return a function that makes the reader of one column, by its name ("": no column)."""
    return _cell_of({name: index for index, name in enumerate(found)}) if tabular else _member


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
    inside = tuple(f"{name}." for name in names)  # with --flatten
    return lambda pairs: tuple([pair for pair in pairs if pair[0] in wanted or pair[0].startswith(inside)])


def _without(names: frozenset[str]) -> PropertyFilter:
    return lambda pairs: tuple([pair for pair in pairs if pair[0] not in names])


def check_size(properties: Properties) -> None:
    """Raise BadRow if there are too many properties, or one is too long."""
    if len(properties) > MOST_PROPERTIES:
        raise BadRow(
            "too-many-properties", f"it has {len(properties):,} properties, over {MOST_PROPERTIES:,}"
        )
    for name, value in properties:
        if len(value) > LONGEST_VALUE // 4 and len(value.encode()) > LONGEST_VALUE:
            raise BadRow("D5", f"the value of {name!r} has more than {LONGEST_VALUE:,} bytes")


def _picker(indexes: tuple[int, ...]) -> Callable[[list[str]], tuple[str, ...]]:
    """Return a function that picks the cells of a row with these indexes."""
    if len(indexes) > 1:
        return itemgetter(*indexes)
    return lambda cells: tuple([cells[index] for index in indexes])


def _cell_of(place: dict[str, int]) -> Callable[[str], ReadCell]:
    def cell(name: str) -> ReadCell:
        if not name:
            return lambda _: ""
        read: ReadCell = itemgetter(place[name])
        return read

    return cell


class _CellProperties:
    """Reads the properties of cells. `width` is their number when none is empty."""

    def __init__(self, indexes: tuple[tuple[int, str], ...]) -> None:
        self._names = tuple(name for _, name in indexes)
        self._pick = _picker(tuple(index for index, _ in indexes))
        self.width = len(indexes)

    def read(self, cells: list[str]) -> Properties:
        """Return the properties that are not empty."""
        values = self._pick(cells)
        if "" in values:
            return tuple([pair for pair in zip(self._names, values, strict=True) if pair[1]])
        return tuple(zip(self._names, values, strict=True))


def _member(name: str) -> ReadCell:
    """Return the reader of a member: by its whole name, else along its dots."""
    if not name:
        return lambda _: ""
    if "." not in name:
        return lambda values: _text(name, values.get(name))
    return lambda values: _text(name, _found(values, name))


def _found(values: dict[str, Any], name: str, absent: object = None) -> Any:
    if name in values:
        return values[name]
    found: Any = values
    for key in name.split("."):
        found = found.get(key, absent) if isinstance(found, dict) else absent
    return found


def _text(name: str, value: Any) -> str:
    """Return a JSON value as it is sent: numbers as written, true and false as words, null as ""."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    raise BadRow("nested", f"{name[:60]!r} is nested JSON, not a single value")


class _ObjectProperties:
    """Reads the properties of objects, which may all have different keys.

    `width` is the number of the last object's properties, with the empty ones.
    """

    def __init__(self, columns: Columns) -> None:
        self._wanted = columns.all_properties
        self._exclude = columns.exclude
        self._flatten = columns.flatten
        self._taken = columns.taken
        self._roots = {name.split(".")[0] for name in columns.taken.union(columns.exclude) if "." in name}
        self._only_named = sorted(_only_named(columns))
        self._checked: Remembered[tuple[str, ...], None] = Remembered(_MOST_CHECKED)
        self.width = 0

    def read(self, values: dict[str, Any]) -> Properties:
        """Return the properties that are not empty. Raises BadRow."""
        rest = self._rest(values, "") if self._wanted is None else ()
        wanted = self._only_named if self._wanted is None else self._wanted
        members = [(name, _found(values, name, _ABSENT)) for name in wanted]
        named = [self._named(name, value) for name, value in members if value is not _ABSENT]
        pairs = [*rest, *chain.from_iterable(named)]
        self.width = len(pairs)
        found = tuple(pair for pair in pairs if pair[1])
        names = tuple([name for name, _ in found])
        if names not in self._checked:
            _check_names(names)
            self._checked.remember(names, None)
        return found

    def _rest(self, values: dict[str, Any], prefix: str) -> Iterable[tuple[str, str]]:
        for key, value in values.items():
            name = prefix + key
            if name in self._taken or name in self._exclude:
                continue
            if isinstance(value, str):
                yield name, value
            else:
                yield from self._named(name, value, apart=bool(prefix) or name in self._roots)

    def _named(self, name: str, value: Any, *, apart: bool = False) -> Iterable[tuple[str, str]]:
        """Yield one member. An object is taken `apart` if a part of it has a role, and with --flatten."""
        if isinstance(value, dict) and (self._flatten or apart):
            yield from self._inside(value, name)
        elif isinstance(value, list) and self._flatten:
            yield from self._inside({str(index): item for index, item in enumerate(value)}, name)
        elif isinstance(value, dict | list):
            raise _nested(name)
        else:
            yield name, _text(name, value)

    def _inside(self, values: dict[str, Any], name: str) -> Iterable[tuple[str, str]]:
        """Yield the members of an object. Without --flatten, each of them must have a role or be left out."""
        for inner in self._rest(values, f"{name}."):
            if not self._flatten and inner[1]:
                raise _nested(inner[0])
            yield inner


def _nested(name: str) -> BadRow:
    name = name if len(name) <= 60 else name[:60] + "…"
    return BadRow(
        "nested",
        f"{name!r} is nested JSON, which Kissmetrics does not take (D5); "
        f"--flatten sends it, --exclude-property {shlex.quote(name)} leaves it out",
    )


def _check_names(names: tuple[str, ...]) -> None:
    """Refuse a row with a name that can't be sent, or with two that Kissmetrics would take for one (D4)."""
    folded: dict[str, str] = {}
    for name in names:
        _check_property(name)
        other = folded.setdefault(fold_name(name), name)
        if other is not name:
            raise BadRow(
                "twice", f"two of its members would become one property: {other!r} and {name!r} (D4)"
            )


def _check_property(name: str) -> None:
    if not name.strip():
        raise BadRow("no-property-name", "a property has an empty name")
    if len(name) > LONGEST_NAME:
        raise BadRow(
            "D4", f"the property name {name[:30]!r}… has {len(name)} characters, over {LONGEST_NAME}"
        )
    if is_reserved(name):
        raise BadRow(
            "reserved",
            f"the property {name!r} is reserved by Kissmetrics; "
            f"--exclude-property {shlex.quote(name)} leaves it out",
        )
