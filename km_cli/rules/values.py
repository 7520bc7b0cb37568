"""Rules about property values (D5): text or numbers, short, no JSON and no currency signs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import ClassVar

from km_cli.model import Event
from km_cli.rules.base import About

_NEWER_LIMIT = 512
_MONEY = re.compile(r"[-+]?\s*[$€£¥₹₽₩]\s*[-+]?\d[\d.,]*|[-+]?\d[\d.,]*\s*[$€£¥₹₽₩]")
_SIGNS = frozenset("$€£¥₹₽₩")


class LongValues:
    """D5: 8 KB on the older page, 512 characters on the newer one."""

    about: ClassVar[About] = About(
        "D5-long",
        "a value over 512 characters, which a newer page has as the limit",
        "leave it out with --exclude-property, or send a shorter form of it",
        "technical-limitations",
    )

    def look(self, event: Event) -> Iterator[str]:
        """Yield the properties whose value is long."""
        for name, value in event.properties:
            if len(value) > _NEWER_LIMIT:
                yield f"the value of {name!r} has {len(value):,} characters"


class OddValues:
    """D5: JSON and currency signs make a number or a structure into mere text."""

    about: ClassVar[About] = About(
        "D5",
        "JSON or a currency sign in a value: Kissmetrics takes it as mere text",
        "send the number alone, and the parts of JSON as properties of their own",
        "technical-limitations",
    )

    def look(self, event: Event) -> Iterator[str]:
        """Yield the properties whose value is JSON or an amount with its currency."""
        for name, value in event.properties:
            first = value[0]
            if first in "{[" and _is_json(value):
                yield f"the value of {name!r} is JSON"
            elif (first in _SIGNS or value[-1] in _SIGNS or first in "+-") and _MONEY.fullmatch(
                value.strip()
            ):
                yield f"the value of {name!r} has a currency sign: {value!r} is no number"


def _is_json(value: str) -> bool:
    try:
        return isinstance(json.loads(value), dict | list)
    except (ValueError, RecursionError):
        return False
