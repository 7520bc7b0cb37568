"""How things look on a terminal. Whatever comes from a file is shown escaped, never interpreted."""

from __future__ import annotations

import click

_CONTROLS = {code: f"\\x{code:02x}" for code in [*range(0x20), *range(0x7F, 0xA0)] if code != 0x0A}
_CONTROLS.update(
    {
        code: f"\\u{code:04x}"
        for code in [*range(0x200B, 0x2010), *range(0x2028, 0x202F), 0x2066, 0x2067, 0x2068, 0x2069, 0xFEFF]
    }
)


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
