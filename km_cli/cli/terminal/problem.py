"""Errors on a terminal: what is wrong, where, the record itself, and what to do. Never more than a screen.

Elsewhere an error is two lines, for scripts and mail: the message, and the next step.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from km_cli.cli.terminal.show import complain, escaped, width_of
from km_cli.errors import KmError, Where
from km_cli.kissmetrics import LIKE_A_KEY

_LEAST_SHOWN = 16
"""Characters of a record; fewer say nothing."""

_LONGEST_MESSAGE = 8
"""Lines of a message, about a third of a small window."""


def complain_of(error: KmError) -> None:
    """Print an error and its next step. On a terminal, its place and the record at that place as well."""
    width = width_of(to_stderr=True)
    if not _is_terminal() or not width:
        complain(str(error), error.hint)
        return
    message = _shortened(_without_place(error), _LONGEST_MESSAGE * width)
    complain(message, error.hint, list(excerpt_lines(error.where, width)) if error.where else ())


def _is_terminal() -> bool:
    try:
        return os.isatty(sys.stderr.fileno())
    except (OSError, ValueError):
        return False


def _without_place(error: KmError) -> str:
    """Return the message without the place that it begins with: the place stands below it."""
    message, where = str(error), error.where
    if where is None:
        return message
    for place in (f"{where.source}, line {where.line}, {where.column}", f"{where.source}, line {where.line}"):
        if message.startswith(f"{place}: "):
            return message[len(place) + 2 :]
    return message


def _shortened(text: str, most: int) -> str:
    """Return text without its middle, if it is longer than `most` characters."""
    if len(text) <= most:
        return text
    half = (most - 3) // 2
    return f"{text[:half]} … {text[-half:]}"


def excerpt_lines(where: Where, width: int) -> Iterator[str]:
    """Yield the place, and the record there with its wrong part underlined, in lines of `width` columns."""
    column = f", column {where.column!r}" if where.column else ""
    yield f"   --> {escaped(where.source)}, line {where.line:,}{escaped(column)}"
    text = where.text.decode(errors="backslashreplace") if isinstance(where.text, bytes) else where.text
    text, cell = _printable(text.strip("\r\n")), _printable(where.cell)
    if not text or LIKE_A_KEY.fullmatch(text.strip()):
        return  # The whole record may be an API key, in a file that was named by mistake.
    at = text.find(cell) if cell else -1
    part = _part(text, max(at, 0), len(cell) if at >= 0 else 0, max(width - 8, _LEAST_SHOWN))
    yield f"      | {'…' * (part.start > 0)}{text[part]}{'…' * (part.stop < len(text))}"
    if at >= 0:
        before = (part.start > 0) + _columns(text[part.start : at])
        yield f"      | {' ' * before}{'^' * max(1, _columns(text[at : min(at + len(cell), part.stop)]))}"


def _printable(text: str) -> str:
    return escaped(text).replace("\n", "\\n")


def _part(text: str, at: int, length: int, width: int) -> slice:
    """Return the part of a text that fits into `width` columns: its cell, and as much around it as can be.

    Two columns are kept for the signs that something is left out.
    """
    if _columns(text) <= width:
        return slice(0, len(text))
    begin = end = at
    room = width - 2
    while room > 0 and (begin > 0 or end < len(text)):
        # First the cell itself, then one character on each side in turn.
        to_right = end < len(text) and (end < at + length or end - at - length <= at - begin or not begin)
        letter = text[end] if to_right else text[begin - 1]
        if (cost := _columns(letter)) > room:
            break
        room -= cost
        begin, end = (begin, end + 1) if to_right else (begin - 1, end)
    return slice(begin, end)


def _columns(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)
