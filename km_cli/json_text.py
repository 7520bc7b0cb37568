"""JSON text → values, for the lines of a log and for cells that hold JSON.

Numbers come back as texts, in the form that they were written in.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

DEEPEST = 100
"""Levels of nesting that a value may have. Real logs have a few; deeper ones exhaust Python's stack."""

TOO_DEEP = f"nested too deeply (more than {DEEPEST} levels)"

_LONGEST_KEY = 40
"""Characters of a key that a message quotes."""


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise ValueError(f"the key {_quoted(counts.most_common(1)[0][0])} occurs twice in one object")
    return values


def _quoted(key: str) -> str:
    return repr(key) if len(key) <= _LONGEST_KEY else f"{key[:_LONGEST_KEY]!r}…"


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not a number that can be sent")


_decode = json.JSONDecoder(
    object_pairs_hook=_object_of, parse_int=str, parse_float=str, parse_constant=_no_constant
).decode


def parse_json(text: str) -> Any:
    """Return the value of a JSON text. Raises ValueError with a reason for people, and RecursionError."""
    try:
        return _decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg[:1].lower()}{error.msg[1:]}, column {error.colno}") from None


def check_value(value: dict[str, Any] | list[Any], text: str) -> None:
    """Raise RecursionError for over DEEPEST levels of nesting, ValueError for a text that is no Unicode."""
    if text.count("{") + text.count("[") > DEEPEST:
        _check_depth(value)
    if "\\u" in text:
        _check_escapes(value)


def _check_depth(value: dict[str, Any] | list[Any]) -> None:
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise RecursionError(TOO_DEEP)


def _check_escapes(value: dict[str, Any] | list[Any]) -> None:
    """Raise ValueError for a lone surrogate or a NUL, which only an escape can bring into a value."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("it has half of a surrogate pair, which is no character") from None
    # A pair of backslashes is an escaped backslash: after it, u0000 is plain text.
    if "\\u0000" in text.replace("\\\\", ""):
        raise ValueError("it has a NUL character")
