"""Outages and requests to wait outlive a run: what it leaves to the next one, and what that makes of it."""

from __future__ import annotations

from datetime import UTC, datetime

from km_cli.errors import ComeBackLater, KmError, Outage, TimeIsUp
from km_cli.ledger import Pause
from km_cli.run.tally import Tally

_WAITS = (30.0, 60.0, 120.0, 240.0, 300.0)
"""Seconds for which a destination that did not answer is left alone, by how many runs found it so."""


LONGEST = 24 * 3600.0
"""Seconds; who asks for more is asked again, and a clock that was set back does not stop us for years."""

_SOME = 3
_RECENT = 3600.0
"""Seconds; last night's outage is nothing to go by."""


def paused(pause: Pause | None, now: float) -> KmError | None:
    """Return why a run had better end at once, as long as a destination is to be left alone."""
    if pause is None or not 0 < pause.until - now <= LONGEST:
        return None
    when = datetime.fromtimestamp(pause.until, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    hint = "nothing is lost: the first run after that goes on; `km-cli import` does not wait for it"
    if pause.failures:
        return Outage(f"the destination is left alone until {when}: {pause.reason}", hint)
    return ComeBackLater(f"the destination wants to be left alone until {when}: {pause.reason}", hint)


def is_recent(pause: Pause | None, now: float) -> bool:
    """Tell whether a destination may still be as it was: then calls go one by one until one is taken."""
    return pause is not None and pause.failures > 0 and now - pause.until < _RECENT


def after(
    before: Pause | None, error: KmError | None, asked: float, tally: Tally, now: float
) -> Pause | None:
    """Return what the next run is to know of one that ended with this error.

    `asked` is for how many seconds the destination still wants to be left alone (Retry-After): if all went
    out, there is nothing to wait for.
    """
    if isinstance(error, ComeBackLater):
        return Pause(now + min(max(error.seconds, asked), LONGEST), 0, error.plain)
    if isinstance(error, Outage) or _was_in_vain(error, tally):
        goes_on = before is not None and is_recent(before, now) and not tally.calls.acknowledged
        failures = before.failures + 1 if before is not None and goes_on else 1
        wait = max(_WAITS[min(failures, len(_WAITS)) - 1], min(asked, LONGEST))
        return Pause(now + wait, failures, error.plain if isinstance(error, Outage) else _took_none(tally))
    if asked and tally.calls.pending:
        said = f": {tally.last_failure}" if tally.last_failure else ""
        return Pause(now + min(asked, LONGEST), 0, f"it said so in its last answers (Retry-After){said}")
    return None if tally.calls.acknowledged else before


def _took_none(tally: Tally) -> str:
    return f"it took no call: {tally.last_failure}" if tally.last_failure else "it took no call"


def _was_in_vain(error: KmError | None, tally: Tally) -> bool:
    """Tell whether calls were sent again and again, and none was taken until it was given up.

    One or two that are never taken say nothing of the others.
    """
    calls = tally.calls
    gave_up = error is None or isinstance(error, TimeIsUp)
    return gave_up and calls.pending >= _SOME and calls.retried > 0 and not calls.acknowledged
