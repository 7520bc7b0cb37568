"""Text → moment, in nanoseconds since 1970: exact, and never guessed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from km_cli.model import NANOSECONDS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)
_FIRST = int(datetime(2009, 1, 1, tzinfo=UTC).timestamp()) * NANOSECONDS
_DAY = 86_400 * NANOSECONDS


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
_SLASHES = re.compile(r"\d{1,4}[/.]\d{1,2}[/.]\d{1,4}\b")


class BadTime(ValueError):
    """This text is no time that can be sent; str() says why."""


class Unclear(ValueError):
    """Times of this column can be read in several ways. `cure` says how to choose one."""

    def __init__(self, message: str, cure: str) -> None:
        super().__init__(message)
        self.cure = cure


class Clocking(NamedTuple):
    """How times are read that do not say it themselves. `ambiguous`: "", "earlier" or "later"."""

    timezone: str = ""
    format: str = ""
    ambiguous: str = ""


class Times:
    """Reads the times of one column. `now` is in seconds since 1970."""

    def __init__(self, clocking: Clocking, now: float) -> None:
        self._zone = ZoneInfo(clocking.timezone) if clocking.timezone else None
        self._format = clocking.format
        self._ambiguous = clocking.ambiguous
        self._last = int(now) * NANOSECONDS + _DAY
        self.unit = ""
        self.leap_second = False

    def parse(self, text: str) -> int:
        """Return the moment in nanoseconds.

        Raises BadTime for what is no time in Kissmetrics' range (D6), Unclear for what needs a flag.
        """
        text = text.strip()
        if not text:
            raise BadTime("it has no timestamp")
        if self._format:
            moment = self._of_datetime(self._strptime(text))
        elif text[-1].isdigit() and _NUMBER.fullmatch(text):
            moment = self._of_number(text)
        else:
            moment = self._of_text(text)
        if not _FIRST <= moment <= self._last:
            raise self._out_of_range(text, moment)
        return moment

    def _out_of_range(self, text: str, moment: int) -> BadTime:
        if moment < _FIRST:
            return BadTime(f"the time {text!r} is before 2009-01-01, which Kissmetrics does not keep (D6)")
        return BadTime(f"the time {text!r} is more than a day ahead")

    def _strptime(self, text: str) -> datetime:
        try:
            return datetime.strptime(text, self._format)
        except ValueError:
            raise BadTime(f"{text!r} is no time of the form {self._format!r}") from None

    def _of_number(self, text: str) -> int:
        try:
            number = int(text) if text.isdigit() else Decimal(text)
        except (InvalidOperation, ValueError):
            raise BadTime(f"{text[:40]!r} is not a time") from None
        if number <= 0:
            raise BadTime(f"{text!r} is not a time that was meant")
        unit = next((unit for unit in _UNITS if number < unit.below), None)
        if unit is None:
            raise BadTime(f"{text[:40]!r} is too large a number for a time")
        self._same_unit(text, unit.name)
        return int(number * unit.nanoseconds)

    def _same_unit(self, text: str, unit: str) -> None:
        if not self.unit:
            self.unit = unit
        elif self.unit != unit:
            raise Unclear(
                f"the time {text!r} is in {unit}, those before it in {self.unit}",
                "bring the column to one unit; times before 1973 in milliseconds look like seconds",
            )

    def _of_text(self, text: str) -> int:
        try:
            return self._of_datetime(datetime.fromisoformat(text)) + _beyond_microseconds(text)
        except ValueError as error:
            if isinstance(error, BadTime | Unclear):
                raise
        return self._of_unusual(text)

    def _of_unusual(self, text: str) -> int:
        if text.startswith("0000-00-00"):
            raise BadTime(f"{text!r} is out of range (D6)")
        if _LEAP_SECOND.search(text):
            self.leap_second = True
            return self._of_text(_LEAP_SECOND.sub(r"\1:59", text))
        if _SLASHES.match(text):
            raise Unclear(
                f"the time {text!r} can be read in several ways",
                "say how: --time-format '%d/%m/%Y' (or '%m/%d/%Y')",
            )
        try:
            return self._of_datetime(parsedate_to_datetime(text))
        except (ValueError, TypeError, IndexError) as error:
            if isinstance(error, BadTime | Unclear):
                raise
        raise BadTime(f"{text[:40]!r} is not a time")

    def _of_datetime(self, moment: datetime) -> int:
        try:
            if moment.tzinfo is not None:
                return _nanoseconds(moment - _EPOCH)
            return self._of_local(moment)
        except OverflowError:
            raise BadTime(f"{moment} is out of range") from None

    def _of_local(self, local: datetime) -> int:
        if self._zone is None:
            raise Unclear(
                f"the time {local.isoformat(' ')!r} does not say its offset from UTC",
                "say in which zone the log was written: --timezone Europe/Berlin (or UTC)",
            )
        first = local.replace(tzinfo=self._zone).utcoffset()
        second = local.replace(tzinfo=self._zone, fold=1).utcoffset()
        assert first is not None
        assert second is not None
        if first != second:
            first = self._choose(local, first, second)
        return _nanoseconds(local - _NAIVE_EPOCH - first)

    def _choose(self, local: datetime, first: timedelta, second: timedelta) -> timedelta:
        """Choose between the two readings of a doubled hour (the larger offset is the earlier moment)."""
        if first < second:
            raise BadTime(f"{local.isoformat(' ')!r} does not exist in {self._zone}: the clock skipped it")
        if not self._ambiguous:
            raise BadTime(
                f"{local.isoformat(' ')!r} happened twice in {self._zone}; say --ambiguous earlier or later"
            )
        return first if self._ambiguous == "earlier" else second


def _nanoseconds(span: timedelta) -> int:
    return (span.days * 86_400 + span.seconds) * NANOSECONDS + span.microseconds * 1000


def _beyond_microseconds(text: str) -> int:
    """Return the nanoseconds of a fraction with more digits than a datetime holds."""
    if len(text) < 27 or not (more := _LONG_FRACTION.search(text)):
        return 0
    return int(more[2][:3].ljust(3, "0"))
