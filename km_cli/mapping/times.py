"""Text → moment, in nanoseconds since 1970. Times are exact, and km-cli never guesses one."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Context, Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from km_cli.mapping.dates import EitherOrder, impossible, says_midnight_24
from km_cli.model import NANOSECONDS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)
_FIRST = int(datetime(2009, 1, 1, tzinfo=UTC).timestamp()) * NANOSECONDS
_DAY = 86_400 * NANOSECONDS
_SECONDS = re.compile(r"[1-9]\d{9}", re.ASCII)
"""Seconds since 1970, from 2001 to 2286."""


class _Unit(NamedTuple):
    """A unit of time since 1970, recognised by the magnitude of numbers in it."""

    below: int
    name: str
    nanoseconds: int


_UNITS = (
    _Unit(10**11, "seconds", NANOSECONDS),
    _Unit(10**14, "milliseconds", 10**6),
    _Unit(10**17, "microseconds", 10**3),
    _Unit(10**20, "nanoseconds", 1),
)

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_LONG_FRACTION = re.compile(r"([.,]\d{6})(\d+)")
_LEAP_SECOND = re.compile(r"(\d\d:\d\d):60")
_AFTER_CLOCK = re.compile(r"\d:\d\d\s+(\S.*)")
_CLOCK_FORM = re.compile(r"(?<!%)(?:%%)*%[HIcXs]")
_FLOORED = Context(prec=60, rounding=ROUND_FLOOR)
_APART = re.compile(r"(.*:\d\d(?:[.,]\d+)?) ?(UTC|GMT|Z|[+-]\d\d:?\d\d)", re.IGNORECASE)


_OUT_OF_RANGE = "D6"


class BadTime(ValueError):
    """The text is not a time that can be sent; str() says why.

    `code` is D6 for a time that Kissmetrics does not keep, else "time".
    """

    def __init__(self, message: str, code: str = "time") -> None:
        super().__init__(message)
        self.code = code


def _bad(text: str, why: str, code: str = "time") -> BadTime:
    return BadTime(f"the time {text[:40]!r}{'…' if len(text) > 40 else ''} {why}", code)


class AmbiguousTime(ValueError):
    """The times of a column can be read in several ways. `cure` says how to choose one."""

    def __init__(self, message: str, cure: str) -> None:
        super().__init__(message)
        self.cure = cure


LOCAL_EPOCH = "local-epoch"
"""The format of numbers that count from 1970 on the clock of a time zone, not in UTC.

Mixpanel exports the times of older projects like this, in the zone of the project
(mixpanel.com/help/reference/exporting-raw-data).
"""


class TimeOptions(NamedTuple):
    """How to read times without an offset, or of an unusual form. `ambiguous`: "", "earlier" or "later".

    `format` is one of `strptime`, or LOCAL_EPOCH.
    """

    timezone: str = ""
    format: str = ""
    ambiguous: str = ""


class Times:
    """Reads the times of one column. `now` is in seconds since 1970."""

    def __init__(self, time_options: TimeOptions, now: float) -> None:
        self._zone = ZoneInfo(time_options.timezone) if time_options.timezone else None
        self._is_local_epoch = time_options.format == LOCAL_EPOCH
        self._format = "" if self._is_local_epoch else time_options.format
        self._ambiguous = time_options.ambiguous
        self._last = int(now) * NANOSECONDS + _DAY
        self._has_clock = not self._format or bool(_CLOCK_FORM.search(self._format))
        self._order = ""
        self._order_shown = ""
        self._order_at = ""
        self.unit = ""
        self.leap_second = False

    def parse(self, text: str) -> int:
        """Return the moment in nanoseconds.

        Raises BadTime if it is not a time in Kissmetrics' range (D6), AmbiguousTime if a flag has to decide.
        """
        text = text.strip()
        if self.unit == "seconds" and not self._is_local_epoch and _SECONDS.fullmatch(text):
            self.leap_second, self._order_shown = False, ""
            moment, unit = int(text) * NANOSECONDS, self.unit  # as `_moment` would read it
        else:
            moment, unit = self._moment(text)
        if not _FIRST <= moment <= self._last:
            raise _out_of_range(text, moment, unit)
        if unit != self.unit and unit:
            self._same_unit(text, unit)
        if self._order_shown:
            self._same_order(text)
        return moment

    def moment(self, text: str) -> int:
        """Return the moment in nanoseconds, even one that Kissmetrics does not keep.

        Raises as `parse` does.
        """
        return self._moment(text.strip())[0]

    def is_date(self, text: str) -> bool:
        """Tell whether a parsed time has no time of day: then all events of a day are in one second."""
        if not self._has_clock:
            return True
        return (
            not self._format
            and len(text) <= 12
            and ":" not in text
            and not text.isdigit()
            and not _NUMBER.fullmatch(text.strip())
        )

    def _moment(self, text: str) -> tuple[int, str]:
        """Return the moment and, for a number, its unit."""
        self.leap_second = False
        self._order_shown = ""
        if not text:
            raise BadTime("it has no time")
        unit = ""
        if self._format:
            moment = self._from_datetime(self._strptime(text), text)
        elif text[-1].isdigit() and _NUMBER.fullmatch(text):
            moment, unit = _from_number(text)
            moment = self._from_local_number(text, moment) if self._is_local_epoch else moment
        else:
            moment = self._from_text(text)
        return moment, unit

    def _strptime(self, text: str) -> datetime:
        try:
            return datetime.strptime(text, self._format)
        except ValueError as error:
            raise _bad(text, _why_not(text, str(error)) or f"is not of the form {self._format!r}") from None

    def _same_unit(self, text: str, unit: str) -> None:
        """Refuse a second unit. Only times in range count: a time out of range is a bad row."""
        if not self.unit:
            self.unit = unit
        elif self.unit != unit:
            raise AmbiguousTime(
                f"the time {text!r} is in {unit}, those before it are in {self.unit}",
                "bring the column to one unit of time",
            )

    def _same_order(self, text: str) -> None:
        """Refuse a second order of day and month. Only unambiguous dates in range count."""
        if not self._order:
            self._order, self._order_at = self._order_shown, text
        elif self._order != self._order_shown:
            raise AmbiguousTime(
                f"the time {text!r} has the {self._order_shown} first, {self._order_at!r} before it has the "
                f"{self._order} first",
                "bring the column to one order of day and month",
            )

    def _from_text(self, text: str) -> int:
        shown = text
        try:
            moment = _iso(text)
        except ValueError:
            moment, text = self._unusual(text)
        return self._from_datetime(moment, shown) + _beyond_microseconds(text)

    def _unusual(self, text: str) -> tuple[datetime, str]:
        """Return the moment, and the part of its text that is ISO 8601."""
        if text.startswith("0000-00-00"):
            raise _bad(text, "means no time; it is out of range", _OUT_OF_RANGE)
        either = EitherOrder.parse(text)
        dated = self._dated(text, either) if either else text
        plain = _LEAP_SECOND.sub(r"\1:59", dated)
        self.leap_second = plain != dated
        joined = plain
        if apart := _APART.fullmatch(plain):
            joined = apart[1] + (apart[2] if apart[2][0] in "+-" else "+00:00")
        try:
            return _iso(joined), joined
        except ValueError:
            pass
        if why := impossible(plain):
            raise _bad(text, why)
        return _from_mail(plain), ""

    def _dated(self, text: str, either: EitherOrder) -> str:
        """Return a time as ISO 8601, if its date can be read in one way only. Raises AmbiguousTime."""
        readings = either.readings()
        if either.is_short or len(set(readings.values())) > 1:
            known = f"; in {self._order_at!r} before it the {self._order} comes first" if self._order else ""
            raise AmbiguousTime(
                f"the time {text!r} can be read in several ways{known}",
                f"name the form: {either.flags(self._order)}",
            )
        if not readings:
            raise _bad(text, either.why_none())
        clock = either.clock()
        if clock is None:
            raise _no_form(text)
        order, day = next(iter(readings.items()))
        if len(readings) == 1:
            self._order_shown = order
        return day.isoformat() + clock

    def _from_datetime(self, moment: datetime, text: str) -> int:
        """Return the moment in nanoseconds. Messages quote `text`, which stands in the log."""
        try:
            if moment.tzinfo is not None:
                return _nanoseconds(moment - _EPOCH)
            return self._from_local(moment, text)
        except OverflowError:
            raise _bad(text, "is out of range", _OUT_OF_RANGE) from None

    def _from_local_number(self, text: str, count: int) -> int:
        """Return the moment at which a clock in the zone showed this many nanoseconds since 1970.

        Raises AmbiguousTime without a zone: nothing in the number says whether it is in UTC.
        """
        if self._zone is None:
            raise AmbiguousTime(
                f"the time {text!r} counts from 1970 in UTC or in another zone, and does not say which",
                "name the zone: --timezone America/Los_Angeles, or --timezone UTC if the times are in UTC",
            )
        seconds, fraction = divmod(count, NANOSECONDS)
        return self._from_local(_NAIVE_EPOCH + timedelta(seconds=seconds), text) + fraction

    def _from_local(self, local: datetime, text: str) -> int:
        if self._zone is None:
            raise AmbiguousTime(
                f"the time {text!r} has no offset from UTC",
                "name the time zone of the log: --timezone Europe/Berlin (or UTC)",
            )
        first = local.replace(tzinfo=self._zone).utcoffset()
        second = local.replace(tzinfo=self._zone, fold=1).utcoffset()
        assert first is not None
        assert second is not None
        if first != second:
            first = self._choose(text, first, second)
        return _nanoseconds(local - _NAIVE_EPOCH - first)

    def _choose(self, text: str, first: timedelta, second: timedelta) -> timedelta:
        """Choose between the two moments of a doubled hour. (The larger offset is the earlier moment.)"""
        if first < second:
            raise _bad(text, f"does not exist in {self._zone}: the clock skipped it")
        if not self._ambiguous:
            raise _bad(text, f"occurs twice in {self._zone}; choose with --ambiguous earlier or later")
        return first if self._ambiguous == "earlier" else second


def _out_of_range(text: str, moment: int, unit: str) -> BadTime:
    read = f"(read as {unit} since 1970) " if unit else ""
    if moment < _FIRST:
        why = f"{read}is before 2009-01-01: Kissmetrics does not keep events so old"
        return _bad(text, why, _OUT_OF_RANGE)
    return _bad(text, f"{read}is more than a day ahead")


def _from_number(text: str) -> tuple[int, str]:
    """Return the moment and the unit that the number is in, by its magnitude."""
    try:
        number = int(text) if text.isdigit() else Decimal(text)
    except (InvalidOperation, ValueError):
        raise _bad(text, "is not a number that can be a time") from None
    if number <= 0:
        raise _bad(text, "is zero or less, and so cannot be a time of the log", _OUT_OF_RANGE)
    unit = next((unit for unit in _UNITS if number < unit.below), None)
    if unit is None:
        raise _bad(text, "is too large a number for a time")
    if isinstance(number, int):
        moment = number * unit.nanoseconds
    else:
        moment = int(_FLOORED.multiply(number, Decimal(unit.nanoseconds)))
    return moment, unit.name


def _iso(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    # Python 3.14 takes the hour 24 for the next day; earlier versions raise an error, and so do we.
    if not moment.hour and says_midnight_24(text):
        raise ValueError
    return moment


def _why_not(text: str, error: str) -> str:
    """Return why a time of the right form does not exist, by `strptime`'s error; "" if its form is wrong."""
    if error.startswith("day "):
        return "names a day that does not exist"
    if "offset" in error:
        return "has an offset that no zone has"
    return "says 24:00: midnight is 00:00:00 of the next day" if says_midnight_24(text) else ""


def _no_form(text: str) -> BadTime:
    return _bad(text, "is in a form that km-cli does not know; name it with --time-format")


def _from_mail(text: str) -> datetime:
    """Return a moment in the form of RFC 2822. It has a few zones by name; other names are refused."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, LookupError, ArithmeticError):
        raise _no_form(text) from None
    zone = _AFTER_CLOCK.search(text)
    if moment.tzinfo is not None or not zone:
        return moment
    if zone[1] != "-0000":
        raise _bad(text, f"is in an unknown zone, {zone[1][:20]!r}")
    return moment.replace(tzinfo=UTC)


def _nanoseconds(span: timedelta) -> int:
    return (span.days * 86_400 + span.seconds) * NANOSECONDS + span.microseconds * 1000


def _beyond_microseconds(text: str) -> int:
    """Return the nanoseconds of a fraction with more digits than a datetime holds."""
    # The shortest with seven digits has 27 characters, without colons 23.
    if len(text) < (27 if text[13:14] == ":" else 23) or not (more := _LONG_FRACTION.search(text)):
        return 0
    return int(more[2][:3].ljust(3, "0"))
