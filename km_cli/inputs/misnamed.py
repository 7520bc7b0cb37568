"""Errors about names that are no file: each proposes the names that may be meant."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from km_cli.errors import MISSPELT, UsageError, nearest
from km_cli.inputs.formats import format_words
from km_cli.inputs.messages import path_text, shell_word

_MOST_BESIDE = 10_000
"""Names in a folder that are looked at."""

_MOST_PROPOSED = 3

_STORE = re.compile(r"(gs|gcs|az|abfss?|https?)://")
"""Addresses that other tools read."""


def absent(path: Path, name: str) -> UsageError:
    """Return the error about a file that does not exist."""
    if path.is_symlink():
        return UsageError(
            f"{name} is a link to {path_text(os.path.realpath(path))}, which does not exist",
            "repair the link, or name the file itself",
        )
    if store := _STORE.match(name):
        return UsageError(
            f"{name}: km-cli reads files, and objects of s3://, not of {store[0]}",
            "copy it to this machine first, or pipe it into km-cli import -",
        )
    return UsageError(f"{name}: there is no such file", _near(path))


def _near(path: Path) -> str:
    """Return a hint: which file in the same folder may be meant."""
    if not path.parent.is_dir():
        return f"check the path: the folder {path_text(path.parent)} does not exist"
    try:
        with os.scandir(path.parent) as entries:
            beside = [entry.name for entry in islice(entries, _MOST_BESIDE)]
    except OSError:
        beside = []
    # The endings do not count: a.csv is not b.csv, misspelt.
    stem = nearest(_stem(path.name), filter(None, map(_stem, beside)), MISSPELT)
    near = nearest(path.name, [name for name in beside if stem and _stem(name) == stem], 0)
    return f"did you mean {path_text(path.with_name(near))}?" if near else "check the path"


def _stem(name: str) -> str:
    return name.partition(".")[0]


def folder_named(folder: Path, name: str) -> UsageError:
    """Return the error about a folder that is named as if it were a file. Its hint names the files in it."""
    message = f"{name} is a folder"
    try:
        with os.scandir(folder) as entries:
            beside = list(islice(entries, _MOST_BESIDE))
            files = sorted(one.name for one in beside if one.name[0] != "." and one.is_file())
    except OSError as error:
        return UsageError(message, f"check its permissions: it cannot be read: {error.strerror}")
    if not files:
        return UsageError(message, "name a file: there is none in this folder itself")
    return UsageError(message, f"name the files in it: {_proposed(folder, files)}")


def _proposed(folder: Path, files: list[str]) -> str:
    """Return the patterns of the logs among the files, or the first files if none looks like a log."""
    by_word: dict[str, list[str]] = {}
    for file in files:
        if found := _LOG.search(file):
            by_word.setdefault(found[1], []).append(file)
    proposed = [_pattern(word, names) for word, names in by_word.items()] or files
    more = len(proposed) - _MOST_PROPOSED
    words = " ".join(_words(folder, proposed[:_MOST_PROPOSED]))
    return words + (f" and {more:,} more" if more > 0 else "")


_LOG = re.compile(rf"\.({'|'.join(map(re.escape, format_words()))})(?![a-z0-9])", re.IGNORECASE)
"""The ending that shows the format, anywhere in the name: app.jsonl.1 was rotated, app.csv.gz is packed."""


def _pattern(word: str, names: list[str]) -> str:
    """Return a pattern for the files with this ending, or the name if there is only one."""
    if len(names) == 1:
        return names[0]
    tails = {name[name.rindex(f".{word}") :] for name in names}
    return f"*{tails.pop()}" if len(tails) == 1 else f"*.{word}*"


def _words(folder: Path, names: Iterable[str]) -> Iterable[str]:
    """Yield the names as words of a shell command. The stars of a pattern are left to the shell."""
    for name in names:
        star, rest = ("*", name[1:]) if name.startswith("*") else ("", name)
        end = "*" if star and rest.endswith("*") else ""
        before = shell_word(path_text(folder))
        yield f"{before}/{star}{shell_word(path_text(rest.removesuffix(end)))}{end}"
