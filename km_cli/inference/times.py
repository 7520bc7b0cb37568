"""Finds how the times of a column are written.

It takes all values of the column, since a single value may fit several forms.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from km_cli.inference.findings import TimesFound
from km_cli.mapping import AmbiguousTime, BadTime, EitherOrder, TimeOptions, Times

KINDS = {
    "seconds": "seconds since 1970",
    "milliseconds": "milliseconds since 1970",
    "microseconds": "microseconds since 1970",
    "nanoseconds": "nanoseconds since 1970",
    "iso": "ISO 8601 with an offset",
    "mail": "RFC 2822 with an offset",
    "local-iso": "ISO 8601 without an offset",
    "local-mail": "RFC 2822 without an offset",
}
_UNITS = ("seconds", "milliseconds", "microseconds", "nanoseconds")

_DATE = re.compile(r"(\d{1,4})([/.-])\d{1,2}\2(\d{1,4})(?!\d)")
_LOG_TIME = re.compile(r"\d\d?/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}", re.ASCII)
_LOG_FORM = "%d/%b/%Y:%H:%M:%S %z"
"""The form of times in the logs of web servers (Apache's and nginx's `time_local`)."""

_DIGITS = re.compile(r"(19|20)\d{6}(\d{6})?", re.ASCII)
_CLOCKS = (
    "", "{}%H:%M", "{}%H:%M:%S", "{}%H:%M:%S.%f", "{}%I:%M %p", "{}%I:%M:%S %p", "{}%I:%M%p",
)  # fmt: skip
_BETWEEN = (" ", ", ", "T")
_OFFSETS = ("", "%z", " %z")
_MOST_TRIES = 20


class TimeForms:
    """Finds the forms of times, one after the other. `now` is in seconds since 1970."""

    def __init__(self, now: float) -> None:
        self._plain = Times(TimeOptions(), now)
        self._local = Times(TimeOptions("UTC"), now)
        self._kinds: Counter[str] = Counter()
        self._forms: tuple[str, ...] = ()
        self._tries = 0
        self._example = ""

    def see(self, text: str) -> bool:
        """Take a text into account; tell whether it is a time."""
        kind = self._kind(text)
        self._kinds[kind] += 1
        if not kind:
            self._example = self._example or text
        return bool(kind)

    def clock(self) -> TimesFound:
        """Return how the times seen so far are written."""
        kinds = Counter({kind: count for kind, count in self._kinds.items() if kind})
        forms, strange = self._forms, self._kinds[""]
        if not kinds:
            return TimesFound("", strange, strange=strange, example=self._example)
        if kinds["form"]:
            local = kinds["form"] if not any("%z" in form for form in forms) else 0
            strange += kinds.total() - kinds["form"]
            form = f"{' or '.join(forms)}, which needs time_format"
        else:
            local = sum(count for kind, count in kinds.items() if kind.startswith("local"))
            form = " and ".join(KINDS[kind] for kind, _ in kinds.most_common())
        units = tuple(unit for unit in _UNITS if kinds[unit])
        return TimesFound(form, self._kinds.total(), forms, local, strange, self._example, units)

    def _kind(self, text: str) -> str:
        """Return the kind of a time: a key of KINDS, `form` for an unusual one, "" for no time."""
        self._plain.unit = ""
        if EitherOrder.parse(text):  # another value may be in the other order, so the column needs a form
            return "form" if self._fits(text) else ""
        try:
            self._plain.parse(text)
        except AmbiguousTime:
            return self._unclear(text)
        except BadTime:
            is_odd = _DIGITS.fullmatch(text) or _LOG_TIME.fullmatch(text)
            return "form" if is_odd and self._fits(text) else ""
        return self._plain.unit or _written(text)

    def _unclear(self, text: str) -> str:
        """Return the kind of a time that needs a zone, or a form."""
        try:
            self._local.parse(text)
        except AmbiguousTime:
            return "form" if self._fits(text) else ""
        except BadTime:
            return ""
        return f"local-{_written(text)}"

    def _fits(self, text: str) -> bool:
        """Tell whether a text has an unusual form.

        Of several possible forms, those that do not fit are dropped.
        """
        if fit := tuple(form for form in self._forms if _is_of(form, text)):
            self._forms = fit
        elif not self._forms and self._tries < _MOST_TRIES:
            self._tries += 1
            fit = self._forms = tuple(form for form in _forms(text) if _is_of(form, text))
        return bool(fit)


def _written(text: str) -> str:
    return "iso" if text[:4].isdigit() else "mail"


def _forms(text: str) -> Iterator[str]:
    """Yield the forms that a text may have, by its digits."""
    if _DIGITS.fullmatch(text):
        yield "%Y%m%d" if len(text) == 8 else "%Y%m%d%H%M%S"
    elif _LOG_TIME.fullmatch(text):
        yield _LOG_FORM
    elif date := _DATE.match(text):
        first, apart, last = date.groups()
        year = "%Y" if len(last) == 4 else "%y"
        dates = (
            (f"%Y{apart}%m{apart}%d", f"%Y{apart}%d{apart}%m")
            if len(first) == 4
            else (f"%d{apart}%m{apart}{year}", f"%m{apart}%d{apart}{year}")
        )
        clocks = {clock.format(between) for clock in _CLOCKS for between in _BETWEEN}
        yield from (day + clock + offset for day in dates for clock in sorted(clocks) for offset in _OFFSETS)


def _is_of(form: str, text: str) -> bool:
    try:
        datetime.strptime(text, form)
    except ValueError:
        return False
    return True
