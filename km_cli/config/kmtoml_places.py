"""The line of km.toml that has a key, so that an error can show it.

tomllib keeps no lines, so they are found in the text. A key that is found in no line, or in several, has no
place: the error then names the key alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from km_cli.errors import Where
from km_cli.kissmetrics import LIKE_A_KEY

_TABLE = re.compile(r"\s*\[(?P<several>\[)?\s*(?P<name>[^\]\[]+?)\s*\]\]?\s*(#.*)?")
_PART = r"""(?:[\w-]+|"[^"]*"|'[^']*')"""
_KEY = re.compile(rf"\s*(?P<name>{_PART}(?:\s*\.\s*{_PART})*)\s*=")
_LAST = re.compile(r"\.?[^.\[\]]+$|\[\d+\]$")


def line_of(path: Path, text: str, place: str) -> Where | None:
    """Return the line of a key, such as `delivery.rate` or `personas[2].events`; None if it is not certain.

    A key inside of a value that stands in one line, such as a list or a table in braces, has that line. A
    line that may have an API key is not shown.
    """
    lines = list(_keys(text))
    while place:
        found = [number for number, key in lines if key == place]
        if len(found) > 1:
            return None
        if found:
            shown = text.split("\n")[found[0] - 1]
            return Where(str(path), found[0], "" if LIKE_A_KEY.search(shown) else shown)
        place = _LAST.sub("", place)
    return None


def _keys(text: str) -> Iterator[tuple[int, str]]:
    """Yield the number and the whole name of the key of each line that has one."""
    table, seen = "", Counter[str]()
    for number, line in enumerate(text.split("\n"), start=1):
        if title := _TABLE.fullmatch(line):
            table = _numbered(_plain(title["name"]), seen)
            if title["several"]:
                seen[table] += 1
                table = f"{table}[{seen[table]}]"
            yield number, table
        elif key := _KEY.match(line):
            yield number, f"{table}.{_plain(key['name'])}".lstrip(".")


def _numbered(table: str, seen: Counter[str]) -> str:
    """Return the name of a table inside of the last one of several: `backfill[2].columns`."""
    first, dot, rest = table.partition(".")
    return f"{first}[{seen[first]}]{dot}{rest}" if dot and seen[first] else table


def _plain(name: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in re.findall(_PART, name))
