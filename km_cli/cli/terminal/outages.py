"""Outages where there is no progress to see: one line when an outage lasts, one when it is over."""

from __future__ import annotations

from km_cli.cli.terminal.progress import duration, trouble_text
from km_cli.cli.terminal.show import mention
from km_cli.model import Trouble
from km_cli.protocols import Clock
from km_cli.run.tally import Tally

_LASTING = 60.0
"""Seconds. cron mails each line, and most outages are over before."""


class OutageLines:
    """Prints the lines of outages on standard error."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told: Trouble | None = None  # the outage that was told, and is not over
        self._acknowledged = 0  # the calls that were acknowledged when it was told

    def update(self, tally: Tally, trouble: Trouble | None) -> None:
        """Print a line if an outage has lasted for a minute, or if one that was told is over.

        It is over with the next acknowledgement. A run that gives up names the outage itself, in its error.
        """
        now = self._clock.monotonic()
        if self._told is not None:
            if tally.calls.acknowledged == self._acknowledged:
                return
            mention(f"calls get through again, after {duration(now - self._told.since)}")
            self._told = None
        if trouble is not None and now - trouble.since >= _LASTING:
            mention(trouble_text(trouble, now))
            self._told, self._acknowledged = trouble, tally.calls.acknowledged
