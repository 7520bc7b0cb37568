"""Events by calendar month: Kissmetrics bills the events of a month."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

_DAY = 86_400
_FEWEST_DAYS = 28
"""A log of fewer days says little about a month."""


class Months(NamedTuple):
    """The events of a log by month, in UTC. `busiest` is a month such as 2024-03, "" if there are no events.

    `days` is the time from the first event to the last, both days included.
    """

    busiest: str = ""
    most: int = 0
    total: int = 0
    days: int = 0

    @property
    def is_short(self) -> bool:
        """Whether the log is shorter than a month, so that a month may have more events."""
        return self.days < _FEWEST_DAYS


def months_of(by_day: Mapping[int, int]) -> Months:
    """Return the months for the number of events by day, counted from 1970-01-01."""
    if not by_day:
        return Months()
    months: Counter[str] = Counter()
    for day, number in by_day.items():
        months[datetime.fromtimestamp(day * _DAY, UTC).strftime("%Y-%m")] += number
    busiest = min(months, key=lambda month: (-months[month], month))
    return Months(busiest, months[busiest], months.total(), max(by_day) - min(by_day) + 1)
