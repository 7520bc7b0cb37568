"""How a file is written: as the flags say, else as its name and its content do."""

from __future__ import annotations

import re
from typing import NamedTuple

from km_cli.errors import UsageError, did_you_mean
from km_cli.inputs.base import BOM
from km_cli.inputs.delimited import DELIMITERS
from km_cli.inputs.encoding import encoding_named
from km_cli.rejects.form import is_reject

FORMATS = {"csv": "delimited", "tsv": "delimited", "jsonl": "jsonl", "ndjson": "jsonl"}
"""What `--format` and the endings of names say, and the format that it is."""

_ENDING = re.compile(rf"\.({'|'.join(FORMATS)})(?![a-z0-9])", re.IGNORECASE)


class FormatOptions(NamedTuple):
    """What the flags say of a file; "" where it is to be recognised.

    `format` is one of FORMATS' values, `encoding` is Python's name of it, "" for UTF-8.
    """

    format: str = ""
    encoding: str = ""
    delimiter: str = ""


def make_format_options(form: str, encoding: str, delimiter: str) -> FormatOptions:
    """Return what these words mean together; "" for what was not said.

    Raises UsageError for words that are not known, or contradict each other.
    """
    character = _delimiter_named(delimiter) if delimiter else ""
    if character and FORMATS.get(form) == "jsonl":
        raise UsageError(f"--format {form} has no --delimiter", "leave one of them out")
    if form == "tsv" and character not in ("", "\t"):
        raise UsageError(
            f"--format tsv and --delimiter {delimiter} contradict each other", "leave one of them out"
        )
    if form == "tsv":
        character = "\t"
    return FormatOptions(FORMATS.get(form, ""), encoding_named(encoding) if encoding else "", character)


def _delimiter_named(word: str) -> str:
    by_word = {name: character for character, name in DELIMITERS.items()} | {"\\t": "\t"}
    character = by_word.get(word.lower(), word)
    if character not in DELIMITERS:
        names = ", ".join(DELIMITERS.values())
        raise UsageError(
            f"--delimiter {word!r} is none that is understood",
            did_you_mean(word, by_word, f"give one of {names}, or the character itself"),
        )
    return character


def recognise(format_options: FormatOptions, filename: str, head: bytes) -> tuple[str, str]:
    """Return format and delimiter ("" for none) of a file that begins with `head`.

    What km-cli itself wrote is known whatever the flags say. `filename` is "" if it has none.
    """
    beginning = head.removeprefix(BOM).lstrip()
    if is_reject(beginning.partition(b"\n")[0]):
        return "rejects", ""
    # The last known ending: `export.csv.jsonl` was turned into JSON lines, `log.csv.2` was rotated.
    ending = (_ENDING.findall(filename) or [""])[-1].lower()
    form = format_options.format or FORMATS.get(ending, "")
    if not form:
        is_json = beginning[:1] in (b"{", b"[") and not format_options.delimiter
        form = "jsonl" if is_json else "delimited"
    if form != "delimited":
        return form, ""
    return form, format_options.delimiter or _delimiter(head, "\t" if ending == "tsv" else "")


def _delimiter(head: bytes, likely: str) -> str:
    """Return what occurs most often in the first line, outside of quotation marks; `likely` if it does."""
    first = next((line for line in head.splitlines() if not line.isspace()), b"")
    bare = "".join(first.decode(errors="replace").split('"')[::2])
    return likely if likely and likely in bare else max(DELIMITERS, key=bare.count)
