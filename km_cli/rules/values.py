"""Rules about property values (D5, W6): text or numbers, short, no JSON and no currency signs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import ClassVar

from km_cli.model import Event
from km_cli.rules.base import About, Example, Severity, log

_NEWER_LIMIT = 512
_MOST_IN_CSV = 10
_LONGEST_AMOUNT = 40
_SIGN = r"(?:[A-Za-z]{0,3}[$€£¥₹₽₩][A-Za-z]{0,3})"  # US$, R$, $CAD
_ISO = r"(?:USD|EUR|GBP|CHF|JPY|CAD|AUD|SEK|NOK|DKK|PLN|CZK|INR|BRL|MXN|CNY)"
_MONEY = re.compile(
    rf"[-+]?\s*(?:{_SIGN}|(?P<before>{_ISO}))\s*[-+]?\d[\d.,]*+"
    rf"|[-+]?\s*\d[\d.,]*+\s*(?:{_SIGN}|(?P<after>{_ISO}))"
)
_SIGNS = frozenset("$€£¥₹₽₩+-")
_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_DIGIT = re.compile(r"\d")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # of snake_case, camelCase and plain names
_REVENUE = frozenset(
    {"amount", "revenue", "price", "mrr", "arr", "total", "cost", "ltv", "fee", "tax", "discount"}
)

Found = Iterator[tuple[str, str]]


class LongValues:
    """D5: 8 KB on the older page, 512 characters on the newer one."""

    about: ClassVar[About] = About(
        "D5-long",
        Severity.CHANGES,
        "a value over 512 characters, the limit of a newer page (an older one says 8,192 bytes)",
        "leave it out with --exclude-property, or send a shorter form of it",
        "technical-limitations",
        Example(
            log("09:00:00Z,ada,Acme,Wrote," + "x" * 513, more="note"),
            log("09:00:00Z,ada,Acme,Wrote," + "x" * 512, more="note"),
        ),
    )

    def look(self, event: Event) -> Found:
        """Yield the properties whose value is long."""
        for name, value in event.properties:
            if len(value) > _NEWER_LIMIT:
                yield f"the value of {name!r} has {len(value):,} characters", f"property {name!r}"


class OddValues:
    """D5: JSON and currency signs make a number or a structure into mere text."""

    about: ClassVar[About] = About(
        "D5",
        Severity.CHANGES,
        "JSON or a currency sign in a value: Kissmetrics takes it as mere text",
        "send the number alone, and the parts of JSON as properties of their own (--flatten)",
        "technical-limitations",
        Example(
            log("09:00:00Z,ada,Acme,Paid,$49.00", more="deposit"),
            log("09:00:00Z,ada,Acme,Paid,49.00", more="deposit"),
        ),
    )

    def look(self, event: Event) -> Found:
        """Yield the properties whose value is JSON or an amount with its currency."""
        for name, value in event.properties:
            if value[0] in "{[" and _is_json(value):
                yield f"the value of {name!r} is JSON", f"property {name!r}"
            elif currency := _currency(value):
                yield (
                    f"the value of {name!r} has a currency {currency}: {value!r} is no number",
                    f"property {name!r}",
                )


class TextForMoney:
    """D5: revenue reports add up numbers; text counts as nothing."""

    about: ClassVar[About] = About(
        "D5-money",
        Severity.CHANGES,
        "a property that is money by its name, and whose value is no number: it adds nothing to revenue",
        "send the number alone, with a point and without thousands: 1234.50",
        "technical-limitations, saas-essentials",
        Example(
            log('09:00:00Z,ada,Acme,Paid,"1,234.50"', more="amount"),
            log("09:00:00Z,ada,Acme,Paid,1234.50", more="amount"),
        ),
    )

    def __init__(self) -> None:
        self._is_money: dict[str, bool] = {}

    def look(self, event: Event) -> Found:
        """Yield the properties that should be numbers and are none."""
        known = self._is_money
        for name, value in event.properties:
            if name not in known:
                if len(known) > 100_000:
                    known.clear()
                known[name] = _is_money(name)
            if known[name] and not _NUMBER.fullmatch(value.strip()) and _DIGIT.search(value):
                yield f"the value of {name!r}, {value[:40]!r}, is no number", f"property {name!r}"


class NotForCsv:
    """W6: bulk CSV has ten properties at most and no double quotation marks; JSON has neither limit."""

    about: ClassVar[About] = About(
        "W6",
        Severity.NOTE,
        "more than 10 properties, or a double quotation mark in one: not for Kissmetrics' bulk CSV files",
        "nothing, unless you make such files yourself: use their JSON form then",
        "csv-import, json-import",
        Example(
            log('09:00:00Z,ada,Acme,Wrote,"a ""word"""', more="note"),
            log("09:00:00Z,ada,Acme,Wrote,a 'word'", more="note"),
        ),
    )

    def look(self, event: Event) -> Found:
        """Yield the event if it could not stand in such a file."""
        if len(event.properties) > _MOST_IN_CSV:
            yield f"it has {len(event.properties)} properties", ""
            return
        for name, value in event.properties:
            if '"' in value:
                yield f"the value of {name!r} has a double quotation mark", f"property {name!r}"
                return


def _currency(value: str) -> str:
    """Return by what a value tells its currency: "sign" or "code"; "" if it is no amount with one."""
    if len(value) > _LONGEST_AMOUNT:
        return ""
    text = value.strip()
    if not text or not (text[0].isdigit() or text[-1].isdigit() or text[0] in _SIGNS):
        return ""
    found = _MONEY.fullmatch(text)
    if found is None:
        return ""
    return "code" if found["before"] or found["after"] else "sign"


def _is_money(name: str) -> bool:
    """Tell whether a property's name ends in a word for money: totalAmount is, "Price ID" is not."""
    words = _WORDS.findall(name)
    return bool(words) and words[-1].casefold() in _REVENUE


def _is_json(value: str) -> bool:
    try:
        return isinstance(json.loads(value), dict | list)
    except (ValueError, RecursionError):
        return False
