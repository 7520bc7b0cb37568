"""The answers to calls that are on their way, and their receipts."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from km_cli.model.plans import PlannedCall


class Outcome(Enum):
    """The result of sending a call."""

    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"
    PENDING = "pending"


class Receipt(NamedTuple):
    """The outcome of one call; `reason` is the destination's, in words for people."""

    call: PlannedCall
    outcome: Outcome
    reason: str = ""


class AnswerKind(Enum):
    """The meaning of a destination's answer for the call. How long to wait is up to the shared policy."""

    ACKNOWLEDGED = "acknowledged"
    """The destination keeps the call for certain."""
    REJECTED = "rejected"
    """The destination will never take this call; it may take others."""
    RETRY = "retry"
    """The call may get through later: the destination is busy or broken, or the answer was cut off."""
    UNREACHED = "unreached"
    """No connection: the call was not sent. As RETRY, but a run that reaches nothing ends soon."""
    NOT_AN_IMAGE = "not an image"
    """Another machine answered in the destination's place. As RETRY, but the third in a row ends the run."""
    REFUSED = "refused"
    """No call can get through until a person has changed something. The run ends at once."""


class Trouble(NamedTuple):
    """The reason why a destination takes no calls at present, for people who watch the run.

    `since` and `until` are in monotonic seconds: when it began, and when the next call goes, None while an
    answer is awaited. `is_asked` if the destination asked for the wait (Retry-After).
    """

    reason: str
    since: float
    until: float | None
    is_asked: bool = False


class Answer(NamedTuple):
    """A destination's answer, classified.

    `retry_after` is the shortest wait in seconds, for all workers. `hint` says what to do about the answer,
    if that is known. `is_overload` if the destination gets more calls at once than it can take.
    """

    kind: AnswerKind
    reason: str = ""
    retry_after: float = 0.0
    hint: str = ""
    is_overload: bool = False
