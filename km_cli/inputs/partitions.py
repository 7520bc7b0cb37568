"""Patterns with dates, as `logs/%Y/%m/%d/*.jsonl`: their steps, and the period of a path."""

from __future__ import annotations

import fnmatch
import glob
import re
from calendar import monthrange
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from km_cli.errors import UsageError
from km_cli.inputs.storage.base import Window

_DAY = 86_400 * 10**9
"""Nanoseconds. A partition may be off by that much: by another time zone, or by the time of arrival."""

_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".swp", "~")

KNOWN = {
    "Y": r"(?!0000)[0-9]{4}",
    "m": r"0[1-9]|1[0-2]",
    "d": r"0[1-9]|[12][0-9]|3[01]",
    "H": r"[01][0-9]|2[0-3]",
}
"""Directives, each with a regular expression for its digits. Each of them needs all those before it."""

_DIRECTIVE = re.compile(r"(?P<set>\[!?\]?[^\]/]*\])|%(?P<directive>.?)", re.DOTALL)
_MARK = "\0"
"""Marks a directive while a pattern is turned into a regular expression. No path has this character."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)

Date = Mapping[str, str]
"""The digits in a path for each directive: `{"Y": "2024", "m": "01"}`."""


class Period(NamedTuple):
    """From `begin` on and before `end`, in nanoseconds since 1970."""

    begin: int
    end: int


class Step(NamedTuple):
    """A part of a pattern, between two slashes.

    `name` matches its names, None if it has no special characters.
    """

    text: str
    name: re.Pattern[str] | None = None
    is_dated: bool = False

    @property
    def is_end(self) -> bool:
        """Whether the pattern ends in a slash before this step: then it means all files in the folder."""
        return not self.text

    @property
    def is_deep(self) -> bool:
        """Whether this is `**`."""
        return self.text == "**"

    def match(self, name: str, date: Date) -> Date | None:
        """Return the date so far with that of a name, None if the name does not match or has another date."""
        assert self.name is not None
        if name.startswith(".") and not self.text.startswith("."):
            return None
        found = self.name.match(name)
        if found is None:
            return None
        if not self.is_dated:
            return date
        read = found.groupdict()
        return {**date, **read} if all(date.get(key, read[key]) == read[key] for key in read) else None


def parse_pattern(pattern: str) -> tuple[str, tuple[Step, ...]]:
    """Return the folder in which a pattern begins ("" is the current one) and its steps, at least one.

    Raises UsageError for unknown directives, and for one without those before it.
    """
    check_directives(pattern)
    *parts, last = pattern.split("/")
    texts = [*(part for part in parts if part), last]
    texts = [text for before, text in pairwise(["", *texts]) if text != "**" or before != "**"]
    if last == "**":
        texts.append("*")
    return "/" if pattern.startswith("/") else "", tuple(map(make_step, texts))


def as_glob(pattern: str) -> str:
    """Return a pattern with `*` for every directive."""
    return _DIRECTIVE.sub(lambda token: _written(token, "*"), pattern)


def period_of(date: Date, zone: ZoneInfo) -> Period | None:
    """Return the year, month, day or hour of a date; None if its year is not known yet.

    Raises ValueError if there is no such day.
    """
    known = [int(date[key]) for key in _first(date)]
    if not known:
        return None
    year, month, day, hour = (*known, *(1, 1, 0)[len(known) - 1 :])
    begin = datetime(year, month, day, hour)
    # In a doubled hour, the period begins with the first and ends with the second one.
    last = _last(begin, len(known)).replace(tzinfo=zone, fold=1)
    return Period(_nanoseconds(begin.replace(tzinfo=zone)), _nanoseconds(last) + 1000)


def is_wanted(date: Date, window: Window) -> bool | None:
    """Tell whether the period of a date is asked for; None if there is no such date."""
    try:
        period = period_of(date, window.zone)
    except ValueError:
        return None
    if period is None:
        return True
    is_over = window.since is not None and period.end < window.since - _DAY
    return not is_over and (window.until is None or period.begin <= window.until + _DAY)


def is_data(name: str) -> bool:
    """Tell whether a file in a folder is data: not hidden, not unfinished, not a marker such as _SUCCESS."""
    return not name.startswith((".", "_")) and not name.lower().endswith(_UNFINISHED)


def _last(begin: datetime, known: int) -> datetime:
    """Return the last moment of a year, month, day or hour."""
    month = 12 if known < 2 else begin.month
    day = monthrange(begin.year, month)[1] if known < 3 else begin.day
    hour = 23 if known < 4 else begin.hour
    return datetime(begin.year, month, day, hour, 59, 59, 999_999)


def _nanoseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _TICK * 1000


def _first(directives: Mapping[str, str] | set[str]) -> Iterator[str]:
    """Yield the directives from the year on, up to the first that is missing."""
    for key in KNOWN:
        if key not in directives:
            return
        yield key


def check_directives(pattern: str) -> None:
    """Raise UsageError for a directive that is not known, and for one without those before it."""
    used = {token["directive"] for token in _DIRECTIVE.finditer(pattern) if token["directive"] is not None}
    for directive in sorted(used - {*KNOWN, "%"}):
        raise UsageError(
            f"{pattern!r}: %{directive.strip('/')} is not a directive",
            "there are %Y (year, as 2024), %m (month), %d (day), %H (hour), and %% for a % itself",
        )
    dated = used - {"%"}
    lost = dated - set(_first(dated))
    if lost:
        absent = next(key for key in KNOWN if key not in dated)
        raise UsageError(
            f"{pattern!r}: %{min(lost, key=list(KNOWN).index)} is not a date without %{absent}",
            "write the whole date, as logs/%Y/%m/%d/*.jsonl, or * for the parts that do not matter",
        )


def make_step(text: str) -> Step:
    """Return the step for one part of a pattern."""
    marked = _DIRECTIVE.sub(lambda token: _written(token, _MARK + (token["directive"] or "")), text)
    is_dated = _MARK in marked
    if text == "**" or (not is_dated and glob.escape(marked) == marked):
        return Step(marked)
    regex = fnmatch.translate(marked)
    return Step(text, re.compile(_digits(regex) if is_dated else regex), is_dated)


def _written(token: re.Match[str], instead: str) -> str:
    """Return the text that replaces a directive. A set `[...]` is kept, even if it has a `%`."""
    if token["set"]:
        return token["set"]
    return "%" if token["directive"] == "%" else instead


def _digits(regex: str) -> str:
    """Replace marked directives by groups of digits; a directive has the same digits wherever it occurs."""
    seen: set[str] = set()

    def digits(mark: re.Match[str]) -> str:
        key = mark[1]
        if key in seen:
            return f"(?P={key})"
        seen.add(key)
        return f"(?P<{key}>{KNOWN[key]})"

    # An atomic group would not try the second place where a date may be.
    return re.sub(f"{_MARK}(.)", digits, regex.replace("(?>", "(?:"))
