"""Printing to a terminal. Text is escaped, so that a log cannot control the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

import click

INVISIBLE = (
    *range(0x20), *range(0x7F, 0xA0), 0xAD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5,
    *range(0x180B, 0x180F), *range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0x3164,
    *range(0xFE00, 0xFE10), 0xFEFF, 0xFFA0, *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080),
)  # fmt: skip
"""The code points of control characters, and of others that have no width or turn the direction of text."""

_CONTROLS = {
    code: f"\\u{code:04x}" if code > 0xFF else f"\\x{code:02x}" for code in INVISIBLE if code != 0x0A
}

_NARROWEST = 24
"""Columns; an explanation in fewer is hard to read."""


_SHORTEST_KEY = 8
"""Characters. A shorter key, as in trials, would be a part of other words."""


class _Hidden:
    """The API keys of this command, longest first. No output has them, whichever file they stand in."""

    keys: tuple[str, ...] = ()


def hide(keys: Iterable[str]) -> None:
    """Add keys to those that are never printed."""
    long = {key for key in keys if len(key) >= _SHORTEST_KEY}
    _Hidden.keys = tuple(sorted(long.union(_Hidden.keys), key=len, reverse=True))


def escaped(text: str) -> str:
    """Return text without control and invisible characters, except for line breaks, and without API keys."""
    for key in _Hidden.keys:
        text = text.replace(key, "[API key]")
    return text.translate(_CONTROLS).encode(errors="backslashreplace").decode()


def say(
    text: str = "",
    *,
    to_stderr: bool = False,
    hang: int | None = None,
    whole: bool = False,
    paint: Callable[[str], str] = str,
) -> None:
    """Print lines; on a terminal, wrapped at its width.

    A wrapped line continues in column `hang`, by default two columns deeper than it begins. `whole` does not
    break words, so that paths and commands can be copied. `paint` adds colour to a line that is printed.
    """
    width = width_of(to_stderr=to_stderr)
    for line in escaped(text).split("\n"):
        for part in _wrapped(line, width, hang, whole=whole):
            click.echo(paint(part), err=to_stderr)


def say_entry(head: str, text: str, *, coloured: int, colour: str, to_stderr: bool = False) -> None:
    """Print text beside its head; if the window is too narrow for that, on lines below it.

    The first `coloured` characters of the head get the colour, if it is not "" and the stream has colours.
    """
    width, hang = width_of(to_stderr=to_stderr), len(head) + 2
    if 0 < width < hang + _NARROWEST:
        first, *others = head, *_wrapped(escaped(f"      {text}"), width, 6, whole=False)
    else:
        first, *others = _wrapped(escaped(f"{head}  {text}"), width, hang, whole=False)
    if colour and has_colours(to_stderr=to_stderr):
        first = click.style(first[:coloured], fg=colour) + first[coloured:]
    for part in (first, *others):
        click.echo(part, err=to_stderr)


def put(text: str) -> None:
    """Print text that a program may read as well: it is never wrapped."""
    click.echo(escaped(text))


def width_of(*, to_stderr: bool = False) -> int:
    """Return the width of the terminal; 0 if the stream is no terminal, or its width is unknown."""
    try:
        return os.get_terminal_size((sys.stderr if to_stderr else sys.stdout).fileno()).columns
    except (OSError, ValueError):
        return 0


def height_of() -> int:
    """Return how many lines the window of standard output has; 24 if that is unknown."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).lines or 24
    except (OSError, ValueError):
        return 24


def wrapped(line: str) -> Iterator[str]:
    """Yield a line in the parts that standard output has room for, escaped."""
    yield from _wrapped(escaped(line), width_of(), None, whole=False)


def _wrapped(line: str, width: int, hang: int | None, *, whole: bool) -> Iterator[str]:
    if not width or 2 * len(line) <= width:  # A character has two columns at most.
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
    """Break lines between words, and inside words that are too long. Columns count, not characters."""
    from rich.console import Console
    from rich.text import Text

    return [part.plain for part in Text(text).wrap(Console(), max(width, 2), overflow="fold")]


class _Lost:
    """Whether a complaint of this command could not be written."""

    complaint = False


def has_colours(*, to_stderr: bool = False) -> bool:
    """Tell whether a stream is a terminal that shows colours, and NO_COLOR is empty (no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") in ("dumb", "unknown")
    try:
        return not plain and (sys.stderr if to_stderr else sys.stdout).isatty()
    except ValueError:
        return False


def painted(text: str, first: str, colour: str) -> str:
    """Return a line for standard error, whose first words are `first`, with these in colour if it has any."""
    if not text.startswith(first) or not has_colours(to_stderr=True):
        return text
    return click.style(first, fg=colour, bold=True) + text[len(first) :]


_PROBLEM = "km-cli:"
_NEXT = "  next:"


def complain(message: str, hint: str = "", excerpt: Sequence[str] = ()) -> None:
    """Print a problem and the next step, each on one line even if it contains line breaks.

    Lines of an `excerpt` of the input stand between them. This never raises. Standard error may be a file on
    the very disk that is full; the exit code then has to show that a complaint was lost.
    """
    try:
        _complain_in_one_line(f"{_PROBLEM} {message}", _PROBLEM, "red")
        for at, line in enumerate(excerpt):
            if at:
                click.echo(line, err=True)
            else:  # the place; the record below it is cut to the width already
                say(line, to_stderr=True, hang=8, whole=True)
        if hint:
            _complain_in_one_line(f"{_NEXT} {hint}", _NEXT, "cyan")
    except (OSError, ValueError):
        _Lost.complaint = True


def _complain_in_one_line(text: str, first: str, colour: str) -> None:
    say(
        _one_line(text),
        to_stderr=True,
        hang=8,
        whole=True,
        paint=lambda line: painted(line, first, colour),
    )


def begin_complaints() -> None:
    """Begin a command: forget the keys and the lost complaints of an earlier command in this process."""
    _Lost.complaint, _Hidden.keys = False, ()


def mention(message: str, hint: str = "") -> None:
    """Complain about a problem that must not affect the exit code, not even if the complaint is lost."""
    lost = _Lost.complaint
    complain(message, hint)
    _Lost.complaint = lost


def is_complaint_lost() -> bool:
    """Tell whether a complaint could not be written."""
    return _Lost.complaint


def _one_line(text: str) -> str:
    return text.rstrip("\n").replace("\n", "\\n")


def counted(number: int, noun: str) -> str:
    """Return `1 row`, `2 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def short(text: str, width: int) -> str:
    """Return text on one line, cut to so many characters."""
    text = text.replace("\n", "\\n")
    return text if len(text) <= width else text[: width - 1] + "…"


def table(rows: list[tuple[str, str, str]], *, to_stderr: bool = False) -> None:
    """Print rows of a label, a number and an explanation, aligned.

    If the window is too narrow for three columns, each explanation is on a line below.
    """
    labels = max(len(label) for label, _, _ in rows)
    numbers = max(len(number) for _, number, _ in rows)
    hang = labels + numbers + 4
    is_narrow = 0 < width_of(to_stderr=to_stderr) < hang + _NARROWEST
    for label, number, more in rows:
        line = f"{label:<{labels}}  {number:>{numbers}}"
        if is_narrow and more:
            say(line, to_stderr=to_stderr)
            say(f"    {more}", hang=4, to_stderr=to_stderr)
        else:
            say(f"{line}  {more}".rstrip(), hang=hang, to_stderr=to_stderr)
