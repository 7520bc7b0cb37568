"""Conditions on columns (`--where`): which rows of a log are taken."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from types import MappingProxyType
from typing import Any

from km_cli.errors import UsageError, did_you_mean
from km_cli.mapping.cells import ReadCell
from km_cli.mapping.columns import Condition
from km_cli.mapping.found_columns import NamedAt

_COLUMN = r'\s*(?:"(?P<quoted>[^"]+)"|(?P<column>.*?))'
_FORM = re.compile(_COLUMN + r"\s*(?P<sign>!?=)\s*(?P<values>.*?)\s*", re.DOTALL)
_LIST = re.compile(_COLUMN + r"\s+(?P<sign>in)\s+(?P<values>.*?)\s*", re.DOTALL)
_HINT = "write it as 'type=track', 'type!=page' or 'type in track,screen'"

_QUOTED_LIST = re.compile(r'\s*"[^"]+"\s+in\s')
_IN = re.compile(r"\sin\s")

_MOST_VALUES = 50
"""Values of a column that are remembered, to propose the nearest one for a value that no row has."""

_MISSPELT = 0.75
"""How near a column's name must be to one that rows have, from 0 to 1, to be a mistake."""


def make_condition(text: str, place: str = "--where") -> Condition:
    """Parse `COLUMN=VALUE`, `COLUMN!=VALUE` or `COLUMN in VALUE,VALUE`. Raises UsageError.

    The name of a column may stand in quotation marks, and has to if it has `=` in it. Any other text with `=`
    is no list, since the name of a column may well contain the word "in". `place` says where the text stands,
    for the error.
    """
    found = _LIST.fullmatch(text) if _QUOTED_LIST.match(text) else _FORM.fullmatch(text)
    found = found or _LIST.fullmatch(text)
    column = (found["quoted"] or found["column"]) if found else ""
    if found is None or not column:
        plain = f"{place.removesuffix(':')}: a value is not a condition on a column"
        raise UsageError(f"{place} {text!r} is not a condition on a column", _HINT, plain=plain)
    values: tuple[str, ...] = (found["values"],)
    if found["sign"] == "in":
        values = tuple(value.strip() for value in found["values"].split(","))
        if "" in values:
            plain = f"{place.removesuffix(':')}: a condition has an empty value"
            raise UsageError(f"{place} {text!r} has an empty value", _HINT, plain=plain)
    return Condition(column, found["sign"] != "!=", values)


def condition_text(condition: Condition) -> str:
    """Return a condition as `make_condition` parses it."""
    column, is_in, values = condition
    if "=" in column or (len(values) > 1 and _IN.search(column)):
        column = f'"{column}"'
    if len(values) > 1:
        return f"{column} in {','.join(values)}"
    return f"{column}{'=' if is_in else '!='}{values[0]}"


class _Noted:
    """Notes about one condition: whether a row met it, and whether a row has its column."""

    __slots__ = ("is_filled", "is_met", "rows", "values")

    def __init__(self) -> None:
        self.is_filled = self.is_met = False
        self.rows = 0
        self.values: dict[str, None] = {}

    def note(self, text: str, *, is_met: bool) -> None:
        """Take note of a row's text, "" for none."""
        self.rows += 1
        self.is_met = self.is_met or is_met
        self.is_filled = self.is_filled or bool(text)
        if text and len(self.values) < _MOST_VALUES:
            self.values[text] = None


class ConditionsSeen:
    """Notes which of the conditions that flags and km.toml give are met by a row. Memory is constant."""

    def __init__(self, asked: Iterable[Condition] = (), named_at: NamedAt = MappingProxyType({})) -> None:
        self._asked = {_key(one): (one, _Noted()) for one in asked}
        self._named_at = named_at
        self._columns: tuple[str, ...] = ()

    def see(self, columns: tuple[str, ...]) -> None:
        """Take note of the columns of an input, to propose one of them."""
        if self._asked:
            self._columns = columns

    def notes(self) -> list[Any]:
        """Return this as JSON values, which `add` takes."""
        noted = [[one.rows, one.is_filled, one.is_met, list(one.values)] for _, one in self._asked.values()]
        return [self._columns, noted]

    def add(self, notes: list[Any]) -> None:
        """Add the names of later rows, which were read under the same flags and km.toml."""
        columns, all_noted = notes
        self._columns = tuple(columns)
        for (_, noted), one in zip(self._asked.values(), all_noted, strict=True):
            rows, is_filled, is_met, values = one
            noted.rows += rows
            noted.is_filled |= is_filled
            noted.is_met |= is_met
            noted.values.update(dict.fromkeys(values))

    def noted(self, condition: Condition) -> _Noted | None:
        """Return the notes about a condition of an input, None if an export's table gives it."""
        found = self._asked.get(_key(condition))
        return found[1] if found else None

    def unmet(self) -> Iterator[str]:
        """Yield a message for a condition that no row met, and for a column that may be misspelt.

        Of several conditions, one is only tried on rows that meet those before it.
        """
        for condition, noted in self._asked.values():
            place = self._named_at.get(("where", condition.column), "--where")
            text = f"{place} {condition_text(condition)!r}: "
            if noted.rows and not noted.is_filled and (hint := self._misspelt(condition.column)):
                yield f"{text}no row has the column {condition.column!r}; {hint}"
            elif noted.rows and not noted.is_met:
                near = did_you_mean(condition.values[0], noted.values, "", repr)
                yield f"{text}no row meets this condition" + (f"; {near}" if near else "")

    def _misspelt(self, column: str) -> str:
        """Return a proposal for the name of a column that no row has, "" if none is near."""
        others = [name for name in self._columns if name != column]
        return did_you_mean(column, others, "", repr, least=_MISSPELT)


def _key(condition: Condition) -> tuple[object, ...]:
    """Return a condition without the case of its column, which an input may write in another way."""
    return (condition.column.casefold(), *condition[1:])


_NONE_ASKED = ConditionsSeen()


def unmet(
    conditions: Iterable[Condition], cell: Callable[[str], ReadCell]
) -> Callable[[Any], tuple[str, str]]:
    """Return a function that says why a row is left out, by the first condition that it fails.

    It returns the column with the row's value, and the condition; twice "" if the row fails none.
    """
    tests = [(one, cell(one.column), row_filter((one,), cell)) for one in conditions]

    def why(values: Any) -> tuple[str, str]:
        failed = (
            (f"{one.column} {read(values).strip()!r}", condition_text(one))
            for one, read, test in tests
            if test and not test(values)
        )
        return next(failed, ("", ""))

    return why


def row_filter(
    conditions: Iterable[Condition],
    cell: Callable[[str], ReadCell],
    seen: ConditionsSeen = _NONE_ASKED,
) -> Callable[[Any], bool] | None:
    """Return a function that tells whether a row meets all conditions; None if there are none.

    Texts are compared as they are, without the blanks around them; a column that a row lacks is "". The
    function raises BadRow if a column holds nested JSON.
    """
    tests = [(cell(one.column), one.is_in, frozenset(one.values), seen.noted(one)) for one in conditions]
    if not tests:
        return None

    def meets(values: Any) -> bool:
        for read, is_in, wanted, noted in tests:
            text = read(values).strip()
            is_met = (text in wanted) is is_in
            if noted is not None and not (noted.is_met and noted.is_filled):
                noted.note(text, is_met=is_met)
            if not is_met:
                return False
        return True

    return meets
