"""The first reading of a log for init: the values of each column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from km_cli.mapping import ReadCell, cell_readers
from km_cli.model import Row

INFERRED_ROWS = 100_000
"""Rows that init reads. They are enough to know a log, and take seconds."""

_MOST_TEXTS = 300_000
"""Distinct values that are kept, of all columns together: memory is bounded."""

_MOST_OF_ONE = 10_000
_MOST_INSIDE = 1000
_LONGEST = 160
_SAMPLE = 100


class Profile:
    """Counts one column's values. `given` are not empty; at most `most` distinct ones are kept."""

    def __init__(self, name: str, most: int) -> None:
        self.name = name
        self.given = 0
        self.counts: dict[str, int] = {}
        self.is_cut = False
        self._most = most

    def see(self, text: str) -> None:
        """Count a value that is not empty."""
        self.given += 1
        key = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}{hash(text)}"
        if key in self.counts:
            self.counts[key] += 1
        elif len(self.counts) < self._most:
            self.counts[key] = 1
        else:
            self.is_cut = True

    @property
    def distinct(self) -> int:
        """The number of distinct values; more if it `is_cut`."""
        return len(self.counts)

    @property
    def recurs(self) -> bool:
        """Whether a value occurs in two rows, on average."""
        return 0 < 2 * self.distinct <= self.given

    @property
    def is_unique(self) -> bool:
        """Whether no value occurs in two rows."""
        return 0 < self.given == self.distinct and not self.is_cut

    @property
    def sample(self) -> Iterator[str]:
        """The first distinct values."""
        return islice(self.counts, _SAMPLE)

    def fraction(self, test: Callable[[str], object]) -> float:
        """Return the fraction of the first distinct values that pass a test; 0.0 if there are none."""
        passed = [bool(test(text)) for text in self.sample]
        return sum(passed) / max(len(passed), 1)


class Profiles(NamedTuple):
    """The columns of the first `rows` rows by name; `is_all` if the log has no more.

    `nested` are the members that hold JSON, with the paths of the values in them.
    """

    rows: int
    is_all: bool
    columns: dict[str, Profile]
    nested: dict[str, set[str]]


def text_reader(name: str, found: tuple[str, ...], *, tabular: bool) -> ReadCell:
    """Return the reader of one column's text; it returns "" for nested JSON."""
    cell = cell_readers(found, tabular=tabular)(name)

    def text(values: Any) -> str:
        try:
            return cell(values).strip()
        except ValueError:  # nested JSON
            return ""

    return text


def profile(
    rows: Iterable[Row], found: tuple[str, ...], *, tabular: bool, keeps_all: Callable[[str], bool]
) -> Profiles:
    """Look at the first rows. All distinct values are kept of the columns for which `keeps_all` is true."""
    most = min(_MOST_OF_ONE, _MOST_TEXTS // max(len(found), 1) + 1)
    columns = {name: Profile(name, INFERRED_ROWS if keeps_all(name) else most) for name in found}
    readers = [(text_reader(name, found, tabular=tabular), one) for name, one in columns.items()]
    nested: dict[str, set[str]] = {}
    ahead, count = iter(rows), 0
    for row in islice(ahead, INFERRED_ROWS):
        count += 1
        for text, column in readers:
            if value := text(row.values):
                column.see(value)
        if not tabular:
            _see_nested(row.values, nested)
    return Profiles(count, next(ahead, None) is None, columns, nested)


def _see_nested(values: dict[str, Any], nested: dict[str, set[str]]) -> None:
    for name, value in values.items():
        if isinstance(value, dict | list) and len(nested) < _MOST_INSIDE:
            inside = nested.setdefault(name, set())
            if len(inside) < _MOST_INSIDE:
                inside.update(_leaves(value, name))


def _leaves(value: Any, name: str) -> Iterator[str]:
    """Yield the paths of the values in a member; its own name for a list or an empty object."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}")
    else:
        yield name
