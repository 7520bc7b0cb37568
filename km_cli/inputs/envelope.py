"""Recognises one JSON object around a list of rows, as web APIs and archives of logs have it.

AWS CloudTrail writes `{"Records": […]}` ("CloudTrail log file examples", docs.aws.amazon.com), the API of
Stripe `{"object": "list", "url": …, "has_more": true, "data": […]}` ("Pagination", docs.stripe.com), and that
of HubSpot `{"results": […], "paging": {…}}` (developers.hubspot.com).
"""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

from km_cli.errors import InputError
from km_cli.inputs.messages import shell_command

_BESIDE = frozenset(
    {"object", "type", "url", "has_more", "total", "total_count", "count", "paging", "pages", "meta", "links"}
    | {"next", "next_page", "next_url", "offset", "limit", "cursor", "scroll_param", "status", "success"}
)
"""Members that stand beside the list, and say nothing about a row."""

_LONGEST = 1 << 16
"""Bytes of the beginning that are looked at."""

_TEXT = r'"(?:[^"\\]|\\.)*+"'
_MEMBER = rf"({_TEXT})\s*:\s*(?:{_TEXT}|-?[\d.eE+-]+|true|false|null)\s*,\s*"
_LIST = re.compile(rf"({_TEXT})\s*:\s*\[\s*\{{")
_SINGLE = re.compile(_MEMBER)


def key_of_rows(head: bytes) -> str:
    """Return the key of the list of rows in the object that an input begins with, "" if there is none.

    The object may be cut, or be on several lines.
    """
    text = head[:_LONGEST].decode("utf-8-sig", errors="replace").lstrip()
    if not text.startswith("{"):
        return ""
    at = len(text) - len(text[1:].lstrip())
    while member := _SINGLE.match(text, at):
        if member[1][1:-1] not in _BESIDE:
            return ""
        at = member.end()
    found = _LIST.match(text, at)
    return found[1][1:-1] if found else ""


def is_envelope(values: dict[str, Any], key: str) -> bool:
    """Tell whether an object has nothing of a row itself: only a list of rows, and what stands beside it."""
    return key in values and values.keys() - {key} <= _BESIDE


def envelope_error(source: str, key: str) -> InputError:
    """Return the error for an input that is one object with its rows in a list."""
    path = f".{key}" if re.fullmatch(r"[A-Za-z_]\w*", key, re.ASCII) else f".[{json.dumps(key)}]"
    command = f"jq -c {shlex.quote(f'{path}[]')}"
    return InputError(
        f"{source} is one JSON object with the rows in a list, {key!r}, not one row a line",
        f"turn it into JSON lines: {shell_command(source, command)} > lines.jsonl",
    )
