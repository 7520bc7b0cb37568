"""Values of databases as JSON text. A value's text depends on the type of its column alone.

Times are written as those of Parquet files: ISO 8601, without zeros at their end.
"""

from __future__ import annotations

import base64
import json
import math
import re
from typing import Any

_encode = json.JSONEncoder(ensure_ascii=False).encode
_MOMENT = re.compile(r"(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d+)?(\+00(?::?00)?)?")
_LINES = str.maketrans("\r\n", "  ")


def as_text(value: Any) -> str:
    """Return a text, or a value of a type that has no form in JSON."""
    return _encode(value if isinstance(value, str) else str(value))


def as_number(value: Any) -> str:
    """Return a whole number."""
    return str(value)


def as_bool(value: Any) -> str:
    """Return true or false, which some databases give as text."""
    return "true" if value in (True, "true", "t") else "false"


def as_float(value: Any) -> str:
    """Return a number, which some databases give as text. A number that is missing is NaN in many tables."""
    number = float(value)
    if math.isnan(number):
        return "null"
    return repr(number) if math.isfinite(number) else _encode(str(number))


def as_decimal(value: str) -> str:
    """Return a decimal as text, which keeps all its digits."""
    return "null" if value == "NaN" else _encode(value)


def as_moment(value: str) -> str:
    """Return a time with its date; one with a zone is in UTC."""
    found = _MOMENT.fullmatch(value)
    if not found:
        return _encode(value)  # no date of our calendar: the row is rejected when its turn comes
    fraction = (found[3] or "").rstrip("0").rstrip(".")
    return f'"{found[1]}T{found[2]}{fraction}{"Z" if found[4] else ""}"'


def as_json(value: str) -> str:
    """Return JSON on one line. Line ends in it stand between its parts: within texts they are escaped."""
    return value.translate(_LINES)


def as_bytes(value: bytes) -> str:
    """Return bytes as text: older programs write text as bytes. Other bytes are written as base64."""
    try:
        return _encode(value.decode())
    except UnicodeDecodeError:
        return _encode(base64.b64encode(value).decode())


def as_hex(value: str) -> str:
    r"""Return bytes that come as `\x` and their digits."""
    return as_bytes(bytes.fromhex(value.removeprefix("\\x")))
