"""Dates whose day and month may be in either order, and times that do not exist."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date

_EITHER_ORDER = re.compile(
    r"(?:(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d\d)|(\d{4})([/.])(\d{1,2})\6(\d{1,2}))(?:\b|(?=T\d))(.*)",
    re.DOTALL | re.ASCII,
)
_CLOCK_BEHIND = re.compile(
    r"(?:T|,? +)(\d{1,2})(?::(\d\d)(?::(\d\d)([.,]\d+)?)?)?(?: ?([AP])\.?M\.?)?"
    r"(?: ?(UTC|GMT|Z|[+-]\d\d:?\d\d))?",
    re.IGNORECASE | re.ASCII,
)
_CLOCK = re.compile(r"(?:\b|(?<=^T))\d{1,2}(:\d\d)?(:\d\d)?([.,]\d+)?(?:(\s*)([AP]M)\b)?", re.IGNORECASE)
_OFFSET = re.compile(r"[+-]\d\d:?\d\d$|(?<=%[MSf])Z$")

_ISO_DATE = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)(?:\D|\Z)", re.ASCII)
_MAIL_DATE = re.compile(r"\b(\d{1,2}) ([A-Z][a-z]{2})[a-z]* (\d{4})\b", re.ASCII)
_TIME_OF_DAY = re.compile(r"[T _](\d\d):?(\d\d)(?::?(\d\d))?", re.ASCII)
_LAST_OFFSET = re.compile(r":?\d\d(?:[.,]\d+)? ?([+-](\d\d):?\d\d)$", re.ASCII)
_MIDNIGHT = re.compile(r"[^\d:.,+-]24:?00(?::?00)?(?!\d)", re.ASCII)

_MONTHS = (
    "", "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
_ORDERS = ("day", "month")


class EitherOrder:
    """A date in whose text the day or the month may come first, with the text behind it."""

    def __init__(self, found: re.Match[str]) -> None:
        one, apart, two, last, first, apart_behind, three, four, self._rest = found.groups()
        self._is_year_first = bool(first)
        self._apart = apart or apart_behind
        self._year = first or last
        # (day, month) in the order `day`: for 13/04/2024 the day is 13, for 2024/04/13 it would be 4.
        self._parts = (int(three), int(four)) if first else (int(one), int(two))

    @classmethod
    def parse(cls, text: str) -> EitherOrder | None:
        """Return the date at the beginning of a text, None if it is written in another way."""
        found = _EITHER_ORDER.match(text)
        return cls(found) if found else None

    @property
    def is_short(self) -> bool:
        """Whether the year has two digits. Then any of the three numbers may be the year."""
        return len(self._year) == 2

    def readings(self) -> dict[str, date]:
        """Return the dates that exist, by the order: `day` first or `month` first."""
        day, month = self._parts
        found = {}
        for order, of_month, of_day in (("day", month, day), ("month", day, month)):
            try:
                found[order] = date(int(self._year), of_month, of_day)
            except ValueError:
                continue
        return found

    def why_none(self) -> str:
        """Return the reason why neither order of day and month is a date."""
        first, second = self._parts
        for month, day in ((second, first), (first, second)):
            if 1 <= month <= 12 and 28 < day <= 31:
                return _no_such_day(day, month, self._year)
        return "names a day that does not exist"

    def clock(self) -> str | None:
        """Return the time of day behind the date as ISO 8601; "" for none, None if it is not a time."""
        if not self._rest:
            return ""
        found = _CLOCK_BEHIND.fullmatch(self._rest)
        if found is None or not (found[2] or found[5]):
            return None
        hour, half = int(found[1]), (found[5] or "").upper()
        if half:
            if not 1 <= hour <= 12:
                return None
            hour = hour % 12 + 12 * (half == "P")
        zone = found[6] or ""
        offset = zone if zone[:1] in ("", "+", "-") else "+00:00"
        return f"T{hour:02}:{found[2] or '00'}:{found[3] or '00'}{found[4] or ''}{offset}"

    def flags(self, first: str = "") -> str:
        """Return the flag that says how to read the date: the forms that can read it.

        `first` is `day` or `month` if the order is known.
        """
        orders = self.readings()
        first = first or (next(iter(orders)) if len(orders) == 1 else "")
        clock = _OFFSET.sub("%z", _CLOCK.sub(_form_of_clock, self._rest.replace("%", "%%")))
        year, apart = "%y" if self.is_short else "%Y", self._apart
        if self._is_year_first:
            forms = {"month": f"%m{apart}%d", "day": f"%d{apart}%m"}
            likely = first or "month"
            whole = f"{year}{apart}{forms[likely]}"
        else:
            forms = {"day": f"%d{apart}%m", "month": f"%m{apart}%d"}
            likely = first or "day"
            whole = f"{forms[likely]}{apart}{year}"
        other = whole.replace(forms[likely], forms[_ORDERS[likely == "day"]])
        return f"--time-format '{whole}{clock}'" + ("" if first else f", or '{other}{clock}'")


def says_midnight_24(text: str) -> bool:
    """Tell whether a time names midnight as the hour 24 of the day before."""
    return _MIDNIGHT.search(text) is not None


def impossible(text: str) -> str:
    """Return the fault of a time whose day, hour or offset does not exist, "" if all of them exist."""
    offset = _LAST_OFFSET.search(text)
    if iso := _ISO_DATE.match(text):
        year, month, day = iso[1], int(iso[2]), int(iso[3])
    elif (mail := _MAIL_DATE.search(text)) and (month := _month_named(mail[2])):
        year, day = mail[3], int(mail[1])
    else:
        return ""
    if not 1 <= month <= 12:
        return f"names a month that does not exist: {month}"
    if not 1 <= day <= _days(year, month):
        return _no_such_day(day, month, year)
    if says_midnight_24(text):
        return "says 24:00: midnight is 00:00:00 of the next day"
    clock = _TIME_OF_DAY.search(text)
    if clock and (int(clock[1]) > 23 or int(clock[2]) > 59 or int(clock[3] or 0) > 60):
        return "names a time of day that does not exist"
    if offset and int(offset[2]) > 23:
        return f"has the offset {offset[1]}, which no zone has"
    return ""


def _month_named(name: str) -> int:
    return next((at for at, month in enumerate(_MONTHS) if month[:3] == name), 0)


def _days(year: str, month: int) -> int:
    return monthrange(int(year), month)[1] if int(year) else 31


def _no_such_day(day: int, month: int, year: str) -> str:
    return f"names a day that does not exist: {day} {_MONTHS[month]} {year}"


def _form_of_clock(found: re.Match[str]) -> str:
    """Return the form of a time of day. With AM or PM the hour is one of twelve."""
    minute, second, fraction, apart, half = found.groups(default="")
    if not (minute or half):
        return found[0]
    form = ("%I" if half else "%H") + (":%M" if minute else "") + (":%S" if second else "")
    return form + (f"{fraction[0]}%f" if fraction else "") + apart + ("%p" if half else "")
