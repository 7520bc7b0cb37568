"""Conditions on columns (`--where`): which rows of a log are taken."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from km_cli.errors import UsageError
from km_cli.mapping.cells import ReadCell
from km_cli.mapping.columns import Condition

_FORM = re.compile(r"\s*(?P<column>.*?)\s*(?:(?P<sign>!?=)|\s(?P<word>in)\s)\s*(?P<values>.*?)\s*", re.DOTALL)
_HINT = "write it as 'type=track', 'type!=page' or 'type in track,screen'"


def make_condition(text: str, place: str = "--where") -> Condition:
    """Parse `COLUMN=VALUE`, `COLUMN!=VALUE` or `COLUMN in VALUE,VALUE`. Raises UsageError.

    `place` says where the text stands, for the error.
    """
    found = _FORM.fullmatch(text)
    if found is None or not found["column"]:
        raise UsageError(f"{place} {text!r} is not a condition on a column", _HINT)
    values: tuple[str, ...] = (found["values"],)
    if found["word"]:
        values = tuple(value.strip() for value in found["values"].split(","))
        if "" in values:
            raise UsageError(f"{place} {text!r} has an empty value", _HINT)
    return Condition(found["column"], found["sign"] != "!=", values)


def condition_text(condition: Condition) -> str:
    """Return a condition as `make_condition` parses it."""
    column, is_in, values = condition
    if len(values) > 1:
        return f"{column} in {','.join(values)}"
    return f"{column}{'=' if is_in else '!='}{values[0]}"


def row_filter(
    conditions: Iterable[Condition], cell: Callable[[str], ReadCell]
) -> Callable[[Any], bool] | None:
    """Return a function that tells whether a row meets all conditions; None if there are none.

    Texts are compared as they are, without the blanks around them; a column that a row lacks is "". The
    function raises BadRow if a column holds nested JSON.
    """
    tests = [(cell(one.column), one.is_in, frozenset(one.values)) for one in conditions]
    if not tests:
        return None

    def meets(values: Any) -> bool:
        return all((read(values).strip() in wanted) is is_in for read, is_in, wanted in tests)

    return meets
