"""An import plan → its text: TOML, in an order and with line breaks that read well in a review."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

import msgspec

from km_cli.import_plan.content import ImportPlan
from km_cli.toml_text import quoted

_HEAD = (
    "# An import plan of km-cli: the calls that an import of these inputs would send, for review.",
    "# To send exactly these calls: km-cli import FILE... --plan THIS_FILE, with the same options.",
    "# It has values of the log: names of inputs, columns and events, and those values that a finding or",
    "# a rejected row is about. It has no API key. Keep it where the log may be kept.",
    "# Do not edit it, make it anew: import refuses a plan that was edited.",
)
_NOTES = {
    "days": "# Calls by site, and by UTC day; by month if there are more than 62 days.",
    "settings": "# The settings that decide which calls a row becomes.",
    "ledger": "# The ledger that the plan was made against: what was sent before is not sent again.",
    "proof": (
        "# Digests of all calls. The digest of a call is SHA-256 of its site, path (e, s or a), identity,\n"
        "# event, second, and the names and values of its properties, joined by NUL. `sums` adds them up by\n"
        "# site, modulo 2^256. A block is [input, first line, last line, rows, calls, digest of the calls,\n"
        "# digest of the lines], and `chain` is over all blocks."
    ),
}
_BARE = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_GAP = re.compile(r"^(# .*)\n\n(?=\[)", re.MULTILINE)
"""An empty line between a note and the table that it is about."""

_UNSIGNED = ("made = ", "digest = ")
_LONGEST = 100


def text_of(plan: ImportPlan) -> str:
    """Return the text of a plan. Its digest is that of the plan as it is: see `signed`."""
    text = "\n".join([*_HEAD, "", *_table(msgspec.to_builtins(plan), ())]) + "\n"
    return _GAP.sub(r"\1\n", text)


def signed(text: str) -> str:
    """Return a plan's text with its right digest."""
    return re.sub('^digest = ".*"$', f'digest = "{digest_of(text)}"', text, count=1, flags=re.MULTILINE)


def digest_of(text: str) -> str:
    """Return the digest of a plan's text: of all lines but those with its time and its digest.

    Line ends do not matter, since version control may change them.
    """
    head, bracket, rest = text.replace("\r\n", "\n").partition("\n[")
    kept = [line for line in head.split("\n") if not line.startswith(_UNSIGNED)]
    return sha256(("\n".join(kept) + bracket + rest).encode()).hexdigest()


def _table(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of a table: first its own values, then the tables below it."""
    below = {key: value for key, value in table.items() if _is_below(value)}
    for key, value in table.items():
        if key not in below:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in below.items():
        inner = (*path, key)
        if not path and key in _NOTES:
            yield from ("", _NOTES[key])
        name = ".".join(map(_key, inner))
        if isinstance(value, list | tuple):
            for one in value:
                yield from ("", f"[[{name}]]", *_table(one, inner))
        elif all(map(_is_below, value.values())):
            yield from _table(value, inner)  # It has nothing but tables, which make it by their names.
        else:
            yield from ("", f"[{name}]", *_table(value, inner))


def _is_below(value: object) -> bool:
    """Tell whether a value stands in a table of its own. An empty one does not."""
    if isinstance(value, list | tuple):
        return bool(value) and isinstance(value[0], dict)
    return isinstance(value, dict) and bool(value)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else quoted(key)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        items = [_value(one) for one in value]
        line = f"[{', '.join(items)}]"
        is_nested = bool(value) and isinstance(value[0], list | tuple)
        if is_nested or len(line) > _LONGEST:
            return "[\n" + "".join(f"  {item},\n" for item in items) + "]"
        return line
    return "{}" if value == {} else str(value)
