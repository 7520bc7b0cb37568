"""One column's text in a row, by its name or by a path into nested values; and all columns of a row."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Any

from km_cli.mapping.columns import Columns
from km_cli.mapping.nested import ABSENT, BadRow, opened, root, value_at
from km_cli.model import Properties

ReadCell = Callable[[Any], str]
"""Returns one column's text from the values of a row, "" if the row has none."""

ReadCells = Callable[[Any], Properties]

Several = list[tuple[str, int]]
"""The columns of a row that list several values, with their number, although one value is needed."""


def time_reader(columns: Columns, cell: Callable[[str], ReadCell]) -> ReadCell:
    """Return the reader of a row's time: the first of its time columns that is not empty."""
    first = cell(columns.timestamp)
    if not columns.times:
        return first
    others = tuple(map(cell, columns.times))

    def read(values: Any) -> str:
        text = first(values)
        if text and not text.isspace():
            return text
        return next((other for one in others if (other := one(values)).strip()), "")

    return read


def cell_readers(
    found: tuple[str, ...], *, tabular: bool, several: Several | None = None
) -> Callable[[str], ReadCell]:
    """Return a function that makes the reader of one column, by its name ("": no column).

    A list of one item is read as that item. Of a longer list the first item is read, and the column is added
    to `several`; without that list, the reader raises BadRow.
    """
    if tabular:
        place = {name: index for index, name in enumerate(found)}
        return lambda name: _cell(name, place, several)
    return lambda name: _member(name, several)


def _cell(name: str, place: dict[str, int], several: Several | None) -> ReadCell:
    if not name:
        return lambda _: ""
    if name in place:
        read: ReadCell = itemgetter(place[name])
        return read
    value = value_in_cell(name, place)
    return lambda cells: text_of(name, value(cells), several)


def value_in_cell(path: str, place: dict[str, int]) -> Callable[[list[str]], Any]:
    """Return a function that finds the value at a path into a column with JSON text; ABSENT for none."""
    column = root(path, place)
    index, begin = place[column], len(column) + 1

    def read(cells: list[str]) -> Any:
        value = json_in(cells[index], column)
        return value if value is ABSENT else value_at(value, path, begin)

    return read


def json_in(text: str, column: str) -> Any:
    """Return the object or list that a cell holds as JSON, ABSENT if it is blank. Raises BadRow."""
    if not text or text.isspace():
        return ABSENT
    value = opened(text, column)
    if isinstance(value, str):
        raise BadRow(
            "bad-json", f"{column!r} holds no JSON object, but a path of the mapping reaches into it"
        )
    return value


def _member(name: str, several: Several | None) -> ReadCell:
    """Return the reader of a member: by its whole name, else along its dots."""
    if not name:
        return lambda _: ""
    if "." not in name:
        return lambda values: text_of(name, values.get(name), several)
    return lambda values: text_of(name, value_at(values, name), several)


def text_of(name: str, value: Any, several: Several | None = None) -> str:
    """Return a JSON value as it is sent: numbers as written, true and false as words, null as "".

    Raises BadRow for an object, and for a list of several items unless `several` may take note of it.
    """
    if isinstance(value, str):
        return value
    if value is None or value is ABSENT:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and (len(value) < 2 or several is not None):
        if len(value) > 1 and several is not None:
            several.append((name, len(value)))
        return text_of(name, value[0]) if value else ""
    raise BadRow("nested", f"{name[:60]!r} is nested JSON, not a single value")


def cells_reader(columns: Columns, found: tuple[str, ...], *, tabular: bool) -> ReadCells:
    """Return a function that reads all columns of a row that are neither blank nor ignored."""
    if not tabular:
        is_ignored = columns.is_ignored if columns.ignore else None
        return lambda values: tuple(_leaves(values, "", is_ignored))
    names = tuple(name for name in found if not columns.is_ignored(name))
    pick = picker(tuple(index for index, name in enumerate(found) if not columns.is_ignored(name)))

    def read(values: list[str]) -> Properties:
        cells = pick(values)
        if "" in cells or any(map(str.isspace, cells)):
            return tuple(
                [pair for pair in zip(names, cells, strict=True) if pair[1] and not pair[1].isspace()]
            )
        return tuple(zip(names, cells, strict=True))

    return read


def no_cells(_values: Any) -> Properties:
    """Return no cells: in place of a `cells_reader`, for events that are only counted."""
    return ()


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
        text = json.dumps(value) if isinstance(value, list) else text_of(name, value)
        if text and not text.isspace():
            yield name, text


def picker(indexes: tuple[int, ...]) -> Callable[[list[str]], tuple[str, ...]]:
    """Return a function that picks the cells of a row with these indexes."""
    if len(indexes) > 1:
        return itemgetter(*indexes)
    return lambda cells: tuple([cells[index] for index in indexes])
