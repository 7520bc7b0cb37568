"""Finds the objects of a pattern: by keys alone, since an object store has no folders.

A key is taken apart at its slashes, and the parts are matched as the names of folders and files are. Keys are
listed from the longest prefix that the pattern leaves no choice about. Partitions by date whose period is not
asked for are not listed at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from km_cli.inputs.partitions import Date, Step, check_directives, is_data, is_wanted, make_step
from km_cli.inputs.storage.base import Window

_SPECIAL = re.compile(r"[*?\[%]")

Listing = Callable[[str, str], Iterator[str]]
"""Yields the keys that begin with a prefix. With a delimiter, keys are cut behind it, and yielded once."""


def steps_of(pattern: str) -> tuple[Step, ...]:
    """Return the steps of a pattern of keys, with dates. Unlike a path, a key may have empty parts.

    Raises UsageError for directives that are not known.
    """
    check_directives(pattern)
    parts = pattern.split("/")
    texts = [text for at, text in enumerate(parts) if text != "**" or not at or parts[at - 1] != "**"]
    if texts[-1] == "**":
        texts.append("*")
    return tuple(map(make_step, texts))


def as_pattern(glob: str) -> str:
    """Return a glob as a pattern with dates: a percent sign stands for itself."""
    return glob.replace("%", "%%")


class Keys(NamedTuple):
    """The keys of a pattern, and the prefixes and keys whose period is not asked for."""

    found: set[str]
    outside: set[str]


class Search:
    """Searches the keys of one pattern. `has_folders` if a prefix stands for all data below it."""

    def __init__(self, listing: Listing, window: Window, *, has_folders: bool) -> None:
        self._list = listing
        self._window = window
        self._has_folders = has_folders
        self._is_bounded = window.since is not None or window.until is not None
        self.keys = Keys(set(), set())

    def run(self, pattern: str) -> Keys:
        """Return the keys of a pattern; a key that is the pattern itself is taken as it is."""
        self._along("", steps_of(pattern), {}, pattern)
        return self.keys

    def _along(self, prefix: str, steps: Sequence[Step], date: Date, whole: str) -> None:
        step, rest = steps[0], steps[1:]
        dated = [at for at, one in enumerate(steps) if one.is_dated]
        deep = next((at for at, one in enumerate(steps) if one.is_deep), len(steps))
        if not self._is_bounded or not rest or not dated or dated[0] == len(steps) - 1 or deep < dated[0]:
            self._below(prefix, steps, date, whole)
        elif step.name is None:
            self._along(f"{prefix}{step.text}/", rest, date, whole)
        else:
            for found in self._list(prefix + _beginning(step), "/"):
                if not found.endswith("/"):
                    continue
                read = step.match(found[len(prefix) : -1], date)
                if read is not None and self._is_in_time(found, step, read):
                    self._along(found, rest, read, whole)

    def _below(self, prefix: str, steps: Sequence[Step], date: Date, whole: str) -> None:
        """Take the keys below a prefix that the steps match."""
        for key in self._list(prefix + _literal(steps), ""):
            if key.endswith("/"):
                continue  # It only marks a folder.
            if key == whole or self._matches(prefix, key[len(prefix) :].split("/"), steps, date):
                self.keys.found.add(key)

    def _matches(self, prefix: str, parts: Sequence[str], steps: Sequence[Step], date: Date) -> bool:
        step, rest = steps[0], steps[1:]
        if step.is_deep:
            return self._matches_deep(prefix, parts, steps, date)
        if step.is_end and not rest:
            return self._has_folders and all(map(is_data, parts))
        if step.name is None:
            read: Date | None = date if parts[0] == step.text else None
        else:
            read = step.match(parts[0], date)
        if read is None or (rest and len(parts) == 1):
            return False
        here = prefix + parts[0]
        if not self._is_in_time(here, step, read):
            return False
        if rest:
            return self._matches(f"{here}/", parts[1:], rest, read)
        is_folder = len(parts) > 1
        may_be_folder = self._has_folders and (step.name is None or step.is_dated)
        return not is_folder or (may_be_folder and all(map(is_data, parts[1:])))

    def _matches_deep(self, prefix: str, parts: Sequence[str], steps: Sequence[Step], date: Date) -> bool:
        if self._matches(prefix, parts, steps[1:], date):
            return True
        is_shown = len(parts) > 1 and not parts[0].startswith(".")
        return is_shown and self._matches(f"{prefix}{parts[0]}/", parts[1:], steps, date)

    def _is_in_time(self, path: str, step: Step, date: Date) -> bool:
        if not step.is_dated:
            return True
        wanted = is_wanted(date, self._window)
        if wanted is False:
            self.keys.outside.add(path)
        return bool(wanted)


def _literal(steps: Sequence[Step]) -> str:
    """Return the text that every match of the steps begins with."""
    text = ""
    for step in steps[:-1]:
        if step.name is not None or step.is_deep:
            return text + _beginning(step)
        text += f"{step.text}/"
    return text + _beginning(steps[-1])


def _beginning(step: Step) -> str:
    """Return the text that every name of a step begins with."""
    if step.is_deep:
        return ""
    return step.text if step.name is None else _SPECIAL.split(step.text, maxsplit=1)[0]
