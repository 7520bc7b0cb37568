"""Nested values: dotted paths into objects, lists and JSON text, and the members of one object.

A list of keys and values is read as an object. Three forms are known, each with nothing else in its items:

- `{"key": "page", "value": {"string_value": "/"}}`, as in the BigQuery export of Google Analytics 4: of
  `string_value`, `int_value`, `float_value` and `double_value` one is set ("GA4 BigQuery Export schema",
  support.google.com/analytics/answer/7029846). `user_properties` also have `set_timestamp_micros` there.
- The same with `stringValue`, `intValue`, `doubleValue` and `boolValue`, as OpenTelemetry writes attributes
  (the JSON encoding of AnyValue in opentelemetry-proto, common.proto).
- `{"key": "page", "value": "/"}` and `{"name": "page", "value": "/"}`, as shops write attributes of an order.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Any

from km_cli.json_text import TOO_DEEP, check_value, parse_json

ABSENT = object()
"""There is no value at a path."""

MEMBERS = ".*"
"""The end of a path that means all members of an object, as in `event_properties.*`."""

_JSON = re.compile(r'\s*(?:\{\s*["}]|\[\s*(?:[]\[{"\d-]|true|false|null))')
"""How a text begins that is opened: as an object or a list in JSON. `{x}` and `[none]` are words."""

_LONGEST_NUMBER = 8
"""Digits of the number of a list's item. A record of 1 MiB has no longer list."""

_TYPED = frozenset(
    {"string_value", "int_value", "float_value", "double_value"}
    | {"stringValue", "intValue", "doubleValue", "boolValue"}
)

_SET_AT = frozenset({"set_timestamp_micros"})
"""The time at which a user property was set, among the types of its value (or beside them)."""

_BESIDE = frozenset({"value"}) | _SET_AT
"""Members that an item of a list of keys and values has beside its key."""


class BadRow(ValueError):
    """A row that can't be sent. `code` names the rule, str() is the reason."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def value_at(found: Any, path: str, begin: int = 0) -> Any:
    """Return the value at a dotted path, ABSENT if there is none. A key with the full name takes precedence.

    The path of `found` itself is `path` up to `begin`. Below the top level, a key with all that is left of
    the path is only used where the dots lead to nothing. Raises BadRow for a text along the path that starts
    like JSON but does not parse.
    """
    if type(found) is dict:  # nearly all paths lead through objects alone
        if not begin and (value := found.get(path, ABSENT)) is not ABSENT:
            return value
        value = found
        for key in path[begin:].split("."):
            value = value.get(key, ABSENT) if type(value) is dict else ABSENT
        if value is not ABSENT:
            return value
    return _value_inside(found, path, begin)


def _value_inside(found: Any, path: str, begin: int) -> Any:
    """Return the value at a path that may lead through lists, texts, and names with dots."""
    rest = path[begin:]
    if isinstance(found, str):
        found = opened(found, path[: begin - 1])
    key, dot, _ = rest.partition(".")
    if isinstance(found, list) and not _is_number(key):
        found = _object_of(found, path[: begin - 1])
    value = _item(found, key)
    if dot and value is not ABSENT:
        value = _value_inside(value, path, begin + len(key) + 1)
    return _item(found, rest) if value is ABSENT else value


def _item(found: Any, key: str) -> Any:
    if isinstance(found, dict):
        return found.get(key, ABSENT)
    if isinstance(found, list) and _is_number(key) and int(key) < len(found):
        return found[int(key)]
    return ABSENT


def _is_number(key: str) -> bool:
    return key.isascii() and key.isdigit() and len(key) < _LONGEST_NUMBER


def opened(text: str, path: str) -> Any:
    """Return the value of a text that holds an object or a list, as JSON; any other text as it is.

    Raises BadRow for a text that starts like JSON but does not parse.
    """
    if not _JSON.match(text):
        return text
    try:
        return _parsed(text)
    except RecursionError:
        raise BadRow("too-deep", f"{_short(path)} is {TOO_DEEP}") from None
    except ValueError as error:
        raise BadRow("bad-json", f"the JSON text in {_short(path)} cannot be read: {error}") from None


@lru_cache(maxsize=4)
def _parsed(text: str) -> Any:
    """Return the value of a JSON text. Several paths reach into the same text of a row."""
    value = parse_json(text.strip())
    check_value(value, text)
    return value


def _object_of(items: list[Any], path: str) -> Any:
    """Return the object that a list of keys and values stands for; any other list as it is.

    Raises BadRow if a key occurs twice.
    """
    pairs = [_pair(item) for item in items]
    if not pairs or None in pairs:
        return items
    values = dict(pair for pair in pairs if pair)
    if len(values) != len(pairs):
        raise BadRow("bad-json", f"a key occurs twice in the list {_short(path)}")
    return values


def _pair(item: Any) -> tuple[str, Any] | None:
    if not isinstance(item, dict) or "value" not in item:
        return None
    others = item.keys() - _BESIDE
    if others not in ({"key"}, {"name"}):
        return None
    (key,) = others
    name, value = item[key], item["value"]
    if not isinstance(name, str):
        return None
    if isinstance(value, dict) and value.keys() <= _TYPED | _SET_AT:
        return name, next((one for kind, one in value.items() if one is not None and kind in _TYPED), None)
    return name, value


def members(
    value: Any, path: str, left_out: Collection[str], *, is_top: bool = True
) -> Iterator[tuple[str, Any]]:
    """Yield the single values in the object at a path, by their paths, but for those `left_out`.

    The text of the object itself is opened; a text in it stays a text. Of a list, the only item stands for
    it; several items go by their numbers. Raises BadRow for a text that is no JSON.
    """
    if is_top and isinstance(value, str):
        value = opened(value, path)
    if isinstance(value, list):
        value = _object_of(value, path)
    if isinstance(value, list):
        if len(value) == 1 and not is_top and f"{path}.0" not in left_out:
            yield from members(value[0], path, left_out, is_top=False)
            return
        value = {str(number): item for number, item in enumerate(value)}
    if not isinstance(value, dict):
        yield path, value
        return
    for key, inner in value.items():
        name = f"{path}.{key}"
        if name not in left_out:
            yield from members(inner, name, left_out, is_top=False)


def root(path: str, found: Collection[str]) -> str:
    """Return the column of those `found` that a path is or lies in, "" if there is none."""
    while path not in found and path:
        path = path.rpartition(".")[0]
    return path


def _short(path: str) -> str:
    return repr(path if len(path) <= 60 else path[:60] + "…")
