"""How things look on a terminal. Whatever comes from a file is shown escaped, never interpreted."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import click

_INVISIBLE = (
    *range(0x20), *range(0x7F, 0xA0), 0xAD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5,
    *range(0x180B, 0x180F), *range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0x3164,
    *range(0xFE00, 0xFE10), 0xFEFF, 0xFFA0, *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080),
)  # fmt: skip
_CONTROLS = {
    code: f"\\u{code:04x}" if code > 0xFF else f"\\x{code:02x}" for code in _INVISIBLE if code != 0x0A
}

_NARROWEST = 24
"""Columns; an explanation in fewer is no pleasure to read."""


def escaped(text: str) -> str:
    """Return text that does nothing to a terminal; line breaks are kept."""
    return text.translate(_CONTROLS).encode(errors="backslashreplace").decode()


def say(text: str = "", *, to_stderr: bool = False, hang: int | None = None, whole: bool = False) -> None:
    """Print lines; on a terminal, wrapped at its width.

    What is wrapped goes on in column `hang`, by default two further in than the line begins. `whole` keeps
    words together that are longer than the window: paths and commands, to be copied.
    """
    width = _width(to_stderr=to_stderr)
    for line in escaped(text).split("\n"):
        for part in _wrapped(line, width, hang, whole=whole):
            click.echo(part, err=to_stderr)


def put(text: str) -> None:
    """Print text that is for a program or a file as much as for a person: never wrapped."""
    click.echo(escaped(text))


def _width(*, to_stderr: bool = False) -> int:
    """Return the columns of the terminal that is printed to; 0 if it is none, or does not tell."""
    try:
        return os.get_terminal_size((sys.stderr if to_stderr else sys.stdout).fileno()).columns
    except (OSError, ValueError):
        return 0


def _wrapped(line: str, width: int, hang: int | None, *, whole: bool) -> Iterator[str]:
    if not width or 2 * len(line) <= width:  # a character has two columns at most
        yield line
        return
    hang = len(line) - len(line.lstrip()) + 2 if hang is None else hang
    head, rest = line[:hang], line[hang:]
    for part in _whole_words(rest, width - hang) if whole else _folded(rest, width - hang):
        yield f"{head}{part}".rstrip()
        head = " " * hang


def _whole_words(text: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(text, max(width, 1), break_long_words=False, break_on_hyphens=False)


def _folded(text: str, width: int) -> list[str]:
    """Break between words, and within those that are too long; counts columns, not characters."""
    from rich.console import Console
    from rich.text import Text

    return [part.plain for part in Text(text).wrap(Console(), max(width, 2), overflow="fold")]


class _Lost:
    """Whether a complaint could not be written."""

    complaint = False


def complain(message: str, hint: str = "") -> None:
    """Print what went wrong and what to do next, each on a line of its own whatever is in it.

    It never fails: a full disk has the standard error on it too, if cron's line sends that to a file.
    """
    try:
        say(_one_line(f"km-cli: {message}"), to_stderr=True, hang=8, whole=True)
        if hint:
            say(_one_line(f"  next: {hint}"), to_stderr=True, hang=8, whole=True)
    except (OSError, ValueError):
        _Lost.complaint = True


def begin_complaints() -> None:
    """Begin a command: no complaint of it is lost yet."""
    _Lost.complaint = False


def mention(message: str, hint: str = "") -> None:
    """Complain of what must never change how a run ends: whether it is read makes no difference to that."""
    lost = _Lost.complaint
    complain(message, hint)
    _Lost.complaint = lost


def is_complaint_lost() -> bool:
    """Tell whether a complaint could not be written, so that the exit code alone can tell of it."""
    return _Lost.complaint


def _one_line(text: str) -> str:
    return text.rstrip("\n").replace("\n", "\\n")


def counted(number: int, what: str) -> str:
    """Return `1 row`, `2 rows`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def short(text: str, width: int) -> str:
    """Return text cut to so many characters, for showing only."""
    text = text.replace("\n", "\\n")
    return text if len(text) <= width else text[: width - 1] + "…"


def table(rows: list[tuple[str, str, str]]) -> None:
    """Print rows of a label, a number and an explanation, aligned.

    In a window too narrow for a third column the explanations stand below.
    """
    labels = max(len(label) for label, _, _ in rows)
    numbers = max(len(number) for _, number, _ in rows)
    hang = labels + numbers + 4
    is_narrow = 0 < _width() < hang + _NARROWEST
    for label, number, more in rows:
        line = f"{label:<{labels}}  {number:>{numbers}}"
        if is_narrow and more:
            say(line)
            say(f"    {more}", hang=4)
        else:
            say(f"{line}  {more}".rstrip(), hang=hang)
