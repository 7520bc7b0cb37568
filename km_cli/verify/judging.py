"""One event: the total that Kissmetrics shows, against the calls that the ledger expects. Pure.

The total must lie between two bounds. Below the lower one are *allowances*: calls that Kissmetrics may
rightly not show. A difference that allowances explain is no finding, and one beyond all of them is a finding
whatever other sources do, since those only add. Above the upper bound, other sources are the explanation,
unless a snapshot shows that there were none.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import NamedTuple

from km_cli.verify.values import NameTotal, OwnEvent

_EPOCH = date(1970, 1, 1)
_A_DAY = timedelta(days=1)


class Reason(Enum):
    """Why a total may differ from the number of calls. All but LATE make it lower."""

    COUNTED_BEFORE = "counted-before"
    """The calls were pending when the snapshot was taken, and may have arrived by then."""
    MERGED = "merged"
    """D1: the same person, event and second."""
    DROPPED = "dropped"
    """D7: beyond the last 1,000 of a person."""
    NOT_SHOWN_YET = "not-shown-yet"
    """Q4: they were sent a short time ago."""
    LATE = "shown-late"
    """Q4: they were sent shortly before the snapshot, and are shown since."""


class Verdict(Enum):
    """What the comparison of one event says, the gravest first."""

    ABSENT = "absent"
    TOO_LOW = "too-low"
    TOO_HIGH = "too-high"
    DATES = "dates"
    UNCHECKED = "unchecked"
    NOT_SHOWN_YET = "not-shown-yet"
    EXPLAINED = "explained"
    OTHERS = "other-sources"
    HELD = "held"

    @property
    def is_finding(self) -> bool:
        """Whether something is wrong, as far as the totals tell."""
        return self in (Verdict.ABSENT, Verdict.TOO_LOW, Verdict.TOO_HIGH, Verdict.DATES)


class Shown(NamedTuple):
    """An event as Kissmetrics shows it: all spellings that it should fold to one name (D4), added up."""

    total: int = 0
    first: date | None = None
    last: date | None = None
    spellings: tuple[str, ...] = ()


class Judgement(NamedTuple):
    """The verdict on one event.

    `sent` are the calls that were acknowledged, `found` is the total that Kissmetrics shows; since a
    snapshot, both are differences to it. `wrong` are the calls that nothing explains: missing ones, or too
    many. `reasons` say which differences are explained. `why` is for UNCHECKED and DATES.
    """

    verdict: Verdict
    sent: int
    found: int
    wrong: int = 0
    reasons: tuple[tuple[Reason, int], ...] = ()
    why: str = ""


def shown_of(names: tuple[NameTotal, ...]) -> Shown:
    """Return an event from all names that Kissmetrics lists for it."""
    first = [_day(one.first_used) for one in names if one.first_used]
    last = [_day(one.last_used) for one in names if one.last_used]
    return Shown(
        sum(one.total for one in names),
        min(first, default=None),
        max(last, default=None),
        tuple(one.name for one in names),
    )


def judge(own: OwnEvent, shown: Shown, *, is_listed: bool, is_whole: bool) -> Judgement:
    """Compare the total of an event with all calls that were ever sent.

    `is_listed` if Kissmetrics has the name, `is_whole` if the list that it was looked for in is whole.
    """
    below = (
        (Reason.MERGED, own.merged),
        (Reason.DROPPED, own.dropped),
        (Reason.NOT_SHOWN_YET, own.recent),
    )
    found = _lower(own.acknowledged, shown.total, below, is_listed=is_listed, is_whole=is_whole)
    found = _or_forgotten(found, own.forgotten)
    if found is None and shown.total > own.most:
        found = Judgement(Verdict.OTHERS, own.acknowledged, shown.total, shown.total - own.most)
    return _with_dates(found or Judgement(Verdict.HELD, own.acknowledged, shown.total), own, shown)


def judge_since(
    own: OwnEvent,
    shown: Shown,
    own_before: OwnEvent | None,
    shown_before: Shown,
    *,
    is_listed: bool,
    is_whole: bool,
) -> Judgement:
    """Compare what an event gained since a snapshot with the calls that were sent since. As `judge`."""
    before = own_before or OwnEvent(own.name, 0, 0)
    sent, found = own.acknowledged - before.acknowledged, shown.total - shown_before.total
    if sent < 0:
        why = f"the ledger has {-sent:,} calls fewer than at the snapshot: it is another one, or was pruned"
        return Judgement(Verdict.UNCHECKED, sent, found, why=why)
    below = (
        (Reason.COUNTED_BEFORE, before.most - before.acknowledged),
        (Reason.MERGED, max(0, own.merged - before.merged)),
        (Reason.DROPPED, max(0, own.dropped - before.dropped)),
        (Reason.NOT_SHOWN_YET, own.recent),
    )
    lower = _lower(sent, found, below, is_listed=is_listed, is_whole=is_whole)
    lower = _or_forgotten(lower, own.forgotten - before.forgotten)
    if lower is None:
        has_others = shown_before.total > before.most
        most = own.most - before.acknowledged
        lower = _higher(sent, most, found, before.recent, has_others=has_others)
    return _with_dates(lower or Judgement(Verdict.HELD, sent, found), own, shown)


def _lower(
    sent: int,
    found: int,
    allowances: tuple[tuple[Reason, int], ...],
    *,
    is_listed: bool,
    is_whole: bool,
) -> Judgement | None:
    """Judge a total that is lower than the number of calls; None if it is not."""
    missing = sent - found
    if missing <= 0:
        return None
    if not is_listed and not is_whole:
        why = "the list of events changed while it was read, and the event may be one that was passed over"
        return Judgement(Verdict.UNCHECKED, sent, found, why=why)
    reasons = []
    for reason, most in allowances:
        used = min(missing, most)
        missing -= used
        if used:
            reasons.append((reason, used))
    if missing:
        verdict = Verdict.TOO_LOW if is_listed else Verdict.ABSENT
    elif reasons[-1][0] is Reason.NOT_SHOWN_YET:
        verdict = Verdict.NOT_SHOWN_YET
    else:
        verdict = Verdict.EXPLAINED
    return Judgement(verdict, sent, found, missing, tuple(reasons))


def _or_forgotten(judged: Judgement | None, forgotten: int) -> Judgement | None:
    """Return the judgement on a total that is lower, unless it may be so by calls that were pruned."""
    if judged is None or not 0 < judged.wrong <= forgotten:
        return judged
    why = (
        f"{judged.wrong:,} missing, but the ledger has forgotten {forgotten:,} calls (ledger prune): it "
        "cannot tell how many of them are merged (D1) or dropped (D7)"
    )
    return judged._replace(verdict=Verdict.UNCHECKED, wrong=0, why=why)


def _higher(sent: int, most: int, found: int, late: int, *, has_others: bool) -> Judgement | None:
    """Judge a total that is higher than the number of calls; None if it is not."""
    excess = found - most
    if excess <= 0:
        return None
    used = min(excess, late)
    reasons = ((Reason.LATE, used),) if used else ()
    if excess == used:
        return Judgement(Verdict.EXPLAINED, sent, found, 0, reasons)
    return Judgement(Verdict.OTHERS if has_others else Verdict.TOO_HIGH, sent, found, excess - used, reasons)


def _with_dates(judged: Judgement, own: OwnEvent, shown: Shown) -> Judgement:
    """Look at the days of the first and the last call, if the totals show nothing wrong.

    A day is allowed for, since a product has a time zone of its own.
    """
    if judged.verdict not in (Verdict.HELD, Verdict.OTHERS):
        return judged
    why = ""
    if own.first_day is not None and shown.first and shown.first > _of_epoch(own.first_day) + _A_DAY:
        why = (
            f"calls were sent from {_of_epoch(own.first_day)} on, and the first one shown is of {shown.first}"
        )
    elif own.last_day is not None and shown.last and shown.last < _of_epoch(own.last_day) - _A_DAY:
        why = f"calls were sent up to {_of_epoch(own.last_day)}, and the last one shown is of {shown.last}"
    return judged._replace(verdict=Verdict.DATES, why=why) if why else judged


def _of_epoch(day: int) -> date:
    return _EPOCH + timedelta(days=day)


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()
