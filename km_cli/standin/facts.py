"""Judging single calls and values: which rule drops a call, and which changes a value (D5).

Nothing of it comes from the sender's rules, so that both can be compared.
"""

import json
import unicodedata
from functools import lru_cache
from typing import Final, NamedTuple

from km_cli.standin.wire import LARGEST_VALUE, LONGEST_NAME

RULE_OF_REASON: Final = {
    f"person over {LONGEST_NAME} characters": "D4",
    f"other identity over {LONGEST_NAME} characters": "D4",
    f"event name over {LONGEST_NAME} characters": "D4",
    f"property name over {LONGEST_NAME} characters": "D4",
    f"value over {LARGEST_VALUE} bytes": "D5",
    "time before 2009": "D6",
}
"""The rule by which a call or a property is dropped. All other reasons are calls that lack something (W2)."""

PLACEHOLDERS: Final = frozenset(
    {"anonymous", "guest", "missing", "n/a", "nil", "none", "null", "undefined", "unknown", "-"}
)
"""I1: identities, in small letters, that are sent for many people."""

MOST_NAMES: Final = {1_000: False, 65_535: True}
"""D8: names of events, and of properties, that a product may have; whether all pages agree on the limit."""

LONGEST_VALUE_NEWER: Final = 512  # D5, in characters, by the newer page
_LONGEST_AMOUNT: Final = 40
_NUMBER: Final = frozenset("0123456789.,+- ")


class NewFact(NamedTuple):
    """A fact that has no id yet; the fields are those of `Fact`."""

    rule: str
    what: str
    certain: bool
    detail: str
    call: int
    other: int | None


def change_of(value: str) -> bool | None:
    """Tell whether all pages agree that Kissmetrics changes a value (D5); None if none says so.

    Kissmetrics reads "007" as the number 7, and wants neither JSON nor currency signs. A long value is kept
    by one page and not by the other.
    """
    if len(value) <= _LONGEST_AMOUNT:
        return _change_of_short(value)
    if _is_json(value):
        return True
    return False if len(value) > LONGEST_VALUE_NEWER else None


@lru_cache(maxsize=1 << 14)
def _change_of_short(value: str) -> bool | None:
    return True if _is_json(value) or _is_rewritten_number(value) or _is_amount(value) else None


def _is_json(value: str) -> bool:
    if value[:1] not in ("{", "["):
        return False
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return False
    return True


def _is_rewritten_number(value: str) -> bool:
    """Tell whether a number would be shown otherwise: 007, +5."""
    digits = value.lstrip("+-")
    if not (digits.isascii() and digits.isdigit()) or len(value) - len(digits) > 1:
        return False
    return value[0] == "+" or (digits[0] == "0" and len(digits) > 1)


def _is_amount(value: str) -> bool:
    """Tell whether a value is a number with one currency sign and up to three letters: $5, 5 €, US$ 5."""
    others = [char for char in value if char not in _NUMBER]
    signs = [char for char in others if unicodedata.category(char) == "Sc"]
    letters = [char for char in others if char.isalpha()]
    has_digit = any(char.isdigit() for char in value)
    return has_digit and len(signs) == 1 and len(others) == 1 + len(letters) and len(letters) <= 3
