"""The registry of input formats. Flags name the format of a file, else its ending does, else its bytes."""

from __future__ import annotations

import re

from km_cli.inputs.base import BOM, Format, FormatOptions
from km_cli.inputs.delimited import DELIMITED
from km_cli.inputs.jsonl import JSON_LINES

_FORMATS: list[Format] = [
    JSON_LINES,
    DELIMITED,
]
"""In the order in which they are asked whether they recognise an input. The last one recognises any input."""


def register(added: Format) -> None:
    """Add a format before all others. Registering the same object again does nothing."""
    if added not in _FORMATS:
        _FORMATS.insert(0, added)


def unregister(removed: Format) -> None:
    """Take a format out of the registry again, for tests that add one."""
    _FORMATS.remove(removed)


def registered() -> tuple[Format, ...]:
    """Return all formats, in the order in which they are asked."""
    return tuple(_FORMATS)


def format_words() -> tuple[str, ...]:
    """Return the words that `--format` takes."""
    return tuple(word for one in reversed(_FORMATS) for word in one.words)


def format_called(word: str) -> Format | None:
    """Return the format that has this word for `--format`."""
    return next((one for one in _FORMATS if word in one.words), None)


def format_with(delimiter: str) -> Format | None:
    """Return the format whose records are written with this delimiter (see `Format.delimiters`)."""
    return next((one for one in _FORMATS if delimiter in one.delimiters), None)


def holds_rejects(head: bytes) -> bool:
    """Tell whether an input that begins with these bytes is a rejects file, which km-cli wrote."""
    return _rejects_format(head) is not None


def may_be_saved_elsewhere(head: bytes) -> bool:
    """Tell whether a program of others may have saved this rejects file in an encoding of its own.

    A byte order mark says that it is in UTF-8, as km-cli wrote it.
    """
    found = _rejects_format(head)
    return found is not None and found.is_saved_elsewhere and not head.startswith(BOM)


def _rejects_format(head: bytes) -> Format | None:
    beginning = _beginning(head)
    return next((one for one in _FORMATS if one.holds_rejects and one.recognises(beginning)), None)


def recognise_format(options: FormatOptions, filename: str, head: bytes) -> tuple[Format, str]:
    """Return the format and the delimiter of a file that begins with `head`.

    A rejects file is recognised under any flags. `filename` is "" for an input without a name.
    """
    if (one := _rejects_format(head)) is not None:
        return one, one.delimiter_of("", "", head)
    beginning = _beginning(head)
    ending = _last_ending(filename)
    chosen = _named(options.format) or format_called(ending) or _by_content(options, beginning)
    return chosen, chosen.delimiter_of(options.delimiter, chosen.words.get(ending, ""), head)


def _beginning(head: bytes) -> bytes:
    return head.removeprefix(BOM).lstrip()


def _last_ending(filename: str) -> str:
    """Return the last known ending in a name: `log.csv.2` was rotated, `export.csv.jsonl` was converted."""
    words = "|".join(map(re.escape, format_words()))
    found: list[str] = re.findall(rf"\.({words})(?![a-z0-9])", filename, re.IGNORECASE)
    return found[-1].lower() if found else ""


def _named(name: str) -> Format | None:
    return next((one for one in _FORMATS if one.name == name), None) if name else None


def _by_content(options: FormatOptions, beginning: bytes) -> Format:
    """Return the first format that recognises the bytes; with `--delimiter` only tabular ones are asked."""
    asked = [one for one in _FORMATS if one.is_tabular or not options.delimiter]
    return next((one for one in asked if one.recognises(beginning)), DELIMITED)
