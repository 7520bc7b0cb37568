"""Pauses: for how long backfills leave a destination alone after an outage, or when it asks them to wait.

A cron job would otherwise try again every minute, and take up its time with calls that cannot be delivered.
"""

from __future__ import annotations

from datetime import UTC, datetime

from km_cli.errors import ComeBackLater, KmError, Outage, TimeIsUp
from km_cli.ledger import Pause
from km_cli.run.tally import Tally

_WAITS = (30.0, 60.0, 120.0, 240.0, 300.0)
"""Seconds to leave a destination alone after one, two, three… runs in a row that it did not answer."""


LONGEST = 24 * 3600.0
"""Seconds. A destination that asks for more is tried again, and a clock that was set back cannot stop
backfills for years."""

_SOME = 3
_RECENT = 3600.0
"""Seconds. An outage of last night says nothing about the present."""


def paused(pause: Pause | None, now: float) -> KmError | None:
    """Return the error that ends a run at once if its destination has a pause, else None."""
    if pause is None or not 0 < pause.until - now <= LONGEST:
        return None
    when = datetime.fromtimestamp(pause.until, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    hint = "nothing is lost: the first run after that continues; `km-cli import` sends at once"
    if pause.failures:
        return Outage(f"no calls are sent to the destination until {when}: {pause.reason}", hint)
    return ComeBackLater(f"the destination asked for no calls until {when}: {pause.reason}", hint)


def is_recent(pause: Pause | None, now: float) -> bool:
    """Tell whether the destination may still be down. Then calls go one by one until one is acknowledged."""
    return pause is not None and pause.failures > 0 and now - pause.until < _RECENT


def after(
    before: Pause | None, error: KmError | None, asked: float, tally: Tally, now: float
) -> Pause | None:
    """Return the pause that a run leaves to the next one, None for none.

    `error` is how the run ended, `asked` for how many more seconds the destination wants to be left alone
    (Retry-After). If every call was delivered there is nothing to wait for.
    """
    if isinstance(error, ComeBackLater):
        return Pause(now + min(max(error.seconds, asked), LONGEST), 0, error.plain)
    if isinstance(error, Outage) or _was_in_vain(error, tally):
        goes_on = before is not None and is_recent(before, now) and not tally.calls.acknowledged
        failures = before.failures + 1 if before is not None and goes_on else 1
        wait = max(_WAITS[min(failures, len(_WAITS)) - 1], min(asked, LONGEST))
        return Pause(
            now + wait, failures, error.plain if isinstance(error, Outage) else _acknowledged_none(tally)
        )
    if asked and tally.calls.pending:
        cause = f": {tally.last_failure}" if tally.last_failure else ""
        return Pause(now + min(asked, LONGEST), 0, f"its last answers asked for that (Retry-After){cause}")
    return None if tally.calls.acknowledged else before


def _acknowledged_none(tally: Tally) -> str:
    return (
        f"it acknowledged no call: {tally.last_failure}" if tally.last_failure else "it acknowledged no call"
    )


def _was_in_vain(error: KmError | None, tally: Tally) -> bool:
    """Tell whether a run retried its calls until it gave up, and none was acknowledged.

    One or two calls that never get through may be at fault themselves.
    """
    calls = tally.calls
    gave_up = error is None or isinstance(error, TimeIsUp)
    return gave_up and calls.pending >= _SOME and calls.retried > 0 and not calls.acknowledged
