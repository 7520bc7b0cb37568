"""Octal escapes in JSON: `caf\\303\\251` for `café`, as old data exports of Kissmetrics have them.

JSON has no such escape. A line with one is not valid JSON, so reading it changes the meaning of no other
line. The loader km-db (github.com/mezis/km-db, lib/kmdb/jobs/parse_file.rb) undoes the same escapes.
"""

from __future__ import annotations

import json
import re

_ESCAPES = re.compile(r"\\\\|(?:\\[0-3][0-7]{2})+")
"""A pair of backslashes, which is an escaped backslash, or a run of bytes in octal."""


def without_octal(text: str) -> str:
    """Return a text with the characters that its octal escapes stand for, in UTF-8.

    A run that is no UTF-8 stays as it is, so that the line is still rejected as no JSON.
    """
    return _ESCAPES.sub(_character, text)


def _character(found: re.Match[str]) -> str:
    run = found[0]
    if not run[1].isdigit():
        return run
    try:
        characters = bytes(int(byte, 8) for byte in run.split("\\")[1:]).decode()
    except UnicodeDecodeError:
        return run
    return json.dumps(characters, ensure_ascii=False)[1:-1]
