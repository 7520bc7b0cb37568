"""Decides what is known of an absent call: lost, pending, of another product, or out of the export's reach.

The ledger knows people by digests of tracker, site and identity, so a slot does not tell to which product it
belongs. The counts of sent calls do, by persona, event and day. If several products got calls of that kind,
the person decides: it is known if the export or a log names it.
"""

from __future__ import annotations

from enum import Enum
from math import inf
from typing import NamedTuple

from km_cli.memory import Remembered
from km_cli.model import NO_EVENT
from km_cli.verify.export.expected import pending_key
from km_cli.verify.export.seconds import Compared, Standing
from km_cli.verify.export.workspace import Workspace

_DAY = 86_400
_MOST_REMEMBERED = 100_000
_COARSE = 1.0
"""Seconds by which the clocks of files and of runs may differ."""


class Judgement(Enum):
    """What an absent call is. The values are keys of the JSON."""

    ABSENT = "absent"
    PENDING = "pending"
    ELSEWHERE = "elsewhere"
    BEFORE = "before_the_export"
    AFTER = "after_the_export"
    SENT_BEFORE = "sent_before_the_export"
    SENT_AFTER = "sent_after_the_export"
    SITE_UNKNOWN = "site_unknown"
    SETS_NOT_SHOWN = "properties_not_shown"


class Reach(NamedTuple):
    """What the export can have: records from the second `first` to `last`, of calls sent in a span of time.

    `sent_from` and `made` are in seconds since 1970; `sent_from` is -inf if the export begins with the first
    call. `has_sets` if it has records without an event, so that it shows calls that only set properties.
    """

    first: int
    last: int
    sent_from: float
    made: float
    has_sets: bool


class _Kind(NamedTuple):
    """Calls of one persona, event and day: of which products, and when the runs of ours sent them."""

    is_ours: bool
    is_others: bool
    began: float
    ended: float


class Judge:
    """Judges absent calls. `is_alone` if the ledger has calls for one product only."""

    def __init__(self, workspace: Workspace, reach: Reach, *, is_alone: bool) -> None:
        self._workspace = workspace
        self._reach = reach
        self._unnoted = _Kind(True, not is_alone, -inf, -inf)
        """The kind of calls that a km-cli sent which did not count them."""
        self._kinds: Remembered[tuple[str, bytes, int], _Kind] = Remembered(_MOST_REMEMBERED)

    def judge(self, compared: Compared, call: Standing) -> Judgement:
        """Decide on an absent call."""
        kind = self._kind(compared.persona, call.event, compared.second // _DAY)
        if not kind.is_ours:
            return Judgement.ELSEWHERE
        if kind.is_others and (owner := self._owner(compared.person)) is not None:
            return owner
        if self._is_pending(compared, call):
            return Judgement.PENDING
        return self._in_reach(compared.second, call, kind)

    def _in_reach(self, second: int, call: Standing, kind: _Kind) -> Judgement:
        reach = self._reach
        if second < reach.first:
            return Judgement.BEFORE
        if second > reach.last:
            return Judgement.AFTER
        if kind.ended > reach.made + _COARSE:
            return Judgement.SENT_AFTER
        if kind.began < reach.sent_from:
            return Judgement.SENT_BEFORE
        if call.event == NO_EVENT and not reach.has_sets:
            return Judgement.SETS_NOT_SHOWN
        return Judgement.ABSENT

    def _kind(self, persona: str, event: bytes, day: int) -> _Kind:
        key = (persona, event, day)
        known = self._kinds.get(key)
        if known is None:
            query = (
                "SELECT is_ours, is_others, began, ended FROM kinds WHERE (persona, event, day) = (?, ?, ?)"
            )
            row = self._workspace.first(query, key)
            known = _Kind(bool(row[0]), bool(row[1]), row[2], row[3]) if row else self._unnoted
            self._kinds.remember(key, known)
        return known

    def _owner(self, person: bytes) -> Judgement | None:
        """Return the judgement on a call of a kind that several products got; None if it is one of ours."""
        row = self._workspace.first("SELECT is_ours FROM people WHERE person = ?", (person,))
        if row is None:
            return Judgement.SITE_UNKNOWN
        return None if row[0] else Judgement.ELSEWHERE

    def _is_pending(self, compared: Compared, call: Standing) -> bool:
        key = (compared.second, compared.person, *pending_key(call.event, call.pairs))
        query = "SELECT 1 FROM pending WHERE (second, person, event, pairs) = (?, ?, ?, ?)"
        return self._workspace.first(query, key) is not None
