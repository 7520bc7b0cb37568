"""The horizon that `ledger prune` is asked for: an age, or a date."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta

from km_cli.errors import UsageError

_AGE = re.compile(r"([1-9][0-9]{0,4}) ?(d|w|mo|y)")
_DAYS = {"d": 1, "w": 7}
_MONTHS = {"mo": 1, "y": 12}
_FORMS = "write an age (400d, 60w, 13mo, 2y) or a date (2024-12-31)"


def horizon_of(asked: str, now: float) -> int:
    """Return the second that an age or a date stands for: the beginning of its day in UTC.

    `now` is in seconds since 1970. Raises UsageError for another form, and for a day that is not over yet.
    """
    today = datetime.fromtimestamp(now, UTC).date()
    try:
        day = _day_of(asked.strip().lower(), today)
    except (ValueError, OverflowError):
        raise UsageError(f"--older-than {asked!r} is neither an age nor a date", _FORMS) from None
    if day > today:
        raise UsageError(
            f"--older-than {asked!r} is in the future",
            "name a day that is over: rows behind the horizon are never looked up again",
        )
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _day_of(asked: str, today: date) -> date:
    found = _AGE.fullmatch(asked)
    if not found:
        return date.fromisoformat(asked)
    number, unit = int(found[1]), found[2]
    if unit in _DAYS:
        return today - timedelta(number * _DAYS[unit])
    months = today.year * 12 + today.month - 1 - number * _MONTHS[unit]
    year, month = divmod(months, 12)
    return date(year, month + 1, min(today.day, monthrange(year, month + 1)[1]))
