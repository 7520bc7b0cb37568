"""How things look on a terminal. Whatever comes from a file is shown escaped, never interpreted."""

from __future__ import annotations

import click

_INVISIBLE = (
    *range(0x20), *range(0x7F, 0xA0), 0xAD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5,
    *range(0x180B, 0x180F), *range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0x3164,
    *range(0xFE00, 0xFE10), 0xFEFF, 0xFFA0, *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080),
)  # fmt: skip
_CONTROLS = {
    code: f"\\u{code:04x}" if code > 0xFF else f"\\x{code:02x}" for code in _INVISIBLE if code != 0x0A
}


def escaped(text: str) -> str:
    """Return text that does nothing to a terminal; line breaks are kept."""
    return text.translate(_CONTROLS).encode(errors="backslashreplace").decode()


def say(text: str = "", *, to_stderr: bool = False) -> None:
    """Print a line."""
    click.echo(escaped(text), err=to_stderr)


def complain(message: str, hint: str = "") -> None:
    """Print what went wrong and what to do next, each on a line of its own whatever is in it."""
    say(_one_line(f"km-cli: {message}"), to_stderr=True)
    if hint:
        say(_one_line(f"  next: {hint}"), to_stderr=True)


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
    """Print rows of a label, a number and an explanation, aligned."""
    labels = max(len(label) for label, _, _ in rows)
    numbers = max(len(number) for _, number, _ in rows)
    for label, number, more in rows:
        say(f"{label:<{labels}}  {number:>{numbers}}  {more}".rstrip())
