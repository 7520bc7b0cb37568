"""Rules about property values: text or numbers, short, without JSON and currency signs (D5)."""

from __future__ import annotations

import json
import re
from functools import lru_cache

from km_cli.kissmetrics import fold_name
from km_cli.rules.base import About, Example, Severity, ValueRule, log

_NEWER_LIMIT = 512
_LONGEST_AMOUNT = 40
_SIGN = r"(?:[A-Za-z]{0,3}[$€£¥₹₽₩][A-Za-z]{0,3})"  # US$, R$, $CAD
_ISO = r"(?:USD|EUR|GBP|CHF|JPY|CAD|AUD|SEK|NOK|DKK|PLN|CZK|INR|BRL|MXN|CNY)"
_MONEY = re.compile(
    rf"[-+]?\s*(?:{_SIGN}|(?P<before>{_ISO}))\s*[-+]?\d[\d.,]*+"
    rf"|[-+]?\s*\d[\d.,]*+\s*(?:{_SIGN}|(?P<after>{_ISO}))"
)
_SIGNS = frozenset("$€£¥₹₽₩+-")
_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_BILLING = fold_name("Billing Amount")
"""The usual revenue property of Kissmetrics."""

_DIGIT = re.compile(r"\d")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # of snake_case, camelCase and plain names
_REVENUE = frozenset(
    {"amount", "revenue", "price", "mrr", "arr", "total", "cost", "ltv", "fee", "tax", "discount"}
)


def _is_long(name: str, value: str) -> str:
    return f"the value of {name!r} has {len(value):,} characters" if len(value) > _NEWER_LIMIT else ""


LONG = ValueRule(
    About(
        "D5-long",
        Severity.CHANGED,
        "A value has more than 512 characters: Kissmetrics may cut it off or leave it out.",
        "Leave the column out with --exclude-property NAME, or send a shorter value.",
        "technical-limitations",
        Example(
            log("09:00:00Z,ada,Acme,Wrote," + "x" * 513, more="note"),
            log("09:00:00Z,ada,Acme,Wrote," + "x" * 512, more="note"),
        ),
        disagreement="The newer page says 512 characters, an older one 8 KB.",
    ),
    _is_long,
)


def _is_no_plain_value(name: str, value: str) -> str:
    if value[0] in "{[" and _is_json(value):
        return f"the value of {name!r} is JSON"
    if not _is_text_for_money(name, value) and (currency := _currency(value)):
        return f"the value of {name!r} has a currency {currency}: {value!r} is no number"
    return ""


ODD = ValueRule(
    About(
        "D5",
        Severity.CHANGED,
        "A value is JSON or has a currency: Kissmetrics keeps it as text, and cannot add it up.",
        "Send the number alone. To send JSON as parts, list 'COLUMN.*' and all other columns in --property.",
        "technical-limitations",
        Example(
            log("09:00:00Z,ada,Acme,Paid,$49.00", more="deposit"),
            log("09:00:00Z,ada,Acme,Paid,49.00", more="deposit"),
        ),
    ),
    _is_no_plain_value,
)


def _is_text_for_money(name: str, value: str) -> str:
    # Words may be meant in a property that only sounds like money ("total": "all"). Revenue is a number.
    if _NUMBER.fullmatch(value.strip()) or not (_DIGIT.search(value) or fold_name(name) == _BILLING):
        return ""
    if not _is_money(name):
        return ""
    return f"the value of {name!r}, {value[:40]!r}, is no number"


TEXT_FOR_MONEY = ValueRule(
    About(
        "D5-money",
        Severity.CHANGED,
        "An amount of money is not a plain number: Kissmetrics adds nothing to the revenue for it.",
        "Send the number alone, with a point and without separators of thousands: 1234.50.",
        "technical-limitations, saas-essentials",
        Example(
            log('09:00:00Z,ada,Acme,Paid,"1,234.50"', more="amount"),
            log("09:00:00Z,ada,Acme,Paid,1234.50", more="amount"),
        ),
    ),
    _is_text_for_money,
)


def _currency(value: str) -> str:
    """Return how a value names its currency, as "sign" or "code"; "" if it is no amount with a currency."""
    if len(value) > _LONGEST_AMOUNT:
        return ""
    text = value.strip()
    if not text or not (text[0].isdigit() or text[-1].isdigit() or text[0] in _SIGNS):
        return ""
    found = _MONEY.fullmatch(text)
    if found is None:
        return ""
    return "code" if found["before"] or found["after"] else "sign"


@lru_cache(maxsize=4096)
def _is_money(name: str) -> bool:
    """Tell whether a property's name ends in a word for money: totalAmount is, "Price ID" is not."""
    words = _WORDS.findall(name)
    return bool(words) and words[-1].casefold() in _REVENUE


def _is_json(value: str) -> bool:
    try:
        return isinstance(json.loads(value), dict | list)
    except (ValueError, RecursionError):
        return False
