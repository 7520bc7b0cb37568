"""The flags for the format, the encoding and the delimiter of a file."""

from __future__ import annotations

from km_cli.errors import UsageError, did_you_mean
from km_cli.inputs.base import FormatOptions
from km_cli.inputs.delimited_header import DELIMITERS
from km_cli.inputs.encoding import encoding_named
from km_cli.inputs.formats import format_called


def make_format_options(word: str, encoding: str, delimiter: str) -> FormatOptions:
    """Return the options for the values of `--format`, `--encoding` and `--delimiter`; "" for one not given.

    Raises UsageError for values that are not known, or contradict each other.
    """
    asked = _delimiter_named(delimiter) if delimiter else ""
    chosen = format_called(word) if word else None
    if chosen is None:
        return FormatOptions("", encoding_named(encoding) if encoding else "", asked)
    if asked and not chosen.is_tabular:
        raise UsageError(f"--format {word} has no --delimiter", "leave one of them out")
    implied = chosen.words[word]
    if implied and asked not in ("", implied):
        raise UsageError(
            f"--format {word} and --delimiter {delimiter} contradict each other", "leave one of them out"
        )
    return FormatOptions(chosen.name, encoding_named(encoding) if encoding else "", implied or asked)


def _delimiter_named(word: str) -> str:
    by_word = {name: character for character, name in DELIMITERS.items()} | {"\\t": "\t"}
    character = by_word.get(word.lower(), word)
    if character not in DELIMITERS:
        names = ", ".join(DELIMITERS.values())
        raise UsageError(
            f"--delimiter {word!r} is not supported",
            did_you_mean(word, by_word, f"give one of {names}, or the character itself"),
        )
    return character
