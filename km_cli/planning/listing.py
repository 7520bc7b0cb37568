"""Lists the columns in which two rows differ, with their values, for messages."""

from __future__ import annotations

from collections.abc import Iterable

from km_cli.kissmetrics import fold_name
from km_cli.model import Properties

_MOST_LISTED = 4
_LONGEST_QUOTED = 40


def list_values(columns: list[str], here: Properties, there: Properties = ()) -> str:
    """Return the columns with their values here and, if those are known, there."""
    own, other = _fold(here), _fold(there)
    listed = []
    for name in columns[:_MOST_LISTED]:
        values = f"{_quote(own.get(fold_name(name), ''))} here"
        if other:
            values += f", {_quote(other.get(fold_name(name), ''))} there"
        listed.append(f"{name!r} ({values})")
    more = len(columns) - len(listed)
    return ", ".join(listed) + (f" and {more} more" if more else "")


def _fold(cells: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {fold_name(name): value for name, value in cells}


def _quote(text: str) -> str:
    if not text:
        return "nothing"
    return repr(text) if len(text) <= _LONGEST_QUOTED else f"{text[:_LONGEST_QUOTED]!r}…"
